"""Networks of point clouds: their row, and what builds it.

Source: Qi et al., PointNet, arXiv:1612.00593.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.blocks import Block, stack_blocks
from slimnets.end_points import EndPoints
from slimnets.rows.scoping import (
    check_num_classes,
    collecting,
    end_points_of,
    training,
)
from slimnets.scopes import Scope, default_arg_scope
from slimnets.units.points import (
    Transform,
    dense,
    parts_of,
    point_blocks,
    point_unit,
    transformed,
)


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
        end_points = end_points_of(sc.name, outer, bare=False)
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
class PointRow:
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
    arg_scope: Callable[[], Scope]
    transforms: tuple[Transform | None, ...] = ()
    auxiliary_depths: tuple[int, ...] = ()
    head_depths: tuple[int, ...] = ()
    dropout_rates: tuple[float | None, ...] = ()
    points: int | None = None
    summary: str = ""


def thinned(value: Any, multiplier: float, least: int) -> Any:
    """Returns the depths in a tuple, a tuple of tuples or a Transform, scaled."""
    if value is None:
        return None
    if isinstance(value, Transform):
        return dataclasses.replace(
            value,
            point_depths=thinned(value.point_depths, multiplier, least),
            dense_depths=thinned(value.dense_depths, multiplier, least),
        )
    if isinstance(value, int):
        return max(int(value * multiplier), min(least, value))
    return tuple(thinned(part, multiplier, least) for part in value)


def point_network_of(row: PointRow) -> Callable:
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
        def own(value):
            return thinned(value, depth_multiplier, min_depth)

        return point_cloud_network(
            inputs,
            point_blocks(own(row.point_depths)),
            num_classes,
            is_training,
            reuse,
            scope,
            transforms=own(tuple(transforms)),
            auxiliary_depths=own(row.auxiliary_depths),
            head_depths=own(row.head_depths),
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
    vars(network).update(default_image_size=row.points, row=row)
    return network
