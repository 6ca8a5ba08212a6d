"""Paddings and dilations that stand around a convolution, as parts of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from slimnets.export.graph import (
    AttrValue,
    NodeDef,
    NodeGraph,
    is_channels_last,
    node_of,
    type_attribute,
)

# Larger than the windows of most dilated convolutions.
_ANY_SIZE = 64


def pads_into_convolutions(graph: NodeGraph) -> None:
    """Lets convolutions pad their images themselves, where a node does it for them."""
    for node in graph.of("Conv2D"):
        pad = graph.source(node)
        widths = graph.value(pad.input[1]) if pad.op == "Pad" else None
        if widths is not None and _is_plain(node):
            _pad_itself(node, widths)
            graph.set_input(node, 0, pad.input[0])
    graph.prune()


def dilations_into_convolutions(
    graph: NodeGraph, kinds: Sequence[str] = ("Conv2D",)
) -> None:
    """Replaces a dense convolution of interleaved pixels, with or without a bias, by a
    dilated one.

    TensorFlow makes dilated depthwise convolutions so, and has to: fused with their
    bias, its kernel for dilated ones ends the process (TensorFlow 2.21).

    Args:
        graph: the nodes.
        kinds: the operations that are replaced.
    """
    for last in graph.of("BatchToSpaceND"):
        node = end = graph.source(last)
        if end.op == "BiasAdd" and graph.is_private(end.name):
            node = graph.source(end)
        if node.op not in kinds or not _is_plain(node):
            continue
        first = graph.source(node)
        if first.op != "SpaceToBatchND" or not graph.is_private(node.name):
            continue
        rates, again = graph.value(first.input[1]), graph.value(last.input[1])
        if rates is None or again is None or len(rates) != 2:
            continue
        padded = _padded(graph, first, last, max(rates))
        if padded is None:
            continue
        widths = np.zeros([4, 2], np.int64)
        widths[1:3] = padded
        dense = list(node.attr["strides"].list.i) == [1, 1, 1, 1]
        if not dense or widths.min() < 0 or (rates != again).any():
            continue
        _pad_itself(node, widths)
        dilations = AttrValue.ListValue(i=[1, *rates.tolist(), 1])
        node.attr["dilations"].CopyFrom(AttrValue(list=dilations))
        graph.set_input(node, 0, first.input[0])
        graph.bypass(last.name, end.name)
    graph.prune()


def biases_behind_dilations(graph: NodeGraph) -> None:
    """Lets a bias between a convolution and its pixels' way back come after both.

    TFLite's converter makes a dilated convolution of the three, and forgets that the
    bias has other sizes then (TensorFlow 2.21).
    """
    for last in graph.of("BatchToSpaceND"):
        bias = graph.source(last)
        if bias.op != "BiasAdd" or not graph.is_private(bias.name):
            continue
        graph.set_input(last, 0, bias.input[0])
        behind = graph.add(
            "BiasAdd",
            f"{last.name}/bias",
            (last.name, bias.input[1]),
            T=type_attribute(graph.dtype(bias)),
        )
        graph.redirect(last.name, behind)
    graph.prune()


def _padded(
    graph: NodeGraph, first: NodeDef, last: NodeDef, rate: int
) -> np.ndarray | None:
    """Returns by how much images are padded less what is cut off again, `[2, 2]`.

    Images of free sizes are padded to a multiple of the rate, which is cut off again.
    None if more than that depends on the size.
    """
    names = (first.input[2], last.input[2])
    values = [graph.value(name) for name in names]
    if all(value is not None for value in values):
        return values[0] - values[1]
    nodes = [graph.nodes[name] for name in graph.sources_of(map(node_of, names))]
    sizes = [node for node in nodes if node.op == "Shape"]
    found = []
    config = tf.compat.v1.ConfigProto()
    # TensorFlow 2.21 ends the process when it optimizes depthwise ones fed like this.
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    with tf.Graph().as_default(), tf.compat.v1.Session(config=config) as session:
        tf.graph_util.import_graph_def(graph.sketch(), name="")
        for size in range(_ANY_SIZE, _ANY_SIZE + rate):
            shape = [1, size, size + 1, 1]
            feed = {f"{node.name}:0": shape for node in sizes}
            try:
                pads, crops = session.run([f"{node_of(n)}:0" for n in names], feed)
            except tf.errors.OpError:  # More than sizes is needed.
                return None
            found.append(pads - crops)
    return found[0] if (np.stack(found) == found[0]).all() else None


def _is_plain(node: NodeDef) -> bool:
    """Whether a convolution is in NHWC, without padding."""
    return is_channels_last(node) and node.attr["padding"].s == b"VALID"


def _pad_itself(node: NodeDef, widths: np.ndarray) -> None:
    node.attr["padding"].s = b"EXPLICIT"
    node.attr["explicit_paddings"].list.i[:] = widths.ravel().tolist()
