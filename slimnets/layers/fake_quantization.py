"""Quantization-aware training: weights and activations rounded as int8 has them.

    model = slimnets.Model("mobilenet_v1", rules=slimnets.rules.quantization_rules())

Weights are rounded symmetrically, with a scale for each output, activations in a range
that moves after those of the batches, as TFLite and ONNX Runtime compute with them.
Gradients are those of what was rounded; of activations outside of the range, zero.

A batch norm behind a layer is folded into its weights in inference, and the folded
weights are what is rounded [1, section 3.2]. Here that is so without a second
convolution: folding multiplies the weights of an output by one factor, and the scale,
which is that of their largest, by the same, so that rounding before and after gives the
same integers. In training the norm then corrects for the batch's own variance, as in
[2, section 3.2.2].

Source: [1] Jacob et al., arXiv:1712.05877; [2] Krishnamoorthi, arXiv:1806.08342.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from slimnets.layers import building, recomputing
from slimnets.scopes import add_arg_scope

_UPDATE_OPS = tf.compat.v1.GraphKeys.UPDATE_OPS
# Of activations before the first batch was seen, as tf.contrib.quantize has it.
_FIRST_RANGE = (-6.0, 6.0)


@add_arg_scope(default_scope="fake_quantized")
def fake_quantized(
    weights: tf.Tensor,
    bits: int = 8,
    delay: int = 0,
    is_training: bool | tf.Tensor = True,
    updates_collections: Any = _UPDATE_OPS,
    scope: str | None = None,
) -> tf.Tensor:
    """Rounds to `2 ** bits - 1` steps from minus to plus each output's largest weight.

    The gradients are those of the weights as they were. A weight transform.

    Args:
        weights: `[..., inputs, outputs]`.
        bits: 2 to 16.
        delay: steps of training before which nothing is rounded; they are counted by
            the variable `step`, which is there unless it is 0.
        is_training: whether it counts; a bool, or a scalar bool tensor.
        updates_collections: as of `batch_norm`.
        scope: name of the variable scope.
    """
    with tf.compat.v1.variable_scope(scope, "fake_quantized", [weights]):
        matrix = tf.reshape(weights, [-1, weights.shape[-1]])
        largest = tf.stop_gradient(tf.reduce_max(tf.abs(matrix), 0))
        rounded = tf.quantization.fake_quant_with_min_max_vars_per_channel(
            tf.cast(matrix, tf.float32), -largest, largest, bits, narrow_range=True
        )
        rounded = tf.cast(tf.reshape(rounded, weights.shape), weights.dtype)
        if not delay:
            return rounded
        step, number, begun = _counted(delay)
        return building.with_new_values(
            tf.where(begun, rounded, weights),
            [(step, number + 1)],
            is_training,
            updates_collections,
        )


@add_arg_scope(default_scope="fake_quantized")
def fake_quantized_activations(
    activations: tf.Tensor,
    bits: int = 8,
    decay: float = 0.999,
    delay: int = 0,
    is_training: bool | tf.Tensor = True,
    updates_collections: Any = _UPDATE_OPS,
    scope: str | None = None,
) -> tf.Tensor:
    """Rounds to `2 ** bits` steps from the variable `min` to the variable `max`.

    These are moving averages of the batches' smallest and largest values, zero
    included; the decay of the n-th batch is at most `(1 + n) / (10 + n)`. An
    `activation_transform`.

    Args:
        activations: of any shape.
        bits: 2 to 16.
        decay: of the averages.
        delay: steps of training before which nothing is rounded; the variable `step`
            counts them. The range moves from the first one on.
        is_training: whether the range moves; a bool, or a scalar bool tensor.
        updates_collections: as of `batch_norm`.
        scope: name of the variable scope.
    """
    with tf.compat.v1.variable_scope(scope, "fake_quantized", [activations]):
        limits = [
            building.state_variable(name, (), tf.float32, first)
            for name, first in zip(("min", "max"), _FIRST_RANGE, strict=True)
        ]
        step, number, begun = _counted(delay)
        values = tf.cast(activations, tf.float32)
        moving = recomputing.moves_averages()
        moving = moving and building.static_bool(is_training) is not False
        low, high = now = [tf.convert_to_tensor(limit) for limit in limits]
        if moving:
            batches = tf.cast(number, tf.float32)
            share = 1.0 - tf.minimum(decay, (1.0 + batches) / (10.0 + batches))
            data = tf.stop_gradient(values)
            low += share * (tf.minimum(tf.reduce_min(data), 0.0) - low)
            high += share * (tf.maximum(tf.reduce_max(data), 0.0) - high)
            if building.static_bool(is_training) is None:
                low, high = (
                    tf.where(is_training, new, old)
                    for new, old in zip((low, high), now, strict=True)
                )
        rounded = tf.quantization.fake_quant_with_min_max_vars(values, low, high, bits)
        if delay:
            rounded = tf.where(begun, rounded, values)
        rounded = tf.cast(rounded, activations.dtype)
        if not moving:
            return rounded
        new = [(limits[0], low), (limits[1], high), (step, number + 1)]
        return building.with_new_values(rounded, new, is_training, updates_collections)


def _counted(delay: int) -> tuple[tf.Variable, tf.Tensor, tf.Tensor]:
    """Returns the variable `step`, its value, and whether so many steps were before."""
    step, number = building.counted_step()
    # What is computed again for its gradients belongs to a step that is counted.
    return step, number, number - int(recomputing.is_replay()) >= delay
