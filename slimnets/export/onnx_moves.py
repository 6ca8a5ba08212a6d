"""How operations that move, cut and join values are written in ONNX; see onnx_ops."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from slimnets.export.graph import NodeDef
from slimnets.export.onnx_writer import AXIS_IN_FIRST, TO_FIRST, Unsupported, Writer

_FAR = 2**31 - 1


def axes_of(writer: Writer, node: NodeDef, index: int, rank: int) -> list[int]:
    """Returns the axes that an input of a node holds, counted from the first, sorted.

    Raises:
        Unsupported: if they are not constants.
    """
    value = writer.known(node, index, "axes are")
    return sorted(int(axis) % rank for axis in value.ravel())


def squeeze_to(writer: Writer, name: str, axes: list[int], output: str) -> None:
    """Emits a tensor without dimensions of size 1."""
    places = writer.integers(f"{output}/squeezed_axes", axes)
    writer.emit("Squeeze", [name, places], output)


def _squeeze(writer: Writer, node: NodeDef) -> None:
    shape = writer.shape(node)
    axes = [axis % len(shape) for axis in node.attr["squeeze_dims"].list.i]
    axes = sorted(axes) or [i for i, size in enumerate(shape) if size == 1]
    first = writer.is_first(node) and axes == [1, 2]
    name = writer.get(node, first=first)
    squeeze_to(writer, name, [2, 3] if first else axes, node.name)


def _expand(writer: Writer, node: NodeDef) -> None:
    axes = axes_of(writer, node, 1, writer.rank(node) + 1)
    places = writer.integers(f"{node.name}/axes", axes)
    writer.emit("Unsqueeze", [writer.get(node), places], node.name)


def _reshape(writer: Writer, node: NodeDef) -> None:
    size = writer.known(node, 1, "size is")
    places = writer.integers(f"{node.name}/size", size.tolist())
    writer.emit("Reshape", [writer.get(node), places], node.name)


def _transpose(writer: Writer, node: NodeDef) -> None:
    permutation = writer.known(node, 1, "order of axes is").tolist()
    writer.emit("Transpose", [writer.get(node)], node.name, perm=permutation)


def _concat(writer: Writer, node: NodeDef) -> None:
    count = len(node.input) - 1
    rank = writer.rank(node)
    (axis,) = axes_of(writer, node, count, rank)
    first = rank == 4 and any(writer.is_first(node, i) for i in range(count))
    inputs = [writer.get(node, i, first=first) for i in range(count)]
    axis = AXIS_IN_FIRST[axis] if first else axis
    writer.emit("Concat", inputs, node.name, first=first, axis=axis)


def _pad(writer: Writer, node: NodeDef) -> None:
    widths, first = writer.known(node, 1, "widths are"), writer.is_first(node)
    if node.op == "MirrorPad" and node.attr["mode"].s != b"REFLECT":
        raise Unsupported("its mode is not REFLECT")
    if first:
        widths = widths[list(TO_FIRST)]
    places = writer.integers(f"{node.name}/widths", widths.T.ravel().tolist())
    inputs = [writer.as_is(node), places]
    if node.op == "PadV2":
        inputs.append(writer.get(node, 2))
        if _before_max_pool(writer, node):
            _pad_negated(writer, node, inputs)
            return
    mode = "reflect" if node.op == "MirrorPad" else "constant"
    writer.emit_alike("Pad", inputs, node.name, mode=mode)


def _before_max_pool(writer: Writer, node: NodeDef) -> bool:
    """Whether zeros are padded that may win in a max pool.

    ONNX Runtime 1.31 takes such a padding for the pool's own, in which nothing wins.
    """
    readers = [writer.graph.nodes[name] for name in writer.graph.consumers[node.name]]
    pooled = any(reader.op == "MaxPool" for reader in readers)
    return pooled and not writer.value(node, 2).any()


def _pad_negated(writer: Writer, node: NodeDef, inputs: list[str]) -> None:
    turned, padded = f"{node.name}/negated", f"{node.name}/padded"
    writer.emit_alike("Neg", inputs[:1], turned)
    writer.emit_alike("Pad", [turned, *inputs[1:]], padded)
    writer.emit_alike("Neg", [padded], node.name)


def _gather(writer: Writer, node: NodeDef) -> None:
    rank, first = writer.rank(node), writer.is_first(node)
    (axis,) = axes_of(writer, node, 2, rank)
    if node.attr["batch_dims"].i or writer.rank(node, 1) > 1:
        raise Unsupported("it has batch_dims, or places of more than one dimension")
    keeps = writer.rank(node, 1) == 1
    first = first and keeps
    inputs = [writer.get(node, first=first), writer.get(node, 1)]
    axis = AXIS_IN_FIRST[axis] if first else axis
    writer.emit("Gather", inputs, node.name, first=first, axis=axis)


def _slice(writer: Writer, node: NodeDef) -> None:
    bounds = [writer.known(node, index, "bounds are") for index in (1, 2, 3)]
    masks = {
        key: node.attr[f"{key}_mask"].i
        for key in ("begin", "end", "shrink_axis", "ellipsis", "new_axis")
    }
    if masks["new_axis"]:
        raise Unsupported("it adds dimensions")
    first = writer.is_first(node) and not masks["shrink_axis"]
    starts, ends, axes, steps, gone = [], [], [], [], []
    skipped = 0
    for place, (begin, end, step) in enumerate(np.stack(bounds, 1).tolist()):
        bit, axis = 1 << place, place + skipped
        if masks["ellipsis"] & bit:  # As many axes as the others leave.
            skipped = writer.rank(node) - len(bounds[0])
            continue
        if masks["shrink_axis"] & bit:
            end, step = (begin + 1) or _FAR, 1
            gone.append(axis)
        elif masks["begin"] & bit:
            begin = 0 if step > 0 else _FAR
        if masks["end"] & bit and axis not in gone:
            end = _FAR if step > 0 else -_FAR
        starts.append(begin)
        ends.append(end)
        axes.append(AXIS_IN_FIRST[axis] if first else axis)
        steps.append(step)
    inputs = [writer.get(node, first=first)]
    for key, values in zip(
        ("starts", "ends", "axes", "steps"), (starts, ends, axes, steps), strict=True
    ):
        inputs.append(writer.integers(f"{node.name}/{key}", values))
    output = f"{node.name}/sliced" if gone else node.name
    writer.emit("Slice", inputs, output, first=first)
    if gone:
        squeeze_to(writer, output, gone, node.name)


MOVES: dict[str, Callable[[Writer, NodeDef], None]] = {
    "Squeeze": _squeeze,
    "ExpandDims": _expand,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "ConcatV2": _concat,
    "Pad": _pad,
    "PadV2": _pad,
    "MirrorPad": _pad,
    "GatherV2": _gather,
    "StridedSlice": _slice,
}
