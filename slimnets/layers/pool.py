"""Pooling over height and width, and over frames too.

Source: tf_slim/layers/layers.py; blur pool: Zhang 2019, arXiv:1904.11486.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tf_slim

from slimnets import end_points
from slimnets.layers import building
from slimnets.layers.places import activations
from slimnets.scopes import add_arg_scope, shares_arg_scope


def _pool_of(kind: str, dims: int, pool: Callable, like: Callable) -> Callable:
    """Returns a layer: `MaxPool` or `AvgPool` over two or three dimensions."""
    layout = "NHWC" if dims == 2 else "NDHWC"
    default_scope = f"{kind}{dims}D"

    def layer(
        inputs: tf.Tensor,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 2,
        padding: str = "VALID",
        data_format: str = layout,
        outputs_collections: Any = None,
        scope: str | None = None,
    ) -> tf.Tensor:
        """The largest value of each window, or the mean over what lies inside.

        Args:
            inputs: `[batch, height, width, channels]` (of three dimensions `[batch,
                frames, height, width, channels]`), or channels second for `NC...`.
            kernel_size: the window's size in each dimension, or an int for all.
            stride: the steps likewise.
            padding: `VALID` or `SAME`; padding never wins over a value.
            data_format: `NHWC` or `NCHW`; of three dimensions `NDHWC` or `NCDHW`.
            outputs_collections: collections for the outputs.
            scope: name of the name scope.

        Raises:
            ValueError: for inputs of another rank or an argument not allowed.
        """
        channels_first = building.is_channels_first(data_format, dims)
        scope = scope or default_scope
        with tf.name_scope(scope) as name:
            inputs = building.of_rank(inputs, dims + 2, f"{name}: {dims}-D pooling")
            sizes = (
                list(building.tuple_of(kernel_size, dims, "kernel_size")),
                list(building.tuple_of(stride, dims, "stride")),
            )
            if dims == 2:
                outputs = pool(inputs, *sizes, padding.upper(), data_format, name=kind)
            else:  # With channels second there is no kernel on a CPU.
                inputs = building.channels_last(inputs, channels_first)
                outputs = pool(inputs, *sizes, padding.upper())
                outputs = building.channels_second(outputs, channels_first)
            if default_scope == "AvgPool2D":
                outputs = activations(outputs, scope=f"{scope}/means")
            return end_points.collect(outputs_collections, name, outputs)

    layer.__name__ = layer.__qualname__ = like.__name__
    return shares_arg_scope(like, default_scope)(layer)


max_pool2d = _pool_of("MaxPool", 2, tf.nn.max_pool2d, tf_slim.max_pool2d)
avg_pool2d = _pool_of("AvgPool", 2, tf.nn.avg_pool2d, tf_slim.avg_pool2d)
max_pool3d = _pool_of("MaxPool", 3, tf.nn.max_pool3d, tf_slim.max_pool3d)
avg_pool3d = _pool_of("AvgPool", 3, tf.nn.avg_pool3d, tf_slim.avg_pool3d)


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
