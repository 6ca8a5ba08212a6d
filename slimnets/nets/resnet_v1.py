"""ResNets with bottleneck units, as TF-Slim builds them.

    with slimnets.arg_scope(resnet_v1.resnet_arg_scope(weight_decay=1e-4)):
        net, end_points = resnet_v1.resnet_v1_50(images, 1000, is_training=False)

The scope may be left out: its defaults lie under whatever the caller has open.

Source: He et al., Deep Residual Learning for Image Recognition, arXiv:1512.03385;
layout and names of tf_slim/nets/resnet_v1.py, stride in a block's last unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from slimnets.blocks import Block
from slimnets.end_points import EndPoints
from slimnets.nets.arg_scopes import resnet_arg_scope
from slimnets.nets.residual import residual_network
from slimnets.nets.roots import Root
from slimnets.nets.rows import SLIM_STRIDES, Row, network_of, stages
from slimnets.units import basic_v1
from slimnets.units import bottleneck_v1 as bottleneck


def resnet_v1(
    inputs: tf.Tensor,
    blocks: Sequence[Block],
    num_classes: int | None = None,
    is_training: bool | tf.Tensor | None = True,
    global_pool: bool = True,
    output_stride: int | None = None,
    include_root_block: bool = True,
    spatial_squeeze: bool = True,
    store_non_strided_activations: bool = False,
    reuse: Any = None,
    scope: Any = None,
) -> tuple[tf.Tensor, EndPoints]:
    """Builds a ResNet from the caller's blocks.

    Arguments, result and errors as of `resnet_v2.resnet_v2`, with the scope
    `resnet_v1` by default.
    """
    return residual_network(
        inputs,
        blocks,
        scope=scope,
        default_name="resnet_v1",
        default_scope=resnet_arg_scope(),
        root=Root() if include_root_block else None,
        preactivation=False,
        num_classes=num_classes,
        is_training=is_training,
        global_pool=global_pool,
        output_stride=output_stride,
        spatial_squeeze=spatial_squeeze,
        store_non_strided_activations=store_non_strided_activations,
        reuse=reuse,
    )


resnet_v1.default_image_size = 224


def resnet_v1_block(scope: str, base_depth: int, num_units: int, stride: int) -> Block:
    """Returns a block of bottleneck units with the stride in the last one.

    Args:
        scope: the block's name.
        base_depth: channels inside a unit; its output has four times as many.
        num_units: number of units.
        stride: of the last unit; the others have 1.
    """
    depth = 4 * base_depth
    units = [(depth, base_depth, 1)] * (num_units - 1) + [(depth, base_depth, stride)]
    return Block(scope, bottleneck, units)


def _row(layers: int) -> Row:
    return Row(
        name=f"resnet_v1_{layers}",
        stages=stages(layers, SLIM_STRIDES),
        unit_fn=basic_v1 if layers < 50 else bottleneck,
        preactivation=False,
        stride_in="last",
        summary=f"ResNet-{layers} v1 in TF-Slim's manner.",
        weights="tf-slim" if layers >= 50 else "",
    )


NETWORKS = (
    resnet_v1_18,
    resnet_v1_34,
    resnet_v1_50,
    resnet_v1_101,
    resnet_v1_152,
    resnet_v1_200,
) = tuple(network_of(_row(layers)) for layers in (18, 34, 50, 101, 152, 200))
