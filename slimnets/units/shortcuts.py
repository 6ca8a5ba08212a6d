"""Shortcuts of residual units, and the sum with what they go around.

Source: [1] He et al., arXiv:1512.03385, options A and B; [2] He et al.,
arXiv:1812.01187 (average pool).
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from slimnets import layers
from slimnets.blocks import subsample
from slimnets.layers import building


def shortcut(
    identity, projected, depth, stride, conv_shortcut, average_rate=0, **kwargs
):
    """Returns `identity` subsampled, or a 1x1 convolution of `projected` [1, B].

    Args:
        average_rate: if given, a strided convolution sees the means of 2x2 pixels
            that are so far apart [2].
    """
    if conv_shortcut is None:
        conv_shortcut = building.channels_of(identity) != depth
    if not conv_shortcut:
        return subsample(identity, stride, "shortcut")
    if average_rate:
        projected, stride = _mean_2x2(projected, stride, average_rate), 1
    options = {"activation_fn": None, **kwargs}
    return layers.conv2d(
        projected, depth, 1, stride=stride, scope="shortcut", **options
    )


def _mean_2x2(inputs: tf.Tensor, stride: int, rate: int) -> tf.Tensor:
    """The mean of 2x2 pixels `rate` apart, of those that are inside the image."""
    if rate == 1:
        # Average pooling leaves padding out of the mean.
        if stride > 1:
            return layers.avg_pool2d(
                inputs, 2, stride=stride, padding="SAME", scope="shortcut_pool"
            )
        return tf.nn.avg_pool2d(inputs, 2, 1, "SAME")
    outputs = inputs
    for axis in (1, 2):
        size = tf.shape(inputs)[axis]
        paddings = [[0, rate if dim == axis else 0] for dim in range(4)]
        shifted = tf.gather(
            tf.pad(outputs, paddings), tf.range(rate, rate + size), axis=axis
        )
        inside = tf.range(size) + rate < size
        weights = tf.where(inside, 0.5, 1.0)
        shape = [-1 if dim == axis else 1 for dim in range(4)]
        outputs = (outputs + shifted) * tf.reshape(
            tf.cast(weights, inputs.dtype), shape
        )
    return outputs


def padded(inputs: tf.Tensor, depth: int) -> tf.Tensor:
    """Returns `inputs` with zero channels behind them, up to `depth` [1, A]."""
    extra = depth - building.channels_of(inputs)
    if extra <= 0:
        return inputs
    return tf.pad(inputs, [[0, 0], [0, 0], [0, 0], [0, extra]])


def add(
    shortcut: tf.Tensor,
    residual: tf.Tensor,
    unit: str,
    activation_fn: Callable | None = None,
) -> tf.Tensor:
    """Adds two tensors of the same shape, and activates: a unit's place `sum`.

    Raises:
        ValueError: naming the unit, if the shapes differ.
    """
    same_rank = shortcut.shape.rank == residual.shape.rank
    if not same_rank or any(
        a is not None and b is not None and a != b
        for a, b in zip(shortcut.shape, residual.shape, strict=True)
    ):
        raise ValueError(
            f"Unit {unit}: the shortcut {shortcut.shape} and the residual "
            f"{residual.shape} cannot be added; nothing is broadcast or padded."
        )
    total = building.activated(shortcut + residual, activation_fn)
    return layers.activations(total, scope="sum")
