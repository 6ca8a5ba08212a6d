"""Striding that keeps the same pixels at every stride."""

from __future__ import annotations

import tensorflow as tf

from slimnets import layers


def even_sides(kernel_size: int, rate: int = 1) -> list[int]:
    """The pixels to pad before and after, which at stride 1 are those of `SAME`."""
    total = (kernel_size - 1) * rate
    return [total // 2, total - total // 2]


def subsample(inputs: tf.Tensor, factor: int, scope: str | None = None) -> tf.Tensor:
    """Keeps every `factor`-th row and column, beginning with the first.

    Args:
        inputs: `[batch, height, width, channels]`.
        factor: 1 returns the inputs.
        scope: name of the name scope.

    Returns:
        `[batch, ceil(height / factor), ceil(width / factor), channels]`.
    """
    if factor == 1:
        return inputs
    return layers.max_pool2d(inputs, 1, stride=factor, padding="VALID", scope=scope)


def conv2d_same(
    inputs: tf.Tensor,
    num_outputs: int,
    kernel_size: int,
    stride: int,
    rate: int = 1,
    scope: str | None = None,
    **kwargs,
) -> tf.Tensor:
    """A strided convolution that sees the same pixels at every stride.

    Equal to `conv2d(..., stride=1, padding='SAME')` followed by `subsample`. What
    `conv2d(..., stride=stride, padding='SAME')` gives differs from that when the
    height or width is even, because its padding depends on the stride.

    Args:
        inputs: `[batch, height, width, channels]`.
        num_outputs: number of output channels.
        kernel_size: height and width of the kernel.
        stride: of the output.
        rate: of atrous convolution.
        scope: name of the variable scope.
        **kwargs: further arguments of `conv2d`.

    Returns:
        `[batch, ceil(height / stride), ceil(width / stride), num_outputs]`.
    """
    padding = "SAME"
    if stride > 1:
        sides = even_sides(kernel_size, rate)
        inputs, padding = tf.pad(inputs, [[0, 0], sides, sides, [0, 0]]), "VALID"
    return layers.conv2d(
        inputs,
        num_outputs,
        kernel_size,
        stride=stride,
        rate=rate,
        padding=padding,
        scope=scope,
        **kwargs,
    )
