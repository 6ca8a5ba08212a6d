"""Batch normalization on TensorFlow's fused operation.

In training the operation itself gives the new moving averages
(`exponential_avg_factor`). An update adds by how much these change, so that where a
layer is applied more than once all updates count: in graph code they wait in
UPDATE_OPS, in a tf.function they run by themselves. Under a `tf.distribute` strategy
the replicas' updates are averaged and all of them hold the same values.
What the fused operation cannot do is in `plain_norm`.

Source: Ioffe & Szegedy 2015; arguments and defaults of tf_slim's `batch_norm`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tf_slim

from slimnets import end_points
from slimnets.layers import (
    building,
    initializers,
    low_precision,
    plain_norm,
    recomputing,
)
from slimnets.scopes import shares_arg_scope

_UPDATE_OPS = tf.compat.v1.GraphKeys.UPDATE_OPS


@shares_arg_scope(tf_slim.batch_norm, "BatchNorm")
def batch_norm(
    inputs: tf.Tensor,
    decay: float = 0.999,
    center: bool = True,
    scale: bool = False,
    epsilon: float = 0.001,
    activation_fn: Callable | None = None,
    param_initializers: dict[str, Callable] | None = None,
    param_regularizers: dict[str, Callable] | None = None,
    updates_collections: Any = _UPDATE_OPS,
    is_training: bool | tf.Tensor | None = True,
    reuse: bool | None = None,
    variables_collections: Any = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    batch_weights: tf.Tensor | None = None,
    fused: bool | None = None,
    data_format: str = "NHWC",
    zero_debias_moving_mean: bool = False,
    scope: Any = None,
    renorm: bool = False,
    renorm_clipping: dict | None = None,
    renorm_decay: float = 0.99,
    adjustment: Callable | None = None,
    sync: bool = False,
    only_in: Sequence[str] | None = None,
    freeze_delay: int | None = None,
) -> tf.Tensor:
    """Normalizes every channel over all other dimensions.

    `trainable` and `is_training` are separate: `is_training=False` normalizes with
    the moving averages and leaves them as they are (frozen statistics), whether gamma
    and beta are trained or not.

    Args:
        inputs: `[..., channels]` of rank 2 to 5, or `[batch, channels, ...]` for NCHW.
        decay: of the moving averages.
        center: whether to add `beta`.
        scale: whether to multiply by `gamma`.
        epsilon: added to the variance.
        activation_fn: applied last; None for none.
        param_initializers: initializers of `beta`, `gamma`, `moving_mean` and
            `moving_variance`.
        param_regularizers: regularizers of `beta` and `gamma`.
        updates_collections: graph collections for the moving averages' updates; None
            runs them with the layer.
        is_training: a bool, or a scalar bool tensor; None is taken as False.
        reuse: as in `tf.compat.v1.variable_scope`.
        variables_collections: further collections for the variables.
        outputs_collections: collections for the outputs.
        trainable: whether optimizers find `beta` and `gamma`.
        batch_weights: `[batch]`, weights of the examples in the statistics; these are
            computed without the fused operation.
        fused: None or True for the fused operation wherever it exists; with False
            the moving variance is of the batch's own variance, not of the unbiased one.
        data_format: `NHWC` or `NCHW`.
        zero_debias_moving_mean: whether the moving mean starts as a mean of what was
            seen and not at zero, by two more variables, `biased` and `local_step`,
            which are not there in graph code for inference alone.
        renorm, renorm_clipping, renorm_decay: not supported beyond their defaults.
        adjustment: a function of the inputs' shape that gives a scale and an offset
            for the normalized inputs, used in training only.
        scope: name of the variable scope.
        sync: whether, under a `tf.distribute` strategy, the statistics are of all
            replicas' examples together.
        only_in: the only scopes, of this layer, around it or in it, in which it is in
            training at all; None for everywhere.
        freeze_delay: updates of a run of `slimnets.training` after which it is not in
            training any more; None for never.

    Returns:
        The normalized inputs, same shape and type.

    Raises:
        ValueError: for inputs of another rank or unknown channels, or an option that
            is not supported.
    """
    if renorm:
        raise ValueError("batch_norm does not support renorm; leave it at its default.")
    if data_format not in ("NHWC", "NCHW"):
        raise ValueError(
            f"data_format has to be either NCHW or NHWC; got {data_format!r}."
        )
    with tf.compat.v1.variable_scope(scope, "BatchNorm", [inputs], reuse=reuse) as sc:
        inputs = tf.convert_to_tensor(inputs)
        _check_rank(inputs, sc.name)
        channels_first = data_format == "NCHW" and inputs.shape.rank > 2
        channels = building.channels_of(inputs, 1 if channels_first else -1)
        params = _parameters(
            channels,
            building.statistics_dtype(inputs.dtype),
            center,
            scale,
            param_initializers or {},
            param_regularizers or {},
            trainable,
            variables_collections,
            # As TF-Slim, which has one order for its layer and one for its function.
            beta_first=zero_debias_moving_mean
            or batch_weights is not None
            or updates_collections != _UPDATE_OPS,
        )
        # A mean that is debiased already needs all of its updates to weigh alike.
        own_decay = recomputing.effective_decay(decay, warm_up=False)
        decay = recomputing.effective_decay(decay)
        state = [params["moving_mean"], params["moving_variance"]]
        training = building.static_bool(is_training)
        updates = recomputing.updates_before()
        if freeze_delay is not None and updates is not None and training is not False:
            is_training = tf.logical_and(is_training, updates < freeze_delay)
            training = None
        # A Model's variables are the same in each call.
        in_model = tf.compat.v1.get_variable_scope().custom_getter is not None
        if zero_debias_moving_mean and (training is not False or in_model):
            state += plain_norm.debiasing_variables(state[0], sc, variables_collections)
        before = [tf.convert_to_tensor(variable) for variable in state]
        params |= {"moving_mean": before[0], "moving_variance": before[1]}
        averaged = functools.partial(
            plain_norm.averaged, before, decay=decay, mean_decay=own_decay
        )
        images = inputs
        if fused is False or not _can_be_fused(inputs, batch_weights, adjustment, sync):
            normalize = functools.partial(
                plain_norm.normalize,
                inputs,
                params,
                epsilon,
                averaged,
                1 if channels_first else inputs.shape.rank - 1,
                batch_weights=batch_weights,
                adjustment=adjustment,
                sync=sync,
            )
        else:
            images, layout = _as_images(inputs, channels_first)
            normalize = functools.partial(
                _normalize_fused, images, params, epsilon, averaged, layout
            )
        if only_in is not None and not any(_related(sc.name, s) for s in only_in):
            training = False
        if training is None:
            outputs, *values = _as_told(is_training, normalize, before)
        else:
            outputs, *values = normalize(training)
        if training is not False and not recomputing.is_replay():
            updates = plain_norm.updates(
                state, before, values, own_decay, True if training else is_training
            )
            outputs = building.with_updates(outputs, updates, updates_collections)
        if images is not inputs:
            outputs = tf.reshape(outputs, tf.shape(inputs))
        outputs.set_shape(inputs.shape)
        if activation_fn is not None:
            outputs = activation_fn(outputs)
        return end_points.collect(outputs_collections, sc.name, outputs)


def _check_rank(inputs: tf.Tensor, name: str) -> None:
    if inputs.shape.rank not in (2, 3, 4, 5):
        rank = "undefined rank" if inputs.shape.rank is None else "this shape"
        raise ValueError(
            f"{name}: batch_norm takes inputs of rank 2 to 5; got inputs of "
            f"{rank}: {inputs.shape}."
        )


def _as_told(is_training: tf.Tensor, normalize: Callable, before: Sequence[tf.Tensor]):
    """Normalizes as a tensor says; returns the averages' new values too."""
    return tf.cond(
        is_training,
        lambda: normalize(True),
        lambda: (normalize(False)[0], *before),
    )


