"""Functions that research/slim's NASNets are made of, by its names.

The cells themselves are `slimnets.units.cells`.

Source: names and layout of research/slim's nets/nasnet/nasnet_utils.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from slimnets import layers
from slimnets.scopes import add_arg_scope

__all__ = [
    "calc_reduction_layers",
    "drop_path",
    "factorized_reduction",
    "get_channel_dim",
    "get_channel_index",
    "global_avg_pool",
]
# In the place of a data format, which an arg scope has to give.
INVALID = "null"


def calc_reduction_layers(num_cells: int, num_reduction_layers: int) -> list[int]:
    """Returns the numbers of the cells that a reduction comes before."""
    parts = num_reduction_layers + 1
    return [int(part / parts * num_cells) for part in range(1, parts)]


@add_arg_scope
def get_channel_index(data_format: str = INVALID) -> int:
    """Returns the dimension of the channels."""
    return 3 if _checked(data_format) == "NHWC" else 1


@add_arg_scope
def get_channel_dim(shape: Sequence[int], data_format: str = INVALID) -> int:
    """Returns the number of channels of a shape of four dimensions."""
    if len(shape) != 4:
        raise ValueError(f"shape={shape!r}; allowed are four dimensions.")
    return int(shape[3 if _checked(data_format) == "NHWC" else 1])


@add_arg_scope
def global_avg_pool(x: tf.Tensor, data_format: str = INVALID) -> tf.Tensor:
    """Returns the means over height and width, `[batch, channels]`."""
    axes = [1, 2] if _checked(data_format) == "NHWC" else [2, 3]
    return tf.reduce_mean(x, axes)


@add_arg_scope
def factorized_reduction(
    net: tf.Tensor, output_filters: int, stride: int, data_format: str = INVALID
) -> tf.Tensor:
    """Strides without leaving pixels out: half of the channels are of those between.

    Args:
        net: `[batch, height, width, channels]`, or channels second for `NCHW`.
        output_filters: number of output channels.
        stride: of the outputs; at 1 it is a 1x1 convolution.
        data_format: `NHWC` or `NCHW`.
    """
    first = _checked(data_format) == "NCHW"
    if stride == 1:
        net = layers.conv2d(net, output_filters, 1, scope="path_conv")
        return layers.batch_norm(net, scope="path_bn")
    sides, none = [[0, 1], [0, 1]], [[0, 0]]
    padding = [*none, *none, *sides] if first else [*none, *sides, *none]
    shifted = tf.pad(net, padding)
    shifted = shifted[:, :, 1:, 1:] if first else shifted[:, 1:, 1:, :]
    steps = [slice(None, None, stride)] * 2
    every = (..., *steps) if first else (slice(None), *steps)
    half = int(output_filters / 2)
    paths = [
        layers.conv2d(net[every], half, 1, scope="path1_conv"),
        layers.conv2d(shifted[every], output_filters - half, 1, scope="path2_conv"),
    ]
    return layers.batch_norm(tf.concat(paths, 1 if first else 3), scope="final_path_bn")


@add_arg_scope
def drop_path(
    net: tf.Tensor, keep_prob: float | tf.Tensor, is_training: bool = True
) -> tf.Tensor:
    """Sets whole examples to zero in training, and scales the others up."""
    shape = tf.stack([tf.shape(net)[0], 1, 1, 1])
    return layers.dropout(net, keep_prob, shape, is_training)


def _checked(data_format: str) -> str:
    if data_format not in ("NHWC", "NCHW"):
        raise ValueError(
            f"data_format={data_format!r}; allowed are 'NHWC' and 'NCHW'; an arg scope "
            "may give it."
        )
    return data_format
