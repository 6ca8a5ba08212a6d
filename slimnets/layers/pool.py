"""Pooling over the spatial dimensions. Source: tf_slim/layers/layers.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tf_slim

from slimnets import end_points
from slimnets.layers import common
from slimnets.scopes import shares_arg_scope


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
