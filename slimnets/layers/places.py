"""Activations as places: what layers, sums and pools give, to be changed by rules.

with layer_rules({"block4/.*/outputs": {"activation_transform": function}}): ...
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from slimnets.scopes import add_arg_scope


@add_arg_scope
def activations(
    values: tf.Tensor,
    activation_transform: Callable | None = None,
    scope: str = "outputs",
) -> tf.Tensor:
    """Returns the values, or what a rule or an arg scope makes of them.

    Every layer with weights has its outputs here, at the place `outputs` in its own
    scope; `linear` is what they are before an activation that is more than a limit.
    `inputs` is what comes into a network, `sum` and `concat` are the ends of units,
    `means` those of average pools, `product` that of squeeze-and-excitation.

    Args:
        values: of any shape.
        activation_transform: a function of them that gives others of that shape, such
            as `fake_quantized_activations`.
        scope: the place, in which the function's variables lie.
    """
    if activation_transform is None:
        return values
    with tf.compat.v1.variable_scope(scope):
        return activation_transform(values)
