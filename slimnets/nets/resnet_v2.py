"""ResNets with pre-activation bottleneck units, as TF-Slim builds them.

    with slimnets.arg_scope(resnet_v2.resnet_arg_scope(weight_decay=1e-4)):
        net, end_points = resnet_v2.resnet_v2_50(images, 1000, is_training=False)

The scope may be left out: its defaults lie under whatever the caller has open.

Source: He et al., Identity Mappings in Deep Residual Networks, arXiv:1603.05027;
layout and names of tf_slim/nets/resnet_v2.py, stride in a block's last unit.
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
from slimnets.units import basic_v2
from slimnets.units import bottleneck_v2 as bottleneck


def resnet_v2(
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
    """Builds a pre-activation ResNet from the caller's blocks.

    Args:
        inputs: `[batch, height, width, channels]`, any number of channels.
        blocks: the blocks.
        num_classes: number of classes; None or 0 gives features.
        is_training: whether batch norms use the batch's statistics and update their
            moving averages: a bool, a scalar bool tensor, or None to leave it to the
            open arg scopes.
        global_pool: whether to average over height and width.
        output_stride: ratio of the inputs' resolution to the last block's; None for
            the units' own strides. Denser than these is by atrous convolution.
        include_root_block: whether to begin with the 7x7 convolution and the pool; if
            not, `inputs` should come from a convolution without activation.
        spatial_squeeze: whether logits after a global pool are `[batch, classes]`
            rather than `[batch, 1, 1, classes]`.
        store_non_strided_activations: whether end points of blocks have the
            resolution before the stride of the block's last unit.
        reuse: as in `tf.compat.v1.variable_scope`.
        scope: name of the variable scope; `resnet_v2` by default.

    Returns:
        net: logits, or features `[batch, height / output_stride, width /
            output_stride, channels]` (`[batch, 1, 1, channels]` with global_pool).
        end_points: every activation by name.

    Raises:
        ValueError: if the inputs are not images of known channels, the output stride
            cannot be reached, or the scope is in use and reuse is off.
    """
    return residual_network(
        inputs,
        blocks,
        scope=scope,
        default_name="resnet_v2",
        default_scope=resnet_arg_scope(),
        root=Root() if include_root_block else None,
        preactivation=True,
        num_classes=num_classes,
        is_training=is_training,
        global_pool=global_pool,
        output_stride=output_stride,
        spatial_squeeze=spatial_squeeze,
        store_non_strided_activations=store_non_strided_activations,
        reuse=reuse,
    )


resnet_v2.default_image_size = 224


def resnet_v2_block(scope: str, base_depth: int, num_units: int, stride: int) -> Block:
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
        name=f"resnet_v2_{layers}",
        stages=stages(layers, SLIM_STRIDES),
        unit_fn=basic_v2 if layers < 50 else bottleneck,
        preactivation=True,
        stride_in="last",
        summary=f"ResNet-{layers} v2 in TF-Slim's manner.",
        weights="tf-slim" if layers >= 50 else "",
    )


NETWORKS = (
    resnet_v2_18,
    resnet_v2_34,
    resnet_v2_50,
    resnet_v2_101,
    resnet_v2_152,
    resnet_v2_200,
) = tuple(network_of(_row(layers)) for layers in (18, 34, 50, 101, 152, 200))
