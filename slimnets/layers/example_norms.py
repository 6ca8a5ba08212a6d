"""Norms by statistics of each example alone: of groups, channels, layers, energies.

Source: Wu & He, arXiv:1803.08494 (groups); Ulyanov et al., arXiv:1607.08022
(instances); Ba et al., arXiv:1607.06450 (layers), with the arguments and defaults of
tf_slim; Woo et al., ConvNeXt V2, arXiv:2301.00808, section 3 and algorithm 1 (global
response).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tf_slim

from slimnets.layers import building, initializers
from slimnets.scopes import add_arg_scope, shares_arg_scope

# Below it an energy has no gradient, rather than one that is not a number.
_LEAST = 1e-30


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

    Other arguments as of `batch_norm`.

    Args:
        inputs: `[batch, ..., channels]`.
        groups: number of groups; divides the channels. None is the most up to 32 that
            do.
        channels_axis: the channels' dimension; the last one.
        reduction_axes: dimensions to normalize over besides a group's channels.
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
        wanted = {"gamma": scale, "beta": center}
        gamma, beta = building.norm_parameters(
            (channels,),
            dtype,
            wanted,
            param_initializers,
            trainable,
            variables_collections,
        )
        outputs = outputs if gamma is None else outputs * gamma
        outputs = outputs if beta is None else outputs + beta
        return building.finish_norm(
            outputs, inputs, activation_fn, outputs_collections, sc.name
        )


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

    Other arguments, and the result, as of `batch_norm`.

    Args:
        inputs: `[batch, ..., channels]`, or channels second for `NCHW`.
        data_format: `NHWC` or `NCHW`.

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
        wanted = {"beta": center, "gamma": scale}
        parameters = building.norm_parameters(
            (channels,),
            dtype,
            wanted,
            param_initializers,
            trainable,
            variables_collections,
        )
        axes = [axis for axis in range(1, rank) if axis != channel_axis]
        shape = [-1 if axis == channel_axis else 1 for axis in range(rank)]
        values = tf.cast(inputs, dtype)
        mean, variance = tf.nn.moments(values, axes, keepdims=True)
        beta, gamma = (
            None if each is None else tf.reshape(each, shape) for each in parameters
        )
        outputs = tf.nn.batch_normalization(
            values, mean, variance, beta, gamma, epsilon, name="instancenorm"
        )
        return building.finish_norm(
            outputs, inputs, activation_fn, outputs_collections, sc.name
        )


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

    Other arguments, and the result, as of `batch_norm`.

    Args:
        inputs: `[batch, ...]`.
        begin_norm_axis: the first dimension to normalize over; -1 for the channels of
            each position.
        begin_params_axis: the first dimension of `beta` and `gamma`.
        epsilon: added to the variance; None for TF-Slim's 1e-12, with float16 1e-3.

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
        wanted = {"beta": center, "gamma": scale}
        beta, gamma = building.norm_parameters(
            shape, dtype, wanted, None, trainable, variables_collections
        )
        outputs = outputs if gamma is None else outputs * gamma
        outputs = outputs if beta is None else outputs + beta
        return building.finish_norm(
            outputs, inputs, activation_fn, outputs_collections, sc.name
        )


@add_arg_scope(default_scope="GlobalResponseNorm")
def global_response_norm(
    inputs: tf.Tensor,
    epsilon: float = 1e-6,
    trainable: bool = True,
    scope: str | None = None,
) -> tf.Tensor:
    """Adds to each channel itself, times its norm over the norms' mean.

    `gamma` and `beta`, both 0 at first, scale and shift what is added.

    Args:
        inputs: `[batch, height, width, channels]`.
        epsilon: added to the mean of the norms.
        trainable: whether optimizers find the variables.
        scope: name of the variable scope.

    Returns:
        The same shape and type.
    """
    with tf.compat.v1.variable_scope(scope, "GlobalResponseNorm", [inputs]):
        dtype = building.statistics_dtype(inputs.dtype)
        values = tf.cast(inputs, dtype)
        energy = tf.reduce_sum(tf.square(values), [1, 2], keepdims=True)
        norms = tf.sqrt(tf.maximum(energy, _LEAST))
        norms /= tf.reduce_mean(norms, 3, keepdims=True) + epsilon
        beta, gamma = building.norm_parameters(
            (building.channels_of(inputs),),
            dtype,
            {"beta": True, "gamma": True},
            {"gamma": initializers.zeros},
            trainable,
            None,
        )
        return inputs + tf.cast(beta + gamma * (values * norms), inputs.dtype)
