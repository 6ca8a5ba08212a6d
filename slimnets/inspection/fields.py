"""Which pixels of the input one position of an activation sees.

Followed backwards from the activation through convolutions, pools and paddings.
Source: Araujo et al., Computing Receptive Fields of Convolutional Neural Networks,
Distill 2019, section "Computing receptive field region in input image".
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from slimnets.inspection.layers import is_over_space, place_of_height, window_of

_WINDOWS = ("Conv2D", "DepthwiseConv2dNative", "MaxPool", "AvgPool")


@dataclasses.dataclass(frozen=True)
class Region:
    """Rows and columns from first to last, inclusive; outside of the image too."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top + 1

    @property
    def width(self) -> int:
        return self.right - self.left + 1

    def with_(self, other: Region) -> Region:
        """Returns the smallest region that holds both."""
        return Region(
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )


def field_of(outputs: tf.Tensor, inputs: tf.Tensor, row: int, column: int) -> Region:
    """Returns the region of `inputs` that a position of `outputs` depends on.

    Convolutions, pools and paddings widen it; squeeze-and-excitation and group norm,
    by which a position depends on the whole image a little, do not.

    Args:
        outputs: `[batch, height, width, channels]`, of a known size.
        inputs: images that `outputs` are computed from.
        row, column: the position.

    Raises:
        ValueError: if the outputs have no positions, the position is not in them, or
            they do not depend on the inputs.
    """
    shape = outputs.shape
    if shape.rank != 4 or None in shape[1:3]:
        raise ValueError(
            f"{outputs.name} has the shape {shape}; a receptive field is of [batch, "
            "height, width, channels] with a known height and width."
        )
    if not (0 <= row < shape[1] and 0 <= column < shape[2]):
        raise ValueError(
            f"The position ({row}, {column}) is not in {outputs.name} of "
            f"{shape[1]} x {shape[2]}."
        )
    regions = {outputs.op.name: Region(row, column, row, column)}
    for op in reversed(outputs.graph.get_operations()):
        region = regions.pop(op.name, None)
        if region is None:
            continue
        if op is inputs.op:
            return region
        if is_squeeze(op):
            continue
        seen = _seen(op, region)
        for source in op.inputs:
            if source.shape.rank == 4:
                name = source.op.name
                known = regions.get(name, seen)
                regions[name] = seen.with_(known)
    raise ValueError(
        f"{outputs.name} does not depend on {inputs.name} by convolutions and pools."
    )


def is_squeeze(op: tf.Operation) -> bool:
    """Whether an operation reduces an image to one value for each channel."""
    return op.type in ("Mean", "Max") and is_over_space(op)


def _seen(op: tf.Operation, region: Region) -> Region:
    """The region of an operation's input behind one of its output."""
    if op.type in ("Pad", "PadV2", "MirrorPad"):
        before = tf.get_static_value(op.inputs[1])[:, 0]
        top, left = int(before[1]), int(before[2])
        return Region(
            region.top - top, region.left - left, region.bottom - top,
            region.right - left,
        )  # fmt: skip
    if op.type not in _WINDOWS:
        return region
    rows = _axis(op, 0, region.top, region.bottom)
    columns = _axis(op, 1, region.left, region.right)
    return Region(rows[0], columns[0], rows[1], columns[1])


def _axis(op: tf.Operation, axis: int, first: int, last: int) -> tuple[int, int]:
    size, stride, rate = window_of(op, axis)
    reach = (size - 1) * rate
    before = 0
    place = axis + place_of_height(op)
    if op.get_attr("padding") == b"SAME":
        given = op.inputs[0].shape[place]
        made = op.outputs[0].shape[place]
        before = max((made - 1) * stride + reach + 1 - given, 0) // 2
    elif op.get_attr("padding") == b"EXPLICIT":
        before = op.get_attr("explicit_paddings")[2 * place]
    return first * stride - before, last * stride - before + reach
