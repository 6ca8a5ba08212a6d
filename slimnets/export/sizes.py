"""Sizes of activations, which are constants once the images have a size."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from slimnets.export.graph import NodeDef, NodeGraph


def known_size(graph: NodeGraph, imported: tf.Graph, name: str) -> np.ndarray | None:
    """Returns the value of an integer node that shapes alone tell; None if they do not.

    Args:
        graph: the nodes.
        imported: the same as a graph.
        name: a node of it.
    """
    tensor = imported.get_tensor_by_name(f"{name}:0")
    if tensor.dtype not in (tf.int32, tf.int64):
        return None
    node = graph.nodes[name]
    if node.op == "StridedSlice" and graph.source(node).op == "Shape":
        shape = imported.get_tensor_by_name(f"{graph.source(node).input[0]}:0").shape
        return _part_of_shape(graph, node, shape)
    return tf.get_static_value(tensor)


def _part_of_shape(
    graph: NodeGraph, node: NodeDef, shape: tf.TensorShape
) -> np.ndarray | None:
    """Evaluates `shape[begin:end:stride]`, or `shape[begin]`."""
    bounds = [graph.value(name) for name in node.input[1:4]]
    if shape.rank is None or any(b is None or b.size != 1 for b in bounds):
        return None
    begin, end, stride = (int(b[0]) for b in bounds)
    if node.attr["shrink_axis_mask"].i:
        part = shape.as_list()[begin]
    else:
        first = None if node.attr["begin_mask"].i else begin
        last = None if node.attr["end_mask"].i else end
        part = shape.as_list()[slice(first, last, stride)]
    if part is None or (isinstance(part, list) and None in part):
        return None
    return np.array(part, tf.as_dtype(node.attr["T"].type).as_numpy_dtype)


def with_free_batch(graph: NodeGraph) -> None:
    """Gives reshapes constant sizes, with -1 for the one that is not known."""
    shapes = graph.shapes()
    for node in graph.of("Reshape"):
        shape = shapes[node.name]
        if graph.value(node.input[1]) is not None or not shape.rank:
            continue
        sizes = [-1 if size is None else size for size in shape.as_list()]
        if sizes.count(-1) <= 1:
            name = graph.constant(f"{node.name}/size", np.array(sizes, np.int32))
            graph.set_input(node, 1, name)
    graph.prune()
