"""Rounded weights move outputs; corrected biases take that back on average."""

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets import layers
from slimnets.export import freeze
from slimnets.export.agreement import TOGETHER, largest_difference
from slimnets.export.bias_correction import rounded_weights, with_corrected_biases
from slimnets.export.graph import NodeGraph
from slimnets.export.rounding import Rounding
from slimnets.export.weights import weights_of
from slimnets.units.views import CONVOLUTIONS

VALID = {"padding": "VALID", "normalizer_fn": None, "activation_fn": None}
LAYERS = {
    "dense": lambda net: layers.conv2d(net, 6, 3, **VALID),
    "without a bias": lambda net: layers.conv2d(
        net, 6, 3, biases_initializer=None, **VALID
    ),
    "grouped": lambda net: layers.conv2d(net, 6, 3, groups=2, **VALID),
    "depthwise": lambda net: layers.separable_conv2d(net, None, 3, 2, **VALID),
}


def in_int8(frozen):
    """A graph with rounded weights, in float32."""
    graph = NodeGraph(frozen.graph_def, frozen.outputs)
    for node in [n for n in graph.nodes.values() if n.op in CONVOLUTIONS]:
        graph.set_value(node, rounded_weights(node, weights_of(graph, node)))
    return type(frozen)(graph.to_graph_def(), frozen.inputs, frozen.outputs)


def features(frozen, images):
    return frozen.function()(images=tf.constant(images))["features"].numpy()


@pytest.mark.parametrize("kind", LAYERS)
def test_the_mean_of_each_output_is_that_of_float32(kind, rng):
    model = slimnets.Model(lambda images, is_training: (LAYERS[kind](images), {}))
    # All pixels of an image are alike, so that each weight sees the same mean.
    colors = rng.uniform(size=[24, 1, 1, 4]).astype(np.float32)
    images = np.tile(colors, [1, 5, 5, 1])
    model.build([None, 5, 5, 4])
    folded = freeze(model, [None, 5, 5, 4], levels=[]).folded()
    corrected = with_corrected_biases(
        folded, Rounding([{"images": b} for b in (images[:12], images[12:])])
    )
    wanted = features(folded, images).mean((0, 1, 2))
    moved = features(in_int8(folded), images).mean((0, 1, 2)) - wanted
    left = features(in_int8(corrected), images).mean((0, 1, 2)) - wanted
    assert np.abs(left).max() < 1e-3 * np.abs(moved).max()


def test_a_network_of_depthwise_convolutions_loses_less(rng):
    model = slimnets.Model("mobilenet_v1_025", num_classes=10, seed=0)
    images = rng.uniform(-1, 1, [16, 32, 32, 3]).astype(np.float32)
    model.build(images.shape)
    folded = freeze(model, [None, 32, 32, 3], levels=[]).folded()
    corrected = with_corrected_biases(folded, Rounding([{"images": images[:8]}]))

    def loss(frozen):
        outputs = [
            f.function()(images=tf.constant(images[8:])) for f in (frozen, folded)
        ]
        return largest_difference(*outputs, TOGETHER)

    assert loss(in_int8(corrected)) < 0.8 * loss(in_int8(folded))
