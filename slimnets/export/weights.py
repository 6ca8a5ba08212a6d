"""The weights of convolutions and dense layers, as factors and sums pass into them."""

from __future__ import annotations

import numpy as np

from slimnets.export.graph import NodeDef, NodeGraph, is_channels_last, type_attribute
from slimnets.units.views import CONVOLUTIONS


def convolutions(graph: NodeGraph) -> list[NodeDef]:
    """Returns the convolutions whose weights are constants."""
    found = graph.of(*CONVOLUTIONS)
    return [node for node in found if weights_of(graph, node) is not None]


def weights_of(graph: NodeGraph, node: NodeDef) -> np.ndarray | None:
    """Returns the weights of a layer in NHWC; None if it is none or they vary."""
    if node.op in CONVOLUTIONS:
        return graph.value(node.input[1]) if is_channels_last(node) else None
    if node.op == "MatMul" and not node.attr["transpose_a"].b:
        return graph.value(node.input[1])
    return None


def times_outputs(node: NodeDef, weights: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Returns the weights that give `scale`, one for each channel, times as much."""
    if node.op == "DepthwiseConv2dNative":
        return weights * scale.reshape(weights.shape[2:])
    if node.op == "MatMul" and node.attr["transpose_b"].b:
        return weights * scale[:, np.newaxis]
    return weights * scale


def times_inputs(node: NodeDef, weights: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Returns the weights that give for x what they gave for `scale * x`."""
    if node.op == "DepthwiseConv2dNative":
        return weights * scale[:, np.newaxis]
    if node.op == "MatMul":
        return weights * (scale if node.attr["transpose_b"].b else scale[:, np.newaxis])
    # A group of outputs sees its own share of the inputs.
    depth, outputs = weights.shape[2:]
    groups = len(scale) // depth
    return weights * np.repeat(scale.reshape(groups, depth).T, outputs // groups, 1)


def response(node: NodeDef, weights: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Returns the outputs, one for each channel, where each position is `inputs`."""
    weighted = times_inputs(node, weights, inputs)
    if node.op == "DepthwiseConv2dNative":
        return weighted.sum((0, 1)).ravel()
    if node.op == "MatMul":
        return weighted.sum(1 if node.attr["transpose_b"].b else 0)
    return weighted.sum((0, 1, 2))


def sees_padding(node: NodeDef, weights: np.ndarray) -> bool:
    """Whether a layer's windows may reach over its inputs' edge."""
    one = node.op == "MatMul" or weights.shape[:2] == (1, 1)
    return node.attr["padding"].s == b"EXPLICIT" or not (
        one or node.attr["padding"].s == b"VALID"
    )


def add_bias(graph: NodeGraph, node: NodeDef, bias: np.ndarray) -> None:
    """Adds a bias to what a layer gives; to the one that it has, if there is one."""
    readers = [graph.nodes[name] for name in graph.consumers[node.name]]
    if graph.is_private(node.name) and readers[0].op == "BiasAdd":
        old = graph.value(readers[0].input[1])
        if old is not None:
            graph.set_value(readers[0], old + bias)
            return
    dtype = graph.dtype(node)
    value = bias.astype(dtype.as_numpy_dtype)
    name = graph.constant(f"{node.name}/bias/value", value)
    added = graph.add(
        "BiasAdd", f"{node.name}/bias", (node.name, name), T=type_attribute(dtype)
    )
    graph.redirect(node.name, added)
