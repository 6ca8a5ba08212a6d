"""Layer normalization: statistics of each example, or each position, alone.

Source: Ba et al., arXiv:1607.06450; arguments and defaults of tf_slim's `layer_norm`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_slim

from slimnets.layers import building, initializers
from slimnets.scopes import shares_arg_scope


@shares_arg_scope(tf_slim.layer_norm, "LayerNorm")
def layer_norm(
    inputs: tf.Tensor,
    center: bool = True,
    scale: bool = True,
    activation_fn: Callable | None = None,
    reuse: bool | None = None,
    variables_collections: Any = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    begin_norm_axis: int = 1,
    begin_params_axis: int = -1,
    scope: Any = None,
    *,
    epsilon: float | None = None,
) -> tf.Tensor:
    """Normalizes over the last dimensions.

    Args:
        inputs: `[batch, ...]`.
        center: whether to add `beta`.
        scale: whether to multiply by `gamma`.
        activation_fn: applied last; None for none.
        reuse: as in `tf.compat.v1.variable_scope`.
        variables_collections: further collections for the variables.
        outputs_collections: collections for the outputs.
        trainable: whether optimizers find the variables.
        begin_norm_axis: the first dimension to normalize over; -1 for the channels of
            each position.
        begin_params_axis: the first dimension of `beta` and `gamma`.
        scope: name of the variable scope.
        epsilon: added to the variance; None for TF-Slim's 1e-12, with float16 1e-3.

    Returns:
        The normalized inputs, same shape and type.

    Raises:
        ValueError: for an axis that the inputs do not have, or parameters of unknown
            size.
    """
    with tf.compat.v1.variable_scope(scope, "LayerNorm", [inputs], reuse=reuse) as sc:
        inputs = tf.convert_to_tensor(inputs)
        rank = inputs.shape.rank
        for name, axis in (
            ("begin_norm_axis", begin_norm_axis),
            ("begin_params_axis", begin_params_axis),
        ):
            if rank is None or not -rank <= axis < rank:
                raise ValueError(
                    f"{sc.name}: {name}={axis}; the inputs have the shape "
                    f"{inputs.shape}."
                )
        shape = inputs.shape.as_list()[begin_params_axis:]
        if None in shape:
            raise ValueError(
                f"{sc.name}: the size of beta and gamma must be known; it is {shape} "
                f"for inputs of shape {inputs.shape}."
            )
        dtype = building.statistics_dtype(inputs.dtype)
        if epsilon is None:
            epsilon = 1e-3 if inputs.dtype == tf.float16 else 1e-12
        values = tf.cast(inputs, dtype)
        axes = list(range(begin_norm_axis % rank, rank))
        mean, variance = tf.nn.moments(values, axes, keepdims=True)
        outputs = (values - mean) * tf.math.rsqrt(variance + epsilon)

        def parameter(name: str, initializer: Callable) -> tf.Variable:
            return building.make_variable(
                name, shape, dtype, initializer, None, trainable, variables_collections
            )

        beta = parameter("beta", initializers.zeros) if center else None
        if scale:
            outputs *= parameter("gamma", initializers.ones)
        if center:
            outputs += beta
        return building.finish_norm(
            outputs, inputs, activation_fn, outputs_collections, sc.name
        )
