"""Pooling over the spatial dimensions.

Source: tf_slim/layers/layers.py; blur pool: Zhang 2019, arXiv:1904.11486.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tf_slim

from slimnets import end_points
from slimnets.layers import common
from slimnets.scopes import add_arg_scope, shares_arg_scope


@shares_arg_scope(tf_slim.max_pool2d)
def max_pool2d(
    inputs: tf.Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] = 2,
    padding: str = "VALID",
    data_format: str = "NHWC",
    outputs_collections: Any = None,
    scope: str | None = None,
) -> tf.Tensor:
    """The largest value of each window.

    Args:
        inputs: `[batch, height, width, channels]`, or channels second for `NCHW`.
        kernel_size: the window's height and width, or an int for both.
        stride: vertical and horizontal steps, or an int for both.
        padding: `VALID` or `SAME`; padding never wins over a value.
        data_format: `NHWC` or `NCHW`.
        outputs_collections: collections for the outputs.
        scope: name of the name scope.

    Raises:
        ValueError: for inputs of another rank or an argument not allowed.
    """
    return _pool(
        tf.nn.max_pool2d,
        scope or "MaxPool2D",
        inputs,
        kernel_size,
        stride,
        padding,
        data_format,
        outputs_collections,
    )


@shares_arg_scope(tf_slim.avg_pool2d)
def avg_pool2d(
    inputs: tf.Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] = 2,
    padding: str = "VALID",
    data_format: str = "NHWC",
    outputs_collections: Any = None,
    scope: str | None = None,
) -> tf.Tensor:
    """The mean of each window, over what lies inside. Arguments as of `max_pool2d`."""
    return _pool(
        tf.nn.avg_pool2d,
        scope or "AvgPool2D",
        inputs,
        kernel_size,
        stride,
        padding,
        data_format,
        outputs_collections,
    )


@add_arg_scope
def blur_pool2d(
    inputs: tf.Tensor,
    stride: int = 2,
    rate: int = 1,
    outputs_collections: Any = None,
    scope: str | None = None,
) -> tf.Tensor:
    """Blurs with the 3x3 binomial filter, edges reflected, then subsamples.

    Args:
        inputs: `[batch, height, width, channels]`.
        stride: of the outputs.
        rate: distance between the pixels that are mixed.
        outputs_collections: collections for the outputs.
        scope: name of the name scope.
    """
    with tf.name_scope(scope or "BlurPool2D") as name:
        sides = [rate, rate]
        padded = tf.pad(inputs, [[0, 0], sides, sides, [0, 0]], "REFLECT")
        for axis in (1, 2):
            size = tf.shape(inputs)[axis]
            parts = [
                tf.gather(padded, tf.range(start, start + size), axis=axis)
                for start in (0, rate, 2 * rate)
            ]
            padded = 0.25 * parts[0] + 0.5 * parts[1] + 0.25 * parts[2]
        outputs = padded[:, ::stride, ::stride]
        return end_points.collect(outputs_collections, name, outputs)


def _pool(
    pool: Callable,
    scope: str,
    inputs: tf.Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int],
    padding: str,
    data_format: str,
    outputs_collections: Any,
) -> tf.Tensor:
    if data_format not in ("NHWC", "NCHW"):
        raise ValueError(f"data_format={data_format!r}; allowed are 'NHWC' and 'NCHW'.")
    with tf.name_scope(scope) as name:
        inputs = tf.convert_to_tensor(inputs)
        if inputs.shape.rank != 4:
            raise ValueError(
                f"{name}: 2-D pooling takes inputs of rank 4; got shape {inputs.shape}."
            )
        outputs = pool(
            inputs,
            list(common.tuple_of(kernel_size, 2, "kernel_size")),
            list(common.tuple_of(stride, 2, "stride")),
            padding.upper(),
            data_format=data_format,
        )
        return end_points.collect(outputs_collections, name, outputs)
