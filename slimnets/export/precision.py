"""A frozen graph in float32 as one that computes in bfloat16 or float16.

Weights and activations of convolutions and of what stands between them are in the low
type; what goes in and comes out, and statistics of activations, are float32. The batch
norms are folded before, in float32, so that weights are rounded once.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from slimnets.export.graph import GraphDef, NodeGraph, node_of, type_attribute
from slimnets.units.views import CONVOLUTIONS

PRECISIONS = {
    "float32": tf.float32,
    "bfloat16": tf.bfloat16,
    "float16": tf.float16,
}
# These begin to compute in the low type,
_LAYERS = (*CONVOLUTIONS, "MatMul")
# and these go on in it, if what they are given is.
_FOLLOWERS = (
    "AddV2", "AvgPool", "BiasAdd", "ConcatV2", "ExpandDims", "GatherV2", "MaxPool",
    "MirrorPad", "Mul", "Pad", "PadV2", "Relu", "Relu6", "Reshape", "Squeeze",
    "StridedSlice", "Sub", "Transpose",
)  # fmt: skip
# What they are given as numbers of places or sizes has another type, and stays.
_TYPE_KEYS = ("T", "Tparams")


def to_precision(
    graph_def: GraphDef, outputs: Sequence[str], precision: str
) -> GraphDef:
    """Returns the graph computing in another type; the outputs stay float32.

    Args:
        graph_def: a frozen graph in float32.
        outputs: names of the nodes that are asked for.
        precision: `float32`, `bfloat16` or `float16`.

    Raises:
        ValueError: for another precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(
            f"precision={precision!r}; allowed are {', '.join(PRECISIONS)}."
        )
    graph = NodeGraph(graph_def, outputs)
    if precision != "float32":
        _lower(graph, PRECISIONS[precision])
    return graph.to_graph_def()


def _lower(graph: NodeGraph, low: tf.DType) -> None:
    lowered = _to_lower(graph)
    cast = functools.cache(functools.partial(_cast, graph, low))
    for node in list(graph.nodes.values()):
        is_low = node.name in lowered
        for index, name in enumerate(list(node.input)):
            value = graph.value(name)
            is_float = value is None or value.dtype == np.float32
            if is_low and is_float and name not in lowered:
                graph.set_input(node, index, cast(name, low))
            elif not is_low and name in lowered:
                graph.set_input(node, index, cast(name, tf.float32))
        if is_low:
            for key in _TYPE_KEYS:
                if key in node.attr:
                    node.attr[key].CopyFrom(type_attribute(low))
    graph.prune()


def _to_lower(graph: NodeGraph) -> set[str]:
    """The nodes that compute in the low type."""
    lowered: set[str] = set()
    for node in graph.nodes.values():
        varying = [node_of(n) for n in node.input if graph.value(n) is None]
        follows = node.op in _FOLLOWERS and any(name in lowered for name in varying)
        if (node.op in _LAYERS or follows) and node.name not in graph.outputs:
            lowered.add(node.name)
    return lowered


def _cast(graph: NodeGraph, low: tf.DType, name: str, dtype: tf.DType) -> str:
    """Adds what is called `name` in the other of the two types; returns its name."""
    value = graph.value(name)
    if value is not None:
        value = value.astype(dtype.as_numpy_dtype)
        return graph.constant(f"{name}/{dtype.name}", value)
    return graph.add(
        "Cast",
        f"{name}/{dtype.name}",
        (name,),
        SrcT=type_attribute(tf.float32 if dtype == low else low),
        DstT=type_attribute(dtype),
    )
