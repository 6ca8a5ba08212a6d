"""What is made of a layer's weights before they are used: `weight_transform=`.

    with layer_rules({"block4/.*/conv2": {"weight_transform": "lora"}}): ...

Each is a function of weights `[..., inputs, outputs]` that gives others of that shape.
Arg scopes and rules set its other arguments: its variables lie in a scope of its name
in the layer's own, `conv2/lora` for example. Any other function of that kind will do.

Sources: weight standardization, Qiao et al., arXiv:1903.10520; weight norm, Salimans &
Kingma, arXiv:1602.07868; spectral norm, Miyato et al., arXiv:1802.05957; LoRA, Hu et
al., arXiv:2106.09685; masks and their schedule, Zhu & Gupta, arXiv:1710.01878.
Fake quantization is in `fake_quantization`.
"""

from __future__ import annotations

import functools
from typing import Any

import tensorflow as tf

from slimnets.layers import building, initializers, recomputing
from slimnets.scopes import add_arg_scope

_UPDATE_OPS = tf.compat.v1.GraphKeys.UPDATE_OPS


@add_arg_scope(default_scope="weight_standardization")
def weight_standardization(
    weights: tf.Tensor, epsilon: float = 1e-5, scope: str | None = None
) -> tf.Tensor:
    """Brings the weights of each output to mean 0 and variance 1.

    Args:
        weights: `[..., inputs, outputs]`.
        epsilon: added to the variance.
        scope: the place of the transform, by which rules find it.
    """
    del scope
    mean, variance = tf.nn.moments(weights, list(range(weights.shape.rank - 1)))
    return (weights - mean) * tf.math.rsqrt(variance + epsilon)


@add_arg_scope(default_scope="weight_norm")
def weight_norm(
    weights: tf.Tensor,
    initial: float = 1.0,
    trainable: bool = True,
    scope: str | None = None,
) -> tf.Tensor:
    """Gives the weights of each output a length of their own, the variable `gain`.

    Args:
        weights: `[..., inputs, outputs]`.
        initial: the gains at first.
        trainable: whether optimizers find them.
        scope: name of the variable scope.
    """
    with tf.compat.v1.variable_scope(scope, "weight_norm", [weights]):
        gain = building.state_variable(
            "gain", weights.shape[-1:], weights.dtype, initial, trainable=trainable
        )
        axes = list(range(weights.shape.rank - 1))
        return gain * tf.math.l2_normalize(weights, axes)


@add_arg_scope(default_scope="spectral_norm")
def spectral_norm(
    weights: tf.Tensor,
    iterations: int = 1,
    is_training: bool | tf.Tensor = True,
    updates_collections: Any = _UPDATE_OPS,
    scope: str | None = None,
) -> tf.Tensor:
    """Divides weights, as a matrix `[everything else, outputs]`, by its largest
    singular value, as power iteration from the variable `u`, `[outputs]`, has it.

    Args:
        weights: `[..., inputs, outputs]`.
        iterations: steps of power iteration.
        is_training: whether `u` keeps what they give; a bool, or a scalar bool tensor.
        updates_collections: as of `batch_norm`.
        scope: name of the variable scope.
    """
    with tf.compat.v1.variable_scope(scope, "spectral_norm", [weights]):
        u = building.state_variable(
            "u",
            weights.shape[-1:],
            weights.dtype,
            tf.compat.v1.random_normal_initializer(),
        )
        matrix = tf.reshape(weights, [-1, weights.shape[-1]])
        fixed = tf.stop_gradient(matrix)
        new = tf.convert_to_tensor(u)
        # What is computed again has what the first time gave.
        for _ in range(0 if recomputing.is_replay() else iterations):
            v = tf.math.l2_normalize(tf.linalg.matvec(fixed, new))
            new = tf.math.l2_normalize(tf.linalg.matvec(fixed, v, transpose_a=True))
        v = tf.math.l2_normalize(tf.linalg.matvec(fixed, new))
        largest = tf.tensordot(v, tf.linalg.matvec(matrix, new), 1)
        return building.with_new_values(
            weights / largest, [(u, new)], is_training, updates_collections
        )


