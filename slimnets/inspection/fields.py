"""Which pixels of the input one position of an activation sees.

Followed backwards from the activation through convolutions, pools and paddings.
Source: Araujo et al., Computing Receptive Fields of Convolutional Neural Networks,
Distill 2019, section "Computing receptive field region in input image".
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from slimnets.units.views import (
    CONVOLUTIONS,
    POOLS,
    block_of,
    is_over_space,
    place_of_height,
    sizes_of,
    slice_of,
    window_of,
)


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

    def moved(self, down: int, right: int) -> Region:
        """Returns it that many rows further down and columns further right."""
        return Region(
            self.top + down, self.left + right, self.bottom + down, self.right + right
        )

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
    height, width = sizes_of(outputs)[1:3] if outputs.shape.rank == 4 else (None, None)
    if height is None or width is None:
        raise ValueError(
            f"{outputs.name} has the shape {outputs.shape}; a receptive field is of "
            "[batch, height, width, channels] with a known height and width."
        )
    if not (0 <= row < height and 0 <= column < width):
        raise ValueError(
            f"The position ({row}, {column}) is not in {outputs.name} of "
            f"{height} x {width}."
        )
    # By operation: what is seen of its output, and the block in which space is
    # interleaved there, for dilated convolutions that are computed by dense ones.
    seen = {outputs.op.name: (Region(row, column, row, column), (1, 1))}
    for op in reversed(outputs.graph.get_operations()):
        if op.name not in seen:
            continue
        region, block = seen.pop(op.name)
        if op is inputs.op:
            return region
        if is_squeeze(op):
            continue
        region, block = _before(op, region, block)
        for source in op.inputs:
            if source.shape.rank == 4:
                known, _ = seen.get(source.op.name, (region, block))
                seen[source.op.name] = region.with_(known), block
    raise ValueError(
        f"{outputs.name} does not depend on {inputs.name} by convolutions and pools."
    )


def is_squeeze(op: tf.Operation) -> bool:
    """Whether an operation reduces an image to one value for each channel."""
    return op.type in ("Mean", "Max") and is_over_space(op)


def _before(op: tf.Operation, region: Region, block) -> tuple[Region, tuple[int, int]]:
    """The region of an operation's input behind one of its output, and its block."""
    if op.type in ("Pad", "PadV2", "MirrorPad"):
        top, left = _paddings(op, 1)[1:3]
        return region.moved(-top, -left), block
    if op.type == "SpaceToBatchND":
        top, left = _paddings(op, 2)
        return region.moved(-top, -left), (1, 1)
    if op.type == "BatchToSpaceND":
        top, left = _paddings(op, 2)
        return region.moved(top, left), block_of(op)
    if op.type == "StridedSlice":
        (top, left), (down, right) = slice_of(op)
        return Region(
            region.top * down + top, region.left * right + left,
            region.bottom * down + top, region.right * right + left,
        ), block  # fmt: skip
    if op.type not in (*CONVOLUTIONS, *POOLS):
        return region, block
    rows = _axis(op, 0, region.top, region.bottom, block[0])
    columns = _axis(op, 1, region.left, region.right, block[1])
    return Region(rows[0], columns[0], rows[1], columns[1]), block


def _paddings(op: tf.Operation, place: int) -> list[int]:
    """What an operation adds, or crops, before the first row, column, and so on."""
    paddings = tf.get_static_value(op.inputs[place])
    if paddings is None:
        raise ValueError(
            f"The paddings of {op.name} are computed when the graph runs; a receptive "
            "field needs them beforehand."
        )
    before = [int(pair[0]) for pair in paddings]
    return before if len(before) > 1 else [0, *before]


def _axis(
    op: tf.Operation, axis: int, first: int, last: int, block: int
) -> tuple[int, int]:
    size, stride, rate = map(int, window_of(op, axis))
    reach, before = (size - 1) * rate, 0
    place = axis + place_of_height(op)
    if op.get_attr("padding") == b"SAME":
        ends = op.inputs[0], op.outputs[0]
        given, made = (tensor.shape.as_list()[place] for tensor in ends)
        before = max((made - 1) * stride + reach + 1 - given, 0) // 2
    elif op.get_attr("padding") == b"EXPLICIT":
        before = op.get_attr("explicit_paddings")[2 * place]
    before, reach = before * block, reach * block
    return first * stride - before, last * stride - before + reach
