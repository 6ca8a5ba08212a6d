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

import numpy as np
import tensorflow as tf

from slimnets.export.frozen import Frozen, over_batches
from slimnets.export.graph import NodeDef, NodeGraph
from slimnets.export.quantized import outputs_last, scales_by_largest
from slimnets.export.rounding import Rounding
from slimnets.export.weights import add_bias, convolutions, response, weights_of


def with_corrected_biases(frozen: Frozen, rounding: Rounding) -> Frozen:
    """Returns a network whose outputs are right on average once weights are rounded.

    Args:
        frozen: a folded graph in float32.
        rounding: how.
    """
    graph = NodeGraph(frozen.graph_def, frozen.outputs)
    layers = [n for n in convolutions(graph) if not rounding.keeps(n.name)]
    given = [node.input[0] for node in layers]
    means = over_batches(frozen, given, _means, rounding.calibration)
    for node, of_batches in zip(layers, means, strict=True):
        weights = weights_of(graph, node)
        error = rounded_weights(node, weights) - weights
        add_bias(graph, node, -response(node, error, of_batches.mean(0)))
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


def _means(*inputs: tf.Tensor) -> list[tf.Tensor]:
    """The mean of each channel."""
    return [tf.reduce_mean(x, range(x.shape.rank - 1)) for x in inputs]