@add_arg_scope(default_scope="lora")
def lora(
    weights: tf.Tensor,
    rank: int = 4,
    alpha: float | None = None,
    trainable: bool = True,
    scope: str | None = None,
) -> tf.Tensor:
    """Adds a product of two small matrices, `down` and `up`, that begins as nothing.

    The layer's own weights do not train where a rule says so: `{".*": {"trainable":
    False}, ".*/lora": {"trainable": True}}`. An export holds the sum.

    Args:
        weights: `[..., inputs, outputs]`.
        rank: columns of `down`, `[..., inputs, rank]`, and rows of `up`.
        alpha: the product's factor is `alpha / rank`; None for `rank`.
        trainable: whether optimizers find them.
        scope: name of the variable scope.
    """
    *inputs, outputs = weights.shape.as_list()
    with tf.compat.v1.variable_scope(scope, "lora", [weights]):
        small = initializers.variance_scaling_initializer(1 / 3, uniform=True)
        make = functools.partial(
            building.state_variable, dtype=weights.dtype, trainable=trainable
        )
        down = make("down", (*inputs, rank), initial=small)
        up = make("up", (rank, outputs), initial=0.0)
        factor = 1.0 if alpha is None else alpha / rank
        return weights + factor * tf.tensordot(down, up, 1)


@add_arg_scope(default_scope="magnitude_mask")
def magnitude_mask(
    weights: tf.Tensor,
    sparsity: float = 0.5,
    begin_step: int = 0,
    end_step: int = 0,
    interval: int = 100,
    is_training: bool | tf.Tensor = True,
    updates_collections: Any = _UPDATE_OPS,
    scope: str | None = None,
) -> tf.Tensor:
    """Sets the smallest weights to zero, by the variable `mask`, of the weights' shape.

    The share of zeros is `sparsity * (1 - (1 - t) ** 3)`, where `t` goes from 0 at
    `begin_step` to 1 at `end_step` of training, which the variable `step` counts. At
    each of these steps that `interval` divides, and at the last, the mask is made
    anew; a weight that it hides has no gradient.

    Args:
        weights: `[..., inputs, outputs]`.
        sparsity: share of zeros in the end.
        begin_step, end_step: when they begin, and when they are all there.
        interval: of steps between masks.
        is_training: whether it counts, and makes masks; a bool, or a scalar bool
            tensor.
        updates_collections: as of `batch_norm`.
        scope: name of the variable scope.

    Raises:
        ValueError: unless `0 <= sparsity < 1` and `begin_step <= end_step`.
    """
    if not 0 <= sparsity < 1 or not begin_step <= end_step:
        raise ValueError(
            f"sparsity={sparsity!r}, begin_step={begin_step!r}, end_step={end_step!r}; "
            "allowed is 0 <= sparsity < 1 and begin_step <= end_step."
        )
    with tf.compat.v1.variable_scope(scope, "magnitude_mask", [weights]):
        mask = building.state_variable("mask", weights.shape, weights.dtype, 1.0)
        step, now = building.counted_step()

        def anew() -> tf.Tensor:
            gone = tf.cast(now - begin_step, tf.float32)
            gone /= max(end_step - begin_step, 1)
            gone = 1.0 if begin_step == end_step else gone
            share = sparsity * (1.0 - (1.0 - gone) ** 3)
            number = tf.cast(tf.round(share * weights.shape.num_elements()), tf.int32)
            order = tf.argsort(tf.abs(tf.reshape(weights, [-1])), stable=True)
            ranks = tf.reshape(tf.argsort(order), weights.shape)
            return tf.cast(ranks >= number, weights.dtype)

        due = (now >= begin_step) & (now <= end_step)
        due &= tf.equal(now % interval, 0) | tf.equal(now, end_step)
        due &= tf.cast(is_training, tf.bool)
        new = tf.convert_to_tensor(mask)
        if building.static_bool(is_training) is not False and (
            not recomputing.is_replay()
        ):
            new = tf.cond(due, anew, lambda: tf.convert_to_tensor(mask))
        return building.with_new_values(
            weights * tf.stop_gradient(new),
            [(mask, new), (step, now + 1)],
            is_training,
            updates_collections,
        )
