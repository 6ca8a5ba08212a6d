"""Norms of pre-activation networks, which no convolution stands directly before.

Such a norm, `relu(scale * x + shift)`, is of a sum x that goes on beside it, so it
cannot be folded as others are. Its scale passes through the activation into the weights
that follow. Its shift is added to x by the bias of a convolution before it, and taken
off by the bias of the next one that is added to x, so that the activation alone
remains: the residual sum is carried with another offset in each unit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from slimnets.export.graph import NodeDef, NodeGraph, node_of
from slimnets.export.weights import times_inputs, weights_of

SUMS = ("AddV2", "Add", "BiasAdd")
# These give for x + c, c of one value a channel, what they give for x, and c.
_KEEP_OFFSETS = ("MaxPool", "AvgPool", "Squeeze")
# What is carried with a larger offset would be rounded too coarsely.
_LARGEST_OFFSET = 64.0


def scales_behind_relus(graph: NodeGraph) -> None:
    """Turns `relu(scale * x + shift)` into `scale * relu(x + shift / scale)`, where all
    scales are positive, and moves the product into the layers that follow.

    Where scales are negative too, or other nodes follow, only the order changes:
    `relu(scale * (x + shift / scale))`.
    """
    for relu in graph.of("Relu"):
        total = graph.source(relu)
        product = graph.source(total)
        if not (_is_sum(graph, total) and product.op == "Mul"):
            continue
        scale, shift = (graph.value(node.input[1]) for node in (product, total))
        private = graph.is_private(total.name) and graph.is_private(product.name)
        if not private or scale is None or scale.ndim != 1 or not scale.all():
            continue
        offset = shift / scale
        if np.abs(offset).max() > _LARGEST_OFFSET:
            continue
        readers = [graph.nodes[name] for name in graph.consumers[relu.name]]
        weights = [weights_of(graph, reader) for reader in readers]
        passes = scale.min() > 0 and relu.name not in graph.outputs
        graph.set_value(total, offset)
        if passes and all(w is not None for w in weights):
            for reader, old in zip(readers, weights, strict=True):
                graph.set_value(reader, times_inputs(reader, old, scale))
            graph.bypass(product.name, product.input[0])
        else:
            graph.set_input(total, 0, product.input[0])
            graph.set_input(relu, 0, product.name)
            graph.set_input(product, 0, total.name)
    graph.prune()


def shifts_before_sums(graph: NodeGraph) -> None:
    """Lets biases before a sum with a constant, and beside it, make it superfluous."""
    for shift in graph.of(*SUMS):
        if not _is_sum(graph, shift) or shift.name in graph.outputs:
            continue
        offset, shifted = graph.value(shift.input[1]), shift.input[0]
        if np.abs(offset).max() > _LARGEST_OFFSET or shifted in graph.outputs:
            continue
        before = _bias_within(graph, shifted)
        others = [name for name in graph.consumers[shifted] if name != shift.name]
        beside = [_biases_beside(graph, graph.nodes[o], shifted) for o in others]
        if before is None or shift is before or any(b is None for b in beside):
            continue
        graph.set_value(before, graph.value(before.input[1]) + offset)
        for node in [each for biases in beside for each in biases]:
            graph.set_value(node, graph.value(node.input[1]) - offset)
        graph.bypass(shift.name, shifted)
    graph.prune()


def activations_apart(graph: NodeGraph) -> None:
    """Puts `max(x, 0)` in the place of `relu(x)` where others read the sum x too.

    TensorFlow's own optimizer (2.16 to 2.21) would make one operation of convolution,
    bias, sum and such a relu, find the sum missing for the others ("Mutation::Apply
    error"), and then leave the whole graph as it was.
    """
    for relu in graph.of("Relu"):
        total = graph.source(relu)
        shared = total.op in SUMS and not graph.is_private(total.name)
        if shared and not _is_sum(graph, total) and relu.name not in graph.outputs:
            name, dtype = f"{relu.name}/apart", graph.dtype(relu)
            zero = np.zeros([], dtype.as_numpy_dtype)
            apart = graph.with_constant("Maximum", name, relu.input[0], zero, dtype)
            graph.bypass(relu.name, apart)


def _is_sum(graph: NodeGraph, node: NodeDef) -> bool:
    """Whether a node adds a constant of one value for each channel."""
    value = graph.value(node.input[1]) if node.op in SUMS else None
    return value is not None and value.ndim == 1


def _bias_within(graph: NodeGraph, name: str) -> NodeDef | None:
    """Returns a sum with a constant whose whole result is in that of a node."""
    node = graph.nodes[node_of(name)]
    if _is_sum(graph, node):
        return node
    if node.op in SUMS:
        inputs: Sequence[str] = node.input
    elif node.op in _KEEP_OFFSETS:
        inputs = node.input[:1]
    else:
        return None
    for each in inputs:
        found = _bias_within(graph, each) if graph.is_private(node_of(each)) else None
        if found is not None:
            return found
    return None


def _biases_beside(
    graph: NodeGraph, reader: NodeDef, name: str
) -> list[NodeDef] | None:
    """Returns the sums with constants that can take an offset off what a reader gives.

    Args:
        graph: the nodes.
        reader: a node that reads `name`.
        name: what gets the offset.

    Returns:
        None where there are none for some of those that read on.
    """
    if reader.name in graph.outputs:
        return None
    if reader.op in _KEEP_OFFSETS:
        names = graph.consumers[reader.name]
        found = [_biases_beside(graph, graph.nodes[n], reader.name) for n in names]
        if any(biases is None for biases in found):
            return None
        return [node for biases in found for node in biases]
    if reader.op not in SUMS:
        return None
    if _is_sum(graph, reader):
        return [reader]
    others = [each for each in reader.input if each != name]
    if len(others) != 1 or not graph.is_private(node_of(others[0])):
        return None
    bias = _bias_within(graph, others[0])
    return None if bias is None else [bias]
