"""Group normalization: statistics of each example alone.

Source: Wu & He 2018, arXiv:1803.08494; arguments and defaults of tf_slim's
`group_norm`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tf_slim

from slimnets.layers import building, initializers
from slimnets.scopes import shares_arg_scope


@shares_arg_scope(tf_slim.group_norm, "GroupNorm")
def group_norm(
    inputs: tf.Tensor,
    groups: int | None = 32,
    channels_axis: int = -1,
    reduction_axes: Sequence[int] = (-3, -2),
    center: bool = True,
    scale: bool = True,
    epsilon: float = 1e-6,
    activation_fn: Callable | None = None,
    param_initializers: dict[str, Callable] | None = None,
    reuse: bool | None = None,
    variables_collections: Any = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
    mean_close_to_zero: bool = False,
) -> tf.Tensor:
    """Normalizes groups of channels over the spatial dimensions.

    Args:
        inputs: `[batch, ..., channels]`.
        groups: number of groups; divides the channels. None is the most up to 32 that
            do.
        channels_axis: the channels' dimension; the last one.
        reduction_axes: dimensions to normalize over besides a group's channels.
        center: whether to add `beta`.
        scale: whether to multiply by `gamma`.
        epsilon: added to the variance.
        activation_fn: applied last; None for none.
        param_initializers: initializers of `beta` and `gamma`.
        reuse: as in `tf.compat.v1.variable_scope`.
        variables_collections: further collections for the variables.
        outputs_collections: collections for the outputs.
        trainable: whether optimizers find the variables.
        scope: name of the variable scope.
        mean_close_to_zero: accepted for old code; the variance is always computed
            about the mean.

    Returns:
        The normalized inputs, same shape and type.

    Raises:
        ValueError: if the groups do not divide the channels, or the channels are not
            last.
    """
    with tf.compat.v1.variable_scope(scope, "GroupNorm", [inputs], reuse=reuse) as sc:
        inputs = tf.convert_to_tensor(inputs)
        rank = inputs.shape.rank
        if channels_axis not in (-1, rank - 1):
            raise ValueError(
                f"{sc.name}: channels_axis={channels_axis}; allowed is the last, -1."
            )
        channels = building.channels_of(inputs)
        if groups is None:
            groups = next(n for n in range(32, 0, -1) if channels % n == 0)
        if groups < 1 or channels % groups:
            raise ValueError(
                f"{sc.name}: groups={groups} must divide the {channels} channels."
            )
        size = tf.shape(inputs)
        grouped = tf.reshape(
            inputs, tf.concat([size[:-1], [groups, channels // groups]], 0)
        )
        axes = [axis % rank for axis in reduction_axes] + [rank]
        dtype = building.statistics_dtype(inputs.dtype)
        mean, variance = tf.nn.moments(tf.cast(grouped, dtype), axes, keepdims=True)
        values = (tf.cast(grouped, dtype) - mean) * tf.math.rsqrt(variance + epsilon)
        outputs = tf.reshape(values, size)
        inits = param_initializers or {}
        for name, wanted, initial in (
            ("gamma", scale, initializers.ones),
            ("beta", center, initializers.zeros),
        ):
            if wanted:
                parameter = building.make_variable(
                    name,
                    (channels,),
                    dtype,
                    inits.get(name, initial),
                    None,
                    trainable,
                    variables_collections,
                )
                outputs = (
                    outputs * parameter if name == "gamma" else outputs + parameter
                )
        return building.finish_norm(
            outputs, inputs, activation_fn, outputs_collections, sc.name
        )
