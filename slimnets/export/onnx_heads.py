"""How operations of detectors and segmenters are written in ONNX; see onnx_ops."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from slimnets.export.graph import NodeDef
from slimnets.export.onnx_moves import axes_of
from slimnets.export.onnx_writer import Unsupported, Writer


def _tile(writer: Writer, node: NodeDef) -> None:
    times = writer.known(node, 1, "number of repetitions is")
    places = writer.integers(f"{node.name}/times", times.tolist())
    writer.emit("Tile", [writer.get(node), places], node.name)


def _zeros_like(writer: Writer, node: NodeDef) -> None:
    first, size = writer.is_first(node), f"{node.name}/size"
    writer.emit("Shape", [writer.get(node, first=first)], size)
    writer.emit("ConstantOfShape", [size], node.name, first=first)


def _resize(writer: Writer, node: NodeDef) -> None:
    size = writer.known(node, 1, "size is")
    aligned = node.attr["align_corners"].b
    if not aligned and not node.attr["half_pixel_centers"].b:
        raise Unsupported("its pixels' centres are not where tf.image.resize has them")
    images, name = writer.get(node, first=True), node.name
    # Sizes and no factors, whose products might be rounded to others.
    start, end = (writer.integers(f"{name}/from_{i}", [i]) for i in (0, 2))
    writer.emit("Shape", [images], f"{name}/shape")
    writer.emit("Slice", [f"{name}/shape", start, end], f"{name}/outer")
    sides = writer.integers(f"{name}/sides", size.tolist())
    writer.emit("Concat", [f"{name}/outer", sides], f"{name}/whole", axis=0)
    writer.emit(
        "Resize",
        [images, "", "", f"{name}/whole"],
        name,
        first=True,
        mode="linear",
        coordinate_transformation_mode="align_corners" if aligned else "half_pixel",
    )


def _argmax(writer: Writer, node: NodeDef) -> None:
    (axis,) = axes_of(writer, node, 1, writer.rank(node))
    place = f"{node.name}/place"
    writer.emit("ArgMax", [writer.get(node)], place, axis=axis, keepdims=0)
    writer.emit("Cast", [place], node.name, to=writer.element_type(tf.int32))


def _suppression(writer: Writer, node: NodeDef) -> None:
    """`CombinedNonMaxSuppression`: ONNX's own gives places, of which the best of all
    classes are chosen here."""
    name = node.name
    shape, (_, anchors, classes) = writer.shape(node), writer.shape(node, 1)
    if shape[2] != 1 or None in (anchors, classes) or node.attr["clip_boxes"].b:
        raise Unsupported("its boxes are one for each class, clipped, or any number")
    per_class, total, overlap, least = (
        writer.known(node, i, "limits are").item() for i in (2, 3, 4, 5)
    )

    def emit(op: str, inputs: list[str], output: str, **attributes) -> str:
        writer.emit(op, inputs, f"{name}/{output}", **attributes)
        return f"{name}/{output}"

    def integers(output: str, *values: int) -> str:
        return writer.integers(f"{name}/{output}", list(values))

    def scalar(output: str, value: float) -> str:
        return writer.constant(f"{name}/{output}", np.array(value, np.float32))

    boxes = emit("Squeeze", [writer.get(node), integers("two", 2)], "each")
    scores = emit("Transpose", [writer.get(node, 1)], "by_class", perm=[0, 2, 1])
    limits = [scalar("overlap", overlap), scalar("least_score", least)]
    chosen = emit(
        "NonMaxSuppression",
        [boxes, scores, integers("per_class", per_class), *limits],
        "chosen",
    )
    # Scores where a box is kept, zeros elsewhere: [batch, classes * anchors].
    kept = emit("GatherND", [scores, chosen], "kept_scores")
    zeros = emit("ConstantOfShape", [emit("Shape", [scores], "shape")], "zeros")
    kept = emit("ScatterND", [zeros, chosen, kept], "kept")
    flat = emit("Reshape", [kept, integers("flat_size", 0, classes * anchors)], "flat")
    if (missing := total - classes * anchors) > 0:
        widths = integers("widths", 0, 0, 0, missing)
        flat = emit("Pad", [flat, widths], "filled")
    best, places = f"{name}:1", f"{name}/places"
    writer.emit("TopK", [flat, integers("total", total)], best, places, axis=1)
    number = integers("anchors", anchors)
    label = emit("Div", [places, number], "label")
    anchor = emit("Unsqueeze", [emit("Mod", [places, number], "anchor"),
                                integers("last", 2)], "anchors_of_each")  # fmt: skip
    found = emit("GatherND", [boxes, anchor], "boxes", batch_dims=1)
    is_real = emit("Greater", [best, scalar("nothing", 0.0)], "is_real")
    real = emit("Cast", [is_real], "real", to=writer.element_type(tf.float32))
    column = emit("Unsqueeze", [real, integers("last", 2)], "column")
    writer.emit("Mul", [found, column], name)
    label = emit("Cast", [label], "labels", to=writer.element_type(tf.float32))
    writer.emit("Mul", [label, real], f"{name}:2")
    axis = integers("one", 1)
    count = emit("ReduceSum", [real, axis], "count", keepdims=0)
    writer.emit("Cast", [count], f"{name}:3", to=writer.element_type(tf.int32))


HEADS: dict[str, Callable[[Writer, NodeDef], None]] = {
    "Tile": _tile,
    "ZerosLike": _zeros_like,
    "ResizeBilinear": _resize,
    "ArgMax": _argmax,
    "CombinedNonMaxSuppression": _suppression,
}
