"""Dropout. Source: tf_slim/layers/layers.py."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_slim

from slimnets import end_points
from slimnets.layers import common
from slimnets.scopes import shares_arg_scope


@shares_arg_scope(tf_slim.dropout)
def dropout(
    inputs: tf.Tensor,
    keep_prob: float | tf.Tensor = 0.5,
    noise_shape: Any = None,
    is_training: bool | tf.Tensor = True,
    outputs_collections: Any = None,
    scope: str | None = None,
    seed: int | None = None,
) -> tf.Tensor:
    """Sets values to zero with probability `1 - keep_prob` and scales up the rest.

    Args:
        inputs: any tensor.
        keep_prob: probability that a value is kept.
        noise_shape: shape of the choices, broadcast against the inputs.
        is_training: a bool, or a scalar bool tensor; outside training the inputs are
            returned.
        outputs_collections: collections for the outputs.
        scope: name of the name scope.
        seed: an integer for the choices.
    """
    with tf.name_scope(scope or "Dropout") as name:
        inputs = tf.convert_to_tensor(inputs)

        def dropped():
            return tf.nn.dropout(inputs, 1.0 - keep_prob, noise_shape, seed)

        training = common.static_bool(is_training)
        if training is None:
            outputs = tf.cond(is_training, dropped, lambda: tf.identity(inputs))
        else:
            outputs = dropped() if training else tf.identity(inputs)
        return end_points.collect(outputs_collections, name, outputs)
