"""Which layers lose most where they are rounded to int8, so that they stay in float.

A layer's error is its own: what rounding its weights and its inputs changes, whatever
the layers before it change. It says in which order to try; what an export loses is
measured on all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets.export.bias_correction import rounded_weights
from slimnets.export.frozen import Frozen, over_batches
from slimnets.export.graph import NodeDef, NodeGraph
from slimnets.export.weights import convolutions, weights_of


def by_error(
    frozen: Frozen, calibration: Sequence[Mapping[str, np.ndarray]]
) -> dict[str, float]:
    """Returns each convolution's error in int8 by its scope, the largest first.

    It is the root mean square of the difference, of that of the layer's outputs.

    Args:
        frozen: a folded graph in float32.
        calibration: inputs by name, a few images at a time, in batches of one size.
    """
    graph = NodeGraph(frozen.graph_def, frozen.outputs)
    layers = convolutions(graph)

    def squares(*values: tf.Tensor) -> list[tf.Tensor]:
        triples = zip(layers, values[::2], values[1::2], strict=True)
        return [_squares(n, weights_of(graph, n), x, y) for n, x, y in triples]

    names = [name for node in layers for name in (node.input[0], node.name)]
    found = over_batches(frozen, names, squares, calibration)
    errors = {}
    for node, of_batches in zip(layers, found, strict=True):
        lost, whole = of_batches.sum(0)
        scope = node.name.rpartition("/")[0]
        errors[scope] = float(np.sqrt(lost / max(whole, 1e-30)))
    return dict(sorted(errors.items(), key=lambda item: -item[1]))


def within_drop(
    write: Callable[[Sequence[str]], tuple[Any, Any]],
    layers: Sequence[str],
    max_drop: float,
) -> tuple[Any, Any]:
    """Writes an export with none, one, two, four ... layers in float, until it is
    accurate enough.

    Args:
        write: a function of scopes that returns a report and the `Accuracies`.
        layers: scopes, those that lose most first.
        max_drop: by how many points the export may be worse.

    Returns:
        What the last call of `write` returned.
    """
    number = 0
    while True:
        report, accuracies = write(layers[:number])
        if -accuracies.change <= max_drop or number >= len(layers):
            return report, accuracies
        number = max(1, 2 * number)


def _squares(
    node: NodeDef, weights: np.ndarray, inputs: tf.Tensor, outputs: tf.Tensor
) -> tf.Tensor:
    """The sums of squares of what rounding changes, and of the outputs."""
    low = tf.minimum(tf.reduce_min(inputs), 0.0)
    high = tf.maximum(tf.reduce_max(inputs), 0.0)
    steps = tf.quantization.fake_quant_with_min_max_vars(inputs, low, high)
    again = rounded_weights(node, weights)
    alone = tf.compat.v1.GraphDef()
    layer = alone.node.add()
    layer.CopyFrom(node)
    layer.name = "layer"
    layer.input[:] = ["inputs", "weights"]
    [found] = tf.graph_util.import_graph_def(
        alone,
        {"inputs": steps, "weights": tf.constant(again, tf.float32)},
        ["layer:0"],
    )
    return tf.stack([tf.reduce_sum((found - outputs) ** 2), tf.reduce_sum(outputs**2)])
