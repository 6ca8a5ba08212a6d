"""Batch normalization by separate operations, and what its averages need besides.

For what TensorFlow's fused operation cannot do: float64, weighted examples, statistics
over replicas, an adjustment, a moving variance of the biased variance.

Source: tf_slim's `batch_norm`; zero debiasing: Kingma & Ba 2015, arXiv:1412.6980.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from slimnets.layers import building, initializers


def normalize(
    inputs: tf.Tensor,
    params: dict[str, Any],
    epsilon: float,
    averaged: Callable[[tf.Tensor, tf.Tensor], Sequence[tf.Tensor]],
    channel_axis: int,
    training: bool,
    batch_weights: tf.Tensor | None = None,
    adjustment: Callable | None = None,
    sync: bool = False,
) -> tuple[tf.Tensor, ...]:
    """Normalizes `inputs` and gives what the moving averages become.

    Args:
        inputs: of any rank from 2, with channels on `channel_axis`.
        params: `gamma`, `beta`, `moving_mean` and `moving_variance`.
        epsilon: added to the variance.
        averaged: `averaged` below of a mean and a variance.
        channel_axis: 1 or the last.
        training: whether by the batch's moments; they then enter the averages.
        batch_weights: `[batch]`, weights of the examples in the moments.
        adjustment: gives a scale and an offset for the normalized inputs in training.
        sync: whether the moments are of all replicas' examples.

    Returns:
        The outputs, and in training a new value for each of their variables.
    """
    rank = inputs.shape.rank
    axes = [axis for axis in range(rank) if axis != channel_axis]
    shape = [-1 if axis == channel_axis else 1 for axis in range(rank)]
    mean, variance = params["moving_mean"], params["moving_variance"]
    if training:
        values = tf.cast(inputs, mean.dtype)
        if batch_weights is None:
            moments = tf.nn.moments(values, axes)
        else:
            weights = tf.cast(batch_weights, mean.dtype)
            weights = tf.reshape(weights, [-1] + [1] * (rank - 1))
            moments = tf.nn.weighted_moments(values, axes, weights)
        mean, variance = _across_replicas(*moments) if sync else moments

    def broadcast(value):
        return tf.cast(tf.reshape(value, shape), inputs.dtype)

    scale, offset = params["gamma"], params["beta"]
    if training and adjustment is not None:
        extra_scale, extra_offset = adjustment(tf.shape(inputs))
        offset = offset + scale * extra_offset
        scale = scale * extra_scale
    outputs = tf.nn.batch_normalization(
        inputs,
        broadcast(mean),
        broadcast(variance),
        broadcast(offset),
        broadcast(scale),
        epsilon,
    )
    if not training:
        return outputs, mean, variance
    return outputs, *averaged(mean, variance)


def averaged(
    before: Sequence[tf.Tensor],
    mean: tf.Tensor,
    variance: tf.Tensor,
    *,
    decay: float | tf.Tensor,
    mean_decay: float,
) -> list[tf.Tensor]:
    """Returns what averages are after a batch of this mean and variance.

    Args:
        before: the moving mean and variance before it, and the values of
            `debiasing_variables` if there are any; `updates` has the mean then.
        mean, variance: `[channels]`.
        decay: of the averages.
        mean_decay: the same of a mean that is debiased, which is always one number.
    """

    def towards(old, value, decay):  # Comes to rest at a value that stays the same.
        return old - (old - value) * tf.cast(1.0 - decay, value.dtype)

    old_mean, old_variance, *debiasing = before
    new_variance = towards(old_variance, variance, decay)
    if not debiasing:
        return [towards(old_mean, mean, decay), new_variance]
    biased, local_step = debiasing
    new_biased = towards(biased, mean, mean_decay)
    return [old_mean, new_variance, new_biased, local_step + 1.0]


def updates(
    state: Sequence[tf.Variable],
    before: Sequence[tf.Tensor],
    after: Sequence[tf.Tensor],
    mean_decay: float,
    training: bool | tf.Tensor,
) -> list[Any]:
    """Returns the updates of a moving mean and a moving variance.

    Args:
        state: both, and the variables of `debiasing_variables` if there are any.
        before, after: their values for `averaged`, and of it.
        mean_decay: as of `averaged`.
        training: whether there is anything to update.
    """

    def moved(index: int) -> Any:
        change = before[index] - after[index]
        return state[index].assign_sub(change, read_value=False)

    if len(state) == 2:
        return [moved(0), moved(1)]
    mean, _, biased, local_step = state
    first = [update for update in (moved(2), moved(3)) if update is not None]
    with tf.control_dependencies(first):
        # 1 - decay ** step, without the rounding of a decay near 1.
        step, seen = local_step.read_value(), 1.0
        if mean_decay:
            seen = -tf.math.expm1(step * math.log(mean_decay))
        value = tf.where(training, biased.read_value() / seen, before[0])
        return [mean.assign(value, read_value=False), moved(1)]


def debiasing_variables(
    moving_mean: tf.Variable, scope: tf.compat.v1.VariableScope, collections: Any
) -> list[tf.Variable]:
    """Makes `biased` and `local_step` of a moving mean, under TensorFlow's names.

    Args:
        moving_mean: the average that starts at zero.
        scope: the scope of the layer, which is open.
        collections: further collections for the variables, as in `batch_norm`.
    """
    name = f"{scope.name}/moving_mean"
    with tf.compat.v1.variable_scope(name), without_partitioner():
        return [
            building.make_variable(
                variable,
                shape,
                moving_mean.dtype,
                initializers.zeros,
                trainable=False,
                collections=collections,
                aggregation=tf.VariableAggregation.MEAN,
            )
            for variable, shape in (("biased", moving_mean.shape), ("local_step", ()))
        ]


@contextlib.contextmanager
def without_partitioner() -> Iterator[None]:
    """Opens the current variable scope without its partitioner.

    A moving average is assigned as one value, so it is one variable.
    """
    scope = tf.compat.v1.get_variable_scope()
    if scope.partitioner is None:
        yield
        return
    with tf.compat.v1.variable_scope(scope) as inner:
        inner.set_partitioner(None)
        yield


def _across_replicas(mean, variance):
    """Returns the moments of all replicas' examples, of which each has as many."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return mean, variance
    square = variance + mean**2
    mean, square = context.all_reduce(tf.distribute.ReduceOp.MEAN, [mean, square])
    return mean, square - mean**2
