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
from slimnets.nets.residual import (
    ROOT,
    STAGES,
    Row,
    network_of,
    residual_network,
    resnet_arg_scope,
)
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
        root=ROOT if include_root_block else None,
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


resnet_v1_50, resnet_v1_101, resnet_v1_152, resnet_v1_200 = NETWORKS = tuple(
    network_of(
        Row(
            name=f"resnet_v1_{layers}",
            stages=stages,
            block=resnet_v1_block,
            preactivation=False,
            root=ROOT,
            summary=f"ResNet-{layers} v1 with TF-Slim's names and checkpoints.",
        )
    )
    for layers, stages in STAGES.items()
)
