"""The parts of networks of point clouds: shared layers, transforms, inputs.

Source: [1] Qi et al., PointNet, arXiv:1612.00593.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from slimnets import layers, variables
from slimnets.blocks import Block, stack_blocks
from slimnets.end_points import EndPoints, collect
from slimnets.layers import building, initializers
from slimnets.scopes import add_arg_scope
from slimnets.units.traits import Traits, describes

_KEYS = ("clouds", "auxiliary")


@describes(lambda channels, depth, **_: Traits(depth))
@add_arg_scope
def point_unit(
    inputs: tf.Tensor,
    depth: int,
    rate: int = 1,
    outputs_collections: Any = None,
    *,
    postnorm: bool = False,
) -> tf.Tensor:
    """One layer that all points share.

    Args:
        inputs: `[batch, points, channels]`.
        depth: channels of the output.
        rate: 1: points have no neighbours to skip.
        outputs_collections: collections for the unit's output.
        postnorm: whether a batch norm follows the activation.

    Returns:
        `[batch, points, depth]`.

    Raises:
        ValueError: for another rate.
    """
    if rate != 1:
        raise ValueError(f"rate={rate}; a unit of points takes rate 1 only.")
    net = layers.conv1d(inputs, depth, 1, scope="conv")
    if postnorm:
        net = layers.batch_norm(net, scope="norm")
    scope = tf.compat.v1.get_variable_scope().name
    return collect(outputs_collections, scope, net)


def point_blocks(depths: Sequence[Sequence[int]]) -> list[Block]:
    """Returns `block1`, `block2` ... with one `point_unit` for each depth."""
    return [
        Block(f"block{index}", point_unit, [{"depth": depth} for depth in row])
        for index, row in enumerate(depths, start=1)
    ]


@dataclasses.dataclass(frozen=True)
class Transform:
    """A subnet that finds a matrix for each cloud and multiplies all its points by it.

    It begins as the identity: the matrix is learned as a difference from that.

    Attributes:
        point_depths: of the layers that all points share, before the global max.
        dense_depths: of the fully connected layers after it.
        orthogonality: weight of the loss that keeps the matrix close to orthogonal;
            0 for none. See `orthogonality_loss`.
    """

    point_depths: tuple[int, ...] = (64, 128, 1024)
    dense_depths: tuple[int, ...] = (512, 256)
    orthogonality: float = 0.0


def orthogonality_loss(matrices: tf.Tensor) -> tf.Tensor:
    """Returns the mean of `||I - A A^T||^2` over the matrices, in float32.

    Args:
        matrices: `[batch, n, n]`.

    Source: equation 2 of [1], which sums over no batch; here the mean is taken.
    """
    matrices = tf.cast(matrices, tf.float32)
    product = tf.linalg.matmul(matrices, matrices, transpose_b=True)
    difference = product - tf.eye(building.channels_of(matrices))
    return tf.reduce_mean(tf.reduce_sum(tf.square(difference), [1, 2]))


def transformed(
    points: tf.Tensor, transform: Transform, end_points: EndPoints, scope: str
) -> tf.Tensor:
    """Multiplies the points of each cloud by the matrix that the subnet finds.

    Args:
        points: `[batch, points, dims]`.
        transform: what the subnet is made of.
        end_points: get the matrices `[batch, dims, dims]` under the scope's name.
        scope: name of the variable scope.

    Returns:
        `[batch, points, dims]`; equal to `points` before the first training step.
    """
    dims = building.channels_of(points)
    with tf.compat.v1.variable_scope(scope) as sc:
        net = stack_blocks(points, point_blocks([transform.point_depths]))
        net = tf.reduce_max(net, axis=1, name="global_pool")
        net = dense(net, transform.dense_depths)
        net = layers.fully_connected(
            net,
            dims * dims,
            activation_fn=None,
            normalizer_fn=None,
            weights_initializer=initializers.zeros,
            biases_initializer=_identity,
            scope="matrix",
        )
        matrices = tf.reshape(net, [-1, dims, dims])
        end_points.add(sc.name, matrices)
        if transform.orthogonality:
            loss = transform.orthogonality * orthogonality_loss(matrices)
            variables.add_regularization_loss(loss)
        return tf.linalg.matmul(points, matrices)


def _identity(shape, dtype=tf.float32, partition_info=None) -> tf.Tensor:
    """Initial biases: the rows of an identity matrix, one after the other."""
    size = round(shape[0] ** 0.5)
    return tf.reshape(tf.eye(size, dtype=dtype), shape)


def dense(
    net: tf.Tensor,
    depths: Sequence[int],
    dropout_rates: Sequence[float | None] = (),
) -> tf.Tensor:
    """Fully connected layers `fc_1`, `fc_2` ..., each with its dropout if it has one.

    Args:
        net: `[batch, channels]`.
        depths: of each layer.
        dropout_rates: one for each layer, None for no dropout; empty for none at all.

    Returns:
        `[batch, depths[-1]]`.
    """
    rates = dropout_rates or [None] * len(depths)
    for index, (depth, rate) in enumerate(zip(depths, rates, strict=True), start=1):
        net = layers.fully_connected(net, depth, scope=f"fc_{index}")
        if rate is not None:
            net = layers.dropout(net, 1.0 - rate, scope=f"dropout_{index}")
    return net


def parts_of(inputs: Any, name: str) -> tuple[list[tf.Tensor], tf.Tensor | None]:
    """Returns the clouds and the auxiliary vector, if there is one.

    Args:
        inputs: a cloud, a list or tuple of clouds, or a dict with `clouds` and perhaps
            `auxiliary`; see `point_cloud`.
        name: of the network, for messages.

    Raises:
        ValueError: for anything else, or different batch sizes.
    """
    auxiliary = None
    if isinstance(inputs, Mapping):
        unknown = sorted(set(inputs) - set(_KEYS))
        if unknown or "clouds" not in inputs:
            raise ValueError(
                f"{name}: a dict of inputs has 'clouds' and may have 'auxiliary'; got "
                f"the keys {sorted(inputs)}."
            )
        inputs, auxiliary = inputs["clouds"], inputs.get("auxiliary")
    clouds = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    if not clouds:
        raise ValueError(f"{name} takes one or more clouds of points; got none.")
    parts = {f"cloud {index}": cloud for index, cloud in enumerate(clouds, start=1)}
    for part, cloud in parts.items():
        shape = _shape_of(cloud)
        if len(shape) != 3 or shape[-1] is None or shape[1] == 0:
            raise ValueError(
                f"{name}: {part} must be [batch, points, dims] with one point or more "
                f"and known dims; got {_described(cloud)}."
            )
    if auxiliary is not None:
        shape = _shape_of(auxiliary)
        if len(shape) != 2 or shape[-1] is None:
            raise ValueError(
                f"{name}: the auxiliary vector must be [batch, n] with known n; got "
                f"{_described(auxiliary)}."
            )
        parts["auxiliary"] = auxiliary
    batches = {part: _shape_of(value)[0] for part, value in parts.items()}
    if len(set(batches.values()) - {None}) > 1:
        raise ValueError(
            f"{name}: all inputs must have the same batch size; got "
            f"{', '.join(f'{part} {size}' for part, size in batches.items())}."
        )
    clouds = [tf.convert_to_tensor(cloud) for cloud in clouds]
    return clouds, None if auxiliary is None else tf.convert_to_tensor(auxiliary)


def _shape_of(value: Any) -> list[int | None]:
    """The sizes; none for what has no known rank."""
    shape = tf.TensorShape(getattr(value, "shape", None))
    return shape.as_list() if shape.rank else []


def _described(value: Any) -> str:
    return f"shape {value.shape}" if hasattr(value, "shape") else repr(value)
