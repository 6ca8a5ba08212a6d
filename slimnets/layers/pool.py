"""Pooling over height and width, and over frames too.

Source: tf_slim/layers/layers.py; blur pool: Zhang 2019, arXiv:1904.11486.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tf_slim

from slimnets import end_points
from slimnets.layers import building
from slimnets.layers.places import activations
from slimnets.scopes import add_arg_scope, shares_arg_scope


@shares_arg_scope(tf_slim.max_pool2d, "MaxPool2D")
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
        functools.partial(tf.nn.max_pool2d, name="MaxPool"),
        scope or "MaxPool2D",
        inputs,
        kernel_size,
        stride,
        padding,
        data_format,
        outputs_collections,
    )


@shares_arg_scope(tf_slim.avg_pool2d, "AvgPool2D")
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
        functools.partial(tf.nn.avg_pool2d, name="AvgPool"),
        scope or "AvgPool2D",
        inputs,
        kernel_size,
        stride,
        padding,
        data_format,
        outputs_collections,
        place="means",
    )


@shares_arg_scope(tf_slim.max_pool3d, "MaxPool3D")
def max_pool3d(
    inputs: tf.Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] = 2,
    padding: str = "VALID",
    data_format: str = "NDHWC",
    outputs_collections: Any = None,
    scope: str | None = None,
) -> tf.Tensor:
    """The largest value of each window.

    Args:
        inputs: `[batch, frames, height, width, channels]`, or channels second for
            `NCDHW`.
        kernel_size: the window's size in each of the three, or an int for all.
        stride: the steps likewise.
        padding: `VALID` or `SAME`; padding never wins over a value.
        data_format: `NDHWC` or `NCDHW`.
        outputs_collections: collections for the outputs.
        scope: name of the name scope.

    Raises:
        ValueError: for inputs of another rank or an argument not allowed.
    """
    return _pool(
        _channels_last(tf.nn.max_pool3d),
        scope or "MaxPool3D",
        inputs,
        kernel_size,
        stride,
        padding,
        data_format,
        outputs_collections,
        dimensions=3,
    )


@shares_arg_scope(tf_slim.avg_pool3d, "AvgPool3D")
def avg_pool3d(
    inputs: tf.Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] = 2,
    padding: str = "VALID",
    data_format: str = "NDHWC",
    outputs_collections: Any = None,
    scope: str | None = None,
) -> tf.Tensor:
    """The mean of each window, over what lies inside. Arguments as of `max_pool3d`."""
    return _pool(
        _channels_last(tf.nn.avg_pool3d),
        scope or "AvgPool3D",
        inputs,
        kernel_size,
        stride,
        padding,
        data_format,
        outputs_collections,
        dimensions=3,
    )


@add_arg_scope(default_scope="BlurPool2D")
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
    dimensions: int = 2,
    place: str | None = None,
) -> tf.Tensor:
    building.is_channels_first(data_format, dimensions)
    with tf.name_scope(scope) as name:
        inputs = tf.convert_to_tensor(inputs)
        if inputs.shape.rank != dimensions + 2:
            raise ValueError(
                f"{name}: {dimensions}-D pooling takes inputs of rank {dimensions + 2};"
                f" got shape {inputs.shape}."
            )
        outputs = pool(
            inputs,
            list(building.tuple_of(kernel_size, dimensions, "kernel_size")),
            list(building.tuple_of(stride, dimensions, "stride")),
            padding.upper(),
            data_format=data_format,
        )
        if place:
            outputs = activations(outputs, scope=f"{scope}/{place}")
        return end_points.collect(outputs_collections, name, outputs)


def _channels_last(pool: Callable) -> Callable:
    """The pool of frames, which has no kernel with channels first on a CPU."""

    def pooled(inputs, kernel, strides, padding, data_format):
        first = building.is_channels_first(data_format, 3)
        if first:
            inputs = tf.transpose(inputs, [0, 2, 3, 4, 1])
        outputs = pool(inputs, kernel, strides, padding)
        return tf.transpose(outputs, [0, 4, 1, 2, 3]) if first else outputs

    return pooled
