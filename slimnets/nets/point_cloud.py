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

from slimnets import layers
from slimnets.rows.point_clouds import (
    PointRow,
    point_cloud_network,
    point_network_of,
    thinned,
)
from slimnets.scopes import Scope, arg_scope
from slimnets.units.points import Transform, point_unit

__all__ = [
    "NETWORKS",
    "multi_cloud",
    "point_cloud_network",
    "pointnet",
    "pointnet_small",
]


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


POINTNET = PointRow(
    name="pointnet",
    point_depths=((64, 64), (64, 128, 1024)),
    transforms=(INPUT_TRANSFORM, FEATURE_TRANSFORM),
    head_depths=(512, 256),
    # Appendix C of [1]; the authors' code drops after both layers.
    dropout_rates=(None, 0.3),
    points=1024,
    arg_scope=pointnet_arg_scope,
    summary="PointNet, the paper's classifier with its two transforms.",
)

ROWS = (
    POINTNET,
    dataclasses.replace(
        POINTNET,
        name="pointnet_small",
        point_depths=thinned(POINTNET.point_depths, 0.25, 8),
        transforms=thinned(POINTNET.transforms, 0.25, 8),
        head_depths=thinned(POINTNET.head_depths, 0.25, 8),
        points=256,
        summary="PointNet with a quarter of the depth in every layer.",
    ),
    PointRow(
        name="multi_cloud",
        point_depths=((64, 64, 316, 316),),
        auxiliary_depths=(384, 384),
        head_depths=(384, 384),
        dropout_rates=(0.5, 0.5),
        arg_scope=multi_cloud_arg_scope,
        summary="Several clouds and an auxiliary vector, without transforms.",
    ),
)

pointnet, pointnet_small, multi_cloud = NETWORKS = tuple(map(point_network_of, ROWS))