def _related(scope: str, other: str) -> bool:
    """Whether one of two scopes is, or lies in, the other."""
    one, two = f"{scope.rstrip('/')}/", f"{other.rstrip('/')}/"
    return one.startswith(two) or two.startswith(one)


def _can_be_fused(inputs, batch_weights, adjustment, sync) -> bool:
    plain = batch_weights is not None or adjustment is not None or sync
    return not plain and inputs.dtype != tf.float64


def _parameters(
    channels, dtype, center, scale, inits, regularizers, trainable, collections,
    beta_first,
) -> dict[str, Any]:  # fmt: skip
    """Makes gamma, beta, moving_mean and moving_variance."""

    def parameter(name, initializer, trains, **kwargs):
        return building.make_variable(
            name,
            (channels,),
            dtype,
            inits.get(name, initializer),
            regularizers.get(name),
            trains,
            collections,
            **kwargs,
        )

    # Each has an initial value of its own, which may be fed.
    ones, zeros = initializers.ones, initializers.zeros
    averaged = {"aggregation": tf.VariableAggregation.MEAN}
    params = {}
    order = [("gamma", scale, ones), ("beta", center, zeros)]
    for name, wanted, initial in reversed(order) if beta_first else order:
        if wanted:
            params[name] = parameter(name, initial, trainable)
        else:
            params[name] = initial([channels], dtype)
    with plain_norm.without_partitioner():
        params["moving_mean"] = parameter("moving_mean", zeros, False, **averaged)
        params["moving_variance"] = parameter(
            "moving_variance", ones, False, **averaged
        )
    return params


def _as_images(inputs: tf.Tensor, channels_first: bool) -> tuple[tf.Tensor, str]:
    """Returns inputs of any rank as rank 4, which the fused operation takes."""
    if inputs.shape.rank == 4:
        return inputs, "NCHW" if channels_first else "NHWC"
    size = tf.shape(inputs)
    if channels_first:
        return tf.reshape(inputs, [size[0], inputs.shape[1], -1, 1]), "NCHW"
    return tf.reshape(inputs, [-1, 1, 1, inputs.shape[-1]]), "NHWC"


def _normalize_fused(images, params, epsilon, averaged, layout, training):
    """Returns the normalized images and, in training, the new values of `state`."""
    decay, debias = averaged.keywords["decay"], len(averaged.args[0]) > 2
    # A decay that is a number the operation can apply itself.
    itself = training and not debias and not tf.is_tensor(decay)
    outputs, mean, variance = low_precision.fused_batch_norm(
        images,
        params["gamma"],
        params["beta"],
        mean=params["moving_mean"],
        variance=params["moving_variance"],
        epsilon=epsilon,
        data_format=layout,
        is_training=training,
        exponential_avg_factor=1.0 - decay if itself else 1.0,
    )
    if training and not itself:  # These are the batch's own moments then.
        return outputs, *averaged(mean, variance)
    return outputs, mean, variance
