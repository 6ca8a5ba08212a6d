"""Paddings and dilations that stand around a convolution, as parts of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from slimnets.export.graph import AttrValue, NodeDef, NodeGraph, is_channels_last


def pads_into_convolutions(graph: NodeGraph) -> None:
    """Lets convolutions pad their images themselves, where a node does it for them."""
    for node in [n for n in graph.nodes.values() if n.op == "Conv2D"]:
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
    for last in [n for n in graph.nodes.values() if n.op == "BatchToSpaceND"]:
        node = end = graph.source(last)
        if end.op == "BiasAdd" and graph.is_private(end.name):
            node = graph.source(end)
        if node.op not in kinds or not _is_plain(node):
            continue
        first = graph.source(node)
        if first.op != "SpaceToBatchND" or not graph.is_private(node.name):
            continue
        rates, pads = graph.value(first.input[1]), graph.value(first.input[2])
        again, crops = graph.value(last.input[1]), graph.value(last.input[2])
        if any(v is None for v in (rates, pads, again, crops)) or len(rates) != 2:
            continue
        widths = np.zeros([4, 2], np.int64)
        widths[1:3] = pads - crops
        dense = list(node.attr["strides"].list.i) == [1, 1, 1, 1]
        if not dense or widths.min() < 0 or (rates != again).any():
            continue
        _pad_itself(node, widths)
        dilations = AttrValue.ListValue(i=[1, *rates.tolist(), 1])
        node.attr["dilations"].CopyFrom(AttrValue(list=dilations))
        graph.set_input(node, 0, first.input[0])
        graph.bypass(last.name, end.name)
    graph.prune()


def _is_plain(node: NodeDef) -> bool:
    """Whether a convolution is in NHWC, without padding."""
    return is_channels_last(node) and node.attr["padding"].s == b"VALID"


def _pad_itself(node: NodeDef, widths: np.ndarray) -> None:
    node.attr["padding"].s = b"EXPLICIT"
    node.attr["explicit_paddings"].list.i[:] = widths.ravel().tolist()
