"""Classifiers of point clouds: shared layers for each point, then a global max.

    logits, end_points = pointnet(points, num_classes=40, is_training=False)
    logits, end_points = multi_cloud(
        {"clouds": [tracks, towers], "auxiliary": event}, num_classes=101
    )

The order of the points changes nothing, and there may be any number of them. The
inputs of every network here are

- a cloud `[batch, points, dims]`,
- a list or tuple of clouds, each with its own number of points and dims, or
- a dict of `clouds` (either of these) and, if wanted, `auxiliary` `[batch, n]`: a
  vector that belongs to the whole example.

Every cloud has layers of its own, in the scopes `cloud_1`, `cloud_2` and so on.

Source: [1] Qi et al., PointNet, arXiv:1612.00593, section 4, figure 2 and appendix C.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.blocks import Block, stack_blocks
from slimnets.end_points import EndPoints
from slimnets.nets.common import check_num_classes, collecting, relative_name, training
from slimnets.nets.point_parts import (
    Transform,
    dense,
    parts_of,
    point_blocks,
    point_unit,
    transformed,
)
from slimnets.scopes import Scope, arg_scope, default_arg_scope


def pointnet_arg_scope(
    weight_decay: float = 0.0,
    batch_norm_decay: float = 0.9,
    batch_norm_epsilon: float = 0.001,
) -> Scope:
    """Returns PointNet's arg scope: batch norm and ReLU after every layer.

    Args:
        weight_decay: of all weights, as an L2 loss.
        batch_norm_decay: of the moving averages; in [1] it rises from 0.5 to 0.99.
        batch_norm_epsilon: added to the variances.
    """
    with (
        arg_scope(
            [layers.conv1d, layers.fully_connected],
            weights_regularizer=layers.l2_regularizer(weight_decay),
            normalizer_fn=layers.batch_norm,
        ),
        arg_scope(
            [layers.batch_norm],
            decay=batch_norm_decay,
            epsilon=batch_norm_epsilon,
            scale=True,
        ) as scope,
    ):
        return scope


def multi_cloud_arg_scope(
    weight_decay: float = 0.0,
    batch_norm_decay: float = 0.99,
    batch_norm_epsilon: float = 0.001,
) -> Scope:
    """Returns multi_cloud's arg scope: biases, ReLU, and batch norm behind that in
    the layers of the points only. Arguments as of `pointnet_arg_scope`."""
    with (
        arg_scope(
            [layers.conv1d, layers.fully_connected],
            weights_regularizer=layers.l2_regularizer(weight_decay),
        ),
        arg_scope(
            [layers.batch_norm],
            decay=batch_norm_decay,
            epsilon=batch_norm_epsilon,
            scale=True,
        ),
        arg_scope([point_unit], postnorm=True) as scope,
    ):
        return scope


INPUT_TRANSFORM = Transform()
FEATURE_TRANSFORM = Transform(orthogonality=0.001)


def point_cloud_network(
    inputs: Any,
    blocks: Sequence[Block],
    num_classes: int | None = None,
    is_training: bool | tf.Tensor | None = True,
    reuse: Any = None,
    scope: Any = None,
    *,
    transforms: Sequence[Transform | None] = (),
    auxiliary_depths: Sequence[int] = (),
    head_depths: Sequence[int] = (),
    dropout_rates: Sequence[float | None] = (),
    prediction_fn: Callable | None = None,
    default_scope: Scope | None = None,
    default_name: str = "point_cloud",
) -> tuple[tf.Tensor, EndPoints]:
    """Builds a classifier of point clouds from the caller's blocks.

    Args:
        inputs: clouds, as the module says.
        blocks: what every cloud passes, in variables of its own, before the global
            max over its points.
        num_classes: number of classes; None or 0 gives features.
        is_training: whether batch norms use the batch's statistics and dropout
            drops: a bool, a scalar bool tensor, or None for the open arg scopes'.
        reuse: as in `tf.compat.v1.variable_scope`.
        scope: name of the variable scope.
        transforms: what stands before each block; None, or nothing where the
            sequence ends, for no transform.
        auxiliary_depths: fully connected layers of the auxiliary vector.
        head_depths: fully connected layers of the clouds' features and the auxiliary
            ones, concatenated.
        dropout_rates: for each layer of the head the probability that a value is
            dropped; None for no dropout. Empty for none at all.
        prediction_fn: makes predictions of logits; softmax by default.
        default_scope: an arg scope that lies under the caller's; none by default.
        default_name: the scope's name when `scope` is None.

    Returns:
        net: logits `[batch, num_classes]`, or without classes the head's last
            features `[batch, channels]`.
        end_points: every activation by name, among them each transform's matrices
            (`cloud_1/transform_1`), each cloud's features (`cloud_1/global_pool`),
            what the head sees (`global_pool`) and `predictions`.

    Raises:
        ValueError: for inputs of another form, more transforms than blocks, or
            dropout rates that do not fit the head.
    """
    name = getattr(scope, "name", scope) or default_name
    clouds, auxiliary = parts_of(inputs, name)
    check_num_classes(num_classes)
    transforms = _padded(transforms, blocks, name)
    dropout_rates = _checked_rates(dropout_rates, head_depths, name)
    outer = tf.compat.v1.get_variable_scope().name
    with (
        tf.compat.v1.variable_scope(scope, default_name, clouds, reuse=reuse) as sc,
        default_arg_scope(default_scope or {}),
    ):
        end_points = EndPoints(scope=relative_name(sc.name, outer), outer_scope=outer)
        unit_fns = dict.fromkeys([point_unit, *(block.unit_fn for block in blocks)])
        functions = [layers.conv1d, layers.fully_connected, stack_blocks, *unit_fns]
        with collecting(end_points, functions), training(is_training):
            features = [
                _cloud_features(cloud, blocks, transforms, end_points, f"cloud_{index}")
                for index, cloud in enumerate(clouds, start=1)
            ]
            if auxiliary is not None:
                with tf.compat.v1.variable_scope("auxiliary"):
                    features.append(dense(auxiliary, auxiliary_depths))
            net = features[0] if len(features) == 1 else tf.concat(features, axis=-1)
            end_points["global_pool"] = net
            with tf.compat.v1.variable_scope("head"):
                net = dense(net, head_depths, dropout_rates)
            end_points.levels.clear()  # Points have no resolution.
            if not num_classes:
                return net, end_points
            net = layers.fully_connected(
                net, num_classes, activation_fn=None, normalizer_fn=None, scope="logits"
            )
            predict = prediction_fn or layers.softmax
            end_points["predictions"] = predict(net)
    return net, end_points


def _padded(transforms, blocks, name) -> list[Transform | None]:
    if len(transforms) > len(blocks):
        raise ValueError(
            f"{name}: {len(transforms)} transforms for {len(blocks)} blocks; allowed "
            "is one before each block."
        )
    return [*transforms, *[None] * (len(blocks) - len(transforms))]


def _checked_rates(rates, head_depths, name) -> list[float | None]:
    rates = list(rates) or [None] * len(head_depths)
    fits = len(rates) == len(head_depths)
    if not fits or any(rate is not None and not 0 <= rate < 1 for rate in rates):
        raise ValueError(
            f"{name}: dropout_rates={rates}; allowed is, for each of the "
            f"{len(head_depths)} layers of the head, None or a rate in [0, 1)."
        )
    return rates


def _cloud_features(net, blocks, transforms, end_points, scope):
    """The global max over the points: `[batch, channels]`."""
    with tf.compat.v1.variable_scope(scope) as sc:
        for index, (block, transform) in enumerate(
            zip(blocks, transforms, strict=True), start=1
        ):
            if transform:
                net = transformed(net, transform, end_points, f"transform_{index}")
            net = stack_blocks(net, [block])
        net = tf.reduce_max(net, axis=1, name="global_pool")
        end_points.add(f"{sc.name}/global_pool", net)
        return net


@dataclasses.dataclass(frozen=True)
class Row:
    """A named classifier of point clouds, as data.

    Attributes:
        name: of the network, and of its scope by default.
        point_depths: of the layers that all points share, block by block.
        transforms: what stands before each block.
        auxiliary_depths: of the auxiliary vector's layers.
        head_depths: of the head's layers.
        dropout_rates: after each layer of the head; None for none.
        arg_scope: gives the family's arg scope.
        points: the number of points in a cloud that it is made for, or None.
        summary: one line of help.
    """

    name: str
    point_depths: tuple[tuple[int, ...], ...]
    transforms: tuple[Transform | None, ...] = ()
    auxiliary_depths: tuple[int, ...] = ()
    head_depths: tuple[int, ...] = ()
    dropout_rates: tuple[float | None, ...] = ()
    arg_scope: Callable[[], Scope] = pointnet_arg_scope
    points: int | None = None
    summary: str = ""


def _thinned(value: Any, multiplier: float, least: int) -> Any:
    """Returns the depths in a tuple, a tuple of tuples or a Transform, scaled."""
    if value is None:
        return None
    if isinstance(value, Transform):
        return dataclasses.replace(
            value,
            point_depths=_thinned(value.point_depths, multiplier, least),
            dense_depths=_thinned(value.dense_depths, multiplier, least),
        )
    if isinstance(value, int):
        return max(int(value * multiplier), min(least, value))
    return tuple(_thinned(part, multiplier, least) for part in value)


def network_of(row: Row) -> Callable:
    """Returns the network function that a row stands for."""

    def network(
        inputs: Any,
        num_classes: int | None = None,
        is_training: bool | tf.Tensor | None = True,
        reuse: Any = None,
        scope: Any = row.name,
        *,
        transforms: Sequence[Transform | None] = row.transforms,
        dropout_rates: Sequence[float | None] = row.dropout_rates,
        prediction_fn: Callable | None = None,
        depth_multiplier: float = 1.0,
        min_depth: int = 8,
    ) -> tuple[tf.Tensor, EndPoints]:
        def thinned(value):
            return _thinned(value, depth_multiplier, min_depth)

        return point_cloud_network(
            inputs,
            point_blocks(thinned(row.point_depths)),
            num_classes,
            is_training,
            reuse,
            scope,
            transforms=thinned(tuple(transforms)),
            auxiliary_depths=thinned(row.auxiliary_depths),
            head_depths=thinned(row.head_depths),
            dropout_rates=dropout_rates,
            prediction_fn=prediction_fn,
            default_scope=row.arg_scope(),
            default_name=row.name,
        )

    network.__name__ = network.__qualname__ = row.name
    network.__doc__ = (
        f"{row.summary}\n\nArguments and result as of `point_cloud_network`; "
        "depth_multiplier scales the depths of all layers, down to min_depth."
    )
    network.default_image_size = row.points
    network.row = row
    return network


POINTNET = Row(
    name="pointnet",
    point_depths=((64, 64), (64, 128, 1024)),
    transforms=(INPUT_TRANSFORM, FEATURE_TRANSFORM),
    head_depths=(512, 256),
    # Appendix C of [1]; the authors' code drops after both layers.
    dropout_rates=(None, 0.3),
    points=1024,
    summary="PointNet, the paper's classifier with its two transforms.",
)

ROWS = (
    POINTNET,
    dataclasses.replace(
        POINTNET,
        name="pointnet_small",
        point_depths=_thinned(POINTNET.point_depths, 0.25, 8),
        transforms=_thinned(POINTNET.transforms, 0.25, 8),
        head_depths=_thinned(POINTNET.head_depths, 0.25, 8),
        points=256,
        summary="PointNet with a quarter of the depth in every layer.",
    ),
    Row(
        name="multi_cloud",
        point_depths=((64, 64, 316, 316),),
        auxiliary_depths=(384, 384),
        head_depths=(384, 384),
        dropout_rates=(0.5, 0.5),
        arg_scope=multi_cloud_arg_scope,
        summary="Several clouds and an auxiliary vector, without transforms.",
    ),
)

pointnet, pointnet_small, multi_cloud = NETWORKS = tuple(map(network_of, ROWS))
