"""Instance normalization: statistics of each channel of each example alone.

Source: Ulyanov et al., arXiv:1607.08022; arguments and defaults of tf_slim's
`instance_norm`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_slim

from slimnets.layers import building, initializers
from slimnets.scopes import shares_arg_scope


@shares_arg_scope(tf_slim.instance_norm, "InstanceNorm")
def instance_norm(
    inputs: tf.Tensor,
    center: bool = True,
    scale: bool = True,
    epsilon: float = 1e-6,
    activation_fn: Callable | None = None,
    param_initializers: dict[str, Callable] | None = None,
    reuse: bool | None = None,
    variables_collections: Any = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    data_format: str = "NHWC",
    scope: Any = None,
) -> tf.Tensor:
    """Normalizes each channel of each example over its spatial dimensions.

    Args:
        inputs: `[batch, ..., channels]`, or channels second for `NCHW`.
        center: whether to add `beta`.
        scale: whether to multiply by `gamma`.
        epsilon: added to the variance.
        activation_fn: applied last; None for none.
        param_initializers: initializers of `beta` and `gamma`.
        reuse: as in `tf.compat.v1.variable_scope`.
        variables_collections: further collections for the variables.
        outputs_collections: collections for the outputs.
        trainable: whether optimizers find the variables.
        data_format: `NHWC` or `NCHW`.
        scope: name of the variable scope.

    Returns:
        The normalized inputs, same shape and type.

    Raises:
        ValueError: for inputs of unknown rank or channels, or another data format.
    """
    first = building.is_channels_first(data_format)
    name = "InstanceNorm"
    with tf.compat.v1.variable_scope(scope, name, [inputs], reuse=reuse) as sc:
        inputs = tf.convert_to_tensor(inputs)
        rank = inputs.shape.rank
        if rank is None:
            raise ValueError(f"{sc.name}: the rank of the inputs must be known.")
        channel_axis = 1 if first else rank - 1
        channels = building.channels_of(inputs, channel_axis)
        dtype = building.statistics_dtype(inputs.dtype)
        inits = param_initializers or {}
        parameters = {}
        for key, wanted, initial in (
            ("beta", center, initializers.zeros),
            ("gamma", scale, initializers.ones),
        ):
            if wanted:
                parameters[key] = building.make_variable(
                    key,
                    (channels,),
                    dtype,
                    inits.get(key, initial),
                    None,
                    trainable,
                    variables_collections,
                )
        axes = [axis for axis in range(1, rank) if axis != channel_axis]
        shape = [-1 if axis == channel_axis else 1 for axis in range(rank)]
        values = tf.cast(inputs, dtype)
        mean, variance = tf.nn.moments(values, axes, keepdims=True)
        beta, gamma = (
            tf.reshape(parameters[key], shape) if key in parameters else None
            for key in ("beta", "gamma")
        )
        outputs = tf.nn.batch_normalization(
            values, mean, variance, beta, gamma, epsilon, name="instancenorm"
        )
        return building.finish_norm(
            outputs, inputs, activation_fn, outputs_collections, sc.name
        )
