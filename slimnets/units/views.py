"""What an operation's output sees of the input: strides and receptive fields.

Source: Araujo et al., Computing Receptive Fields of Convolutional Neural Networks,
Distill 2019.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import tensorflow as tf

WHOLE = math.inf
CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative")
POOLS = ("MaxPool", "AvgPool")
NORMS = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
_BLOCKS = ("SpaceToBatchND", "BatchToSpaceND")


@dataclasses.dataclass(frozen=True)
class View:
    """What a tensor sees of the input, by height and width.

    Attributes:
        strides: pixels of the input between neighbours.
        fields: pixels of the input that one value sees; infinite for all.
    """

    strides: tuple[float, float] = (1, 1)
    fields: tuple[float, float] = (1, 1)


def view_of(op: tf.Operation, views: Sequence[View]) -> View:
    """Returns what an operation's output sees.

    Args:
        op: of any type.
        views: of its inputs; of several the widest counts, but not the whole image by
            which squeeze-and-excitation scales what a position sees.
    """
    if op.type == "Mul":
        views = [view for view in views if WHOLE not in view.fields] or views
    strides = [max(sizes) for sizes in zip(*(v.strides for v in views), strict=True)]
    fields = [max(sizes) for sizes in zip(*(v.fields for v in views), strict=True)]
    if op.type in ("Mean", "Max") and is_over_space(op):
        return View(tuple(strides), (WHOLE, WHOLE))
    for axis in (0, 1):
        size, step, rate = window_of(op, axis)
        fields[axis] += (size - 1) * rate * strides[axis]
        strides[axis] *= step
    return View(tuple(strides), tuple(fields))


def window_of(op: tf.Operation, axis: int) -> tuple[int, float, int]:
    """Returns an operation's kernel size, stride and rate; most have the window 1.

    The stride of what makes an image larger is below 1.

    Args:
        op: of any type.
        axis: 0 for the height, 1 for the width.
    """
    if op.type in CONVOLUTIONS:
        place = axis + place_of_height(op)
        strides, rates = op.get_attr("strides"), op.get_attr("dilations")
        return sizes_of(op.inputs[1])[axis] or 1, strides[place], rates[place]
    if op.type in POOLS:
        place = axis + place_of_height(op)
        return op.get_attr("ksize")[place], op.get_attr("strides")[place], 1
    if op.type == "Conv2DBackpropInput":  # A transposed convolution.
        step = op.get_attr("strides")[axis + place_of_height(op)]
        return math.ceil((sizes_of(op.inputs[1])[axis] or 1) / step), 1 / step, 1
    if op.type == "StridedSlice":
        return 1, slice_of(op)[1][axis], 1
    if op.type in _BLOCKS:
        block = block_of(op)[axis]
        return 1, block if op.type == "SpaceToBatchND" else 1 / block, 1
    if op.type.startswith("Resize"):
        before, after = (
            sizes_of(tensor)[1 + axis] for tensor in (op.inputs[0], op.outputs[0])
        )
        return 1, before / after if before and after else 1, 1
    return 1, 1, 1


def sizes_of(tensor: tf.Tensor) -> list[int | None]:
    """Returns a shape as integers also where TensorFlow 1's behaviour is on."""
    return tensor.shape.as_list()


def place_of_height(op: tf.Operation) -> int:
    """The place of the height in the shapes of a convolution or pool."""
    return 2 if op.get_attr("data_format") == b"NCHW" else 1


def slice_of(op: tf.Operation) -> tuple[tuple[int, int], tuple[int, int]]:
    """Returns the first row and column that a slice of images takes, and its steps."""
    begin, steps = (tf.get_static_value(op.inputs[place]) for place in (1, 3))
    masks = ("ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
    rank = op.inputs[0].shape.rank
    plain = rank == 4 and not any(op.get_attr(mask) for mask in masks)
    if not plain or begin is None or steps is None or len(begin) < 3:
        return (0, 0), (1, 1)
    open_at = op.get_attr("begin_mask")
    first = [0 if open_at >> axis & 1 else max(int(begin[axis]), 0) for axis in (1, 2)]
    return tuple(first), (int(steps[1]), int(steps[2]))


def block_of(op: tf.Operation) -> tuple[int, int]:
    """Returns the height and width of a space-to-batch's block, or its inverse's."""
    block = tf.get_static_value(op.inputs[1])
    if block is None:
        return 1, 1
    return (1, int(block[0])) if len(block) == 1 else (int(block[0]), int(block[1]))


def is_over_space(op: tf.Operation) -> bool:
    """Whether a reduction leaves out positions, and not the batch or channels."""
    axes = tf.get_static_value(op.inputs[1])
    rank = op.inputs[0].shape.rank
    if axes is None or rank is None or rank < 3:
        return False
    reduced = {int(axis) % rank for axis in axes.reshape(-1)}
    return bool(reduced) and 0 not in reduced and rank - 1 not in reduced
