"""A norm that stands by itself: what no weight layer comes directly before."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from slimnets import layers
from slimnets.scopes import add_arg_scope


@add_arg_scope
def normalized(
    inputs: tf.Tensor,
    normalizer_fn: Callable = layers.batch_norm,
    activation_fn: Callable | None = None,
    scope: str | None = None,
) -> tf.Tensor:
    """Normalizes, and activates if there is an activation.

    Args:
        inputs: `[batch, ..., channels]`.
        normalizer_fn: the norm, `batch_norm` for example.
        activation_fn: applied last; None for none.
        scope: name of the variable scope.
    """
    outputs = normalizer_fn(inputs, activation_fn=activation_fn, scope=scope)
    return layers.activations(outputs, scope=f"{scope or 'norm'}/outputs")


def preactivated(
    inputs: tf.Tensor, normalizer_fn: Callable, activation_fn: Callable
) -> tf.Tensor:
    """Normalizes and activates what a pre-activation unit begins with."""
    outputs = normalizer_fn(inputs, activation_fn=activation_fn, scope="preact")
    return layers.activations(outputs, scope="preact/outputs")
