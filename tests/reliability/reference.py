"""Layers in plain NumPy, in float64: what the property tests compare with."""

import numpy as np


def paddings(size, kernel, stride, rate, padding):
    """Zeros before and after one dimension, as TensorFlow defines SAME and VALID."""
    if padding == "VALID":
        return 0, 0
    reach = (kernel - 1) * rate + 1
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def windows(x, kernel, stride, rate, padding, fill):
    """Yields `(row, column, pixels)`: what each tap of a kernel sees.

    Args:
        x: `[batch, height, width, channels]`.
        kernel, stride, rate: of height and width.
        padding: SAME or VALID.
        fill: the value of what lies outside.
    """
    x = np.asarray(x, np.float64)
    sides = [
        paddings(x.shape[axis + 1], kernel[axis], stride[axis], rate[axis], padding)
        for axis in (0, 1)
    ]
    x = np.pad(x, [(0, 0), *sides, (0, 0)], constant_values=fill)
    ends = [x.shape[axis + 1] - (kernel[axis] - 1) * rate[axis] for axis in (0, 1)]
    for row in range(kernel[0]):
        for column in range(kernel[1]):
            top, left = row * rate[0], column * rate[1]
            rows = slice(top, top + ends[0], stride[0])
            columns = slice(left, left + ends[1], stride[1])
            yield row, column, x[:, rows, columns]


def conv2d(x, weights, stride=(1, 1), rate=(1, 1), padding="SAME", groups=1):
    """A convolution; `weights` are `[height, width, channels / groups, outputs]`."""
    weights = np.asarray(weights, np.float64)
    total = 0.0
    for row, column, seen in windows(
        x, weights.shape[:2], stride, rate, padding, fill=0.0
    ):
        parts = zip(
            np.split(seen, groups, axis=-1),
            np.split(weights[row, column], groups, axis=-1),
            strict=True,
        )
        total = total + np.concatenate([a @ b for a, b in parts], axis=-1)
    return total


def max_pool2d(x, kernel, stride, padding):
    seen = windows(x, kernel, stride, (1, 1), padding, fill=-np.inf)
    return np.max([pixels for _, _, pixels in seen], axis=0)


def avg_pool2d(x, kernel, stride, padding):
    """The mean over what lies inside."""
    options = (kernel, stride, (1, 1), padding)
    total = sum(pixels for _, _, pixels in windows(x, *options, fill=0.0))
    ones = np.ones_like(x, np.float64)
    return total / sum(pixels for _, _, pixels in windows(ones, *options, fill=0.0))


def batch_norm(x, axis, gamma, beta, epsilon, moments=None):
    """Returns the outputs, and the mean and variance: the batch's own without any."""
    x = np.moveaxis(np.asarray(x, np.float64), axis, -1)
    others = tuple(range(x.ndim - 1))
    mean, variance = moments or (x.mean(others), x.var(others))
    y = (x - mean) / np.sqrt(variance + epsilon) * gamma + beta
    return np.moveaxis(y, -1, axis), mean, variance


def stacked(x, units, output_stride=None):
    """Convolutions one after the other that stop striding at `output_stride`.

    Args:
        x: `[batch, height, width, channels]`.
        units: pairs of weights and stride.
        output_stride: None for all strides.

    Returns:
        The output of each, beginning with the first.
    """
    outputs, reached, rate = [], 1, 1
    for weights, stride in units:
        x = conv2d(x, weights, rate=(rate, rate))
        if reached == output_stride:
            rate *= stride
        else:
            reached *= stride
            x = x[:, ::stride, ::stride]
        outputs.append(x)
    return outputs
