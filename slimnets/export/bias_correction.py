"""Biases that make up for what a layer loses when its weights are rounded to int8.

A weight's rounding error does not vanish on average: each output of a convolution moves
by the sum of its weights' errors times the mean of what they are multiplied with, and
networks of depthwise convolutions, whose channels have few weights, lose their classes
by it. The means are measured on the images that ranges are measured with, and what they
move is taken off the biases (Nagel et al., "Data-Free Quantization Through Weight
Equalization and Bias Correction", arXiv:1906.04721, section 4.2).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from slimnets.export.frozen import Frozen
from slimnets.export.graph import NodeDef, NodeGraph
from slimnets.export.quantized import outputs_last, scales_by_largest
from slimnets.export.rounding import Rounding
from slimnets.export.weights import add_bias, response, weights_of
from slimnets.units.views import CONVOLUTIONS


def with_corrected_biases(frozen: Frozen, rounding: Rounding) -> Frozen:
    """Returns a network whose outputs are right on average once weights are rounded.

    Args:
        frozen: a folded graph in float32.
        rounding: how.
    """
    graph = NodeGraph(frozen.graph_def, frozen.outputs)
    layers = [
        node
        for node in graph.of(*CONVOLUTIONS)
        if weights_of(graph, node) is not None and not rounding.keeps(node.name)
    ]
    means = _mean_inputs(frozen, layers, rounding.calibration)
    for node, inputs in zip(layers, means, strict=True):
        weights = weights_of(graph, node)
        error = rounded_weights(node, weights) - weights
        add_bias(graph, node, -response(node, error, inputs))
    graph.prune()
    return dataclasses.replace(frozen, graph_def=graph.to_graph_def())


def rounded_weights(node: NodeDef, weights: np.ndarray) -> np.ndarray:
    """Returns weights as int8 holds them, with a scale for each output.

    Args:
        node: a convolution.
        weights: `[height, width, inputs, outputs]`.
    """
    scales = scales_by_largest(node, weights)
    steps = np.round(outputs_last(node, weights) / scales)
    return (steps * scales).reshape(weights.shape)


def _mean_inputs(
    frozen: Frozen,
    layers: Sequence[NodeDef],
    calibration: Sequence[Mapping[str, np.ndarray]],
) -> list[np.ndarray]:
    """Returns the mean of each layer's inputs, `[channels]`."""
    with tf.Graph().as_default():
        inputs = tf.graph_util.import_graph_def(
            frozen.graph_def,
            return_elements=[first_output(node.input[0]) for node in layers],
            name="",
        )
        means = [tf.reduce_mean(x, range(x.shape.rank - 1)) for x in inputs]
        with tf.compat.v1.Session() as session:
            found = [
                session.run(means, {first_output(name): x for name, x in batch.items()})
                for batch in calibration
            ]
    return [np.mean(each, 0) for each in zip(*found, strict=True)]


def first_output(name: str) -> str:
    """Returns the name of a tensor from a node's input."""
    return name if ":" in name else f"{name}:0"
