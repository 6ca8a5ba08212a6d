"""Layer scale: a residual branch begins small.

Source: Touvron et al., arXiv:2103.17239, section 2.
"""

from __future__ import annotations

import tensorflow as tf

from slimnets.layers import building
from slimnets.scopes import add_arg_scope


@add_arg_scope
def layer_scale(
    inputs: tf.Tensor,
    initial: float = 1e-6,
    trainable: bool = True,
    scope: str = "layer_scale",
) -> tf.Tensor:
    """Scales each channel by a variable of its own.

    Args:
        inputs: `[..., channels]`.
        initial: value of the scales.
        trainable: whether optimizers find the variable.
        scope: name of the variable.
    """
    scales = building.make_variable(
        scope,
        (building.channels_of(inputs),),
        inputs.dtype.base_dtype,
        tf.compat.v1.constant_initializer(initial),
        None,
        trainable,
    )
    return inputs * building.value_of(scales, inputs.dtype)
