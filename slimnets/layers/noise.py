"""Dropout and drop path.

Source: tf_slim/layers/layers.py; drop path: Huang et al., Deep Networks with
Stochastic Depth, arXiv:1603.09382.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_slim

from slimnets import end_points
from slimnets.layers import building, recomputing
from slimnets.scopes import add_arg_scope, shares_arg_scope


@shares_arg_scope(tf_slim.dropout, "Dropout")
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
            own = recomputing.next_seed() if seed is None else None
            if own is None:
                return tf.nn.dropout(inputs, 1.0 - keep_prob, noise_shape, seed)
            return tf.nn.experimental.stateless_dropout(
                inputs, 1.0 - keep_prob, own, noise_shape=noise_shape
            )

        training = building.static_bool(is_training)
        if training is None:
            outputs = tf.cond(is_training, dropped, lambda: tf.identity(inputs))
        else:
            outputs = dropped() if training else tf.identity(inputs)
        return end_points.collect(outputs_collections, name, outputs)


@add_arg_scope(default_scope="drop_path")
def drop_path(
    inputs: tf.Tensor,
    rate: float = 0.0,
    is_training: bool | tf.Tensor = True,
    scope: str | None = None,
) -> tf.Tensor:
    """Sets whole examples to zero with probability `rate` and scales up the rest.

    Args:
        inputs: `[batch, ...]`, a residual branch.
        rate: probability that an example's branch is dropped.
        is_training: a bool, or a scalar bool tensor; outside training the inputs are
            returned.
        scope: name of the name scope.

    Raises:
        ValueError: unless `0 <= rate < 1`.
    """
    if not 0 <= rate < 1:
        raise ValueError(f"rate={rate!r}; allowed is 0 <= rate < 1.")
    if rate == 0:
        return inputs
    ones = [1] * (inputs.shape.rank - 1)
    return dropout(
        inputs,
        keep_prob=1.0 - rate,
        noise_shape=tf.stack([tf.shape(inputs)[0], *ones]),
        is_training=is_training,
        scope=scope or "drop_path",
    )
