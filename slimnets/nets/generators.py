"""Generators in research/slim's manner: a network from the caller's own blocks.

Source: tf_slim/nets/resnet_v1.py and resnet_v2.py, whose modules these make up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from slimnets.blocks import Block
from slimnets.end_points import EndPoints
from slimnets.nets.arg_scopes import resnet_arg_scope
from slimnets.nets.residual import residual_network
from slimnets.nets.roots import Root
from slimnets.nets.rows import SLIM_STRIDES, Row, network_of, stages


def generator(name: str, *, preactivation: bool) -> Callable:
    """Returns `resnet_v1` or `resnet_v2`.

    Args:
        name: of the function, and of its scope by default.
        preactivation: whether its units begin with their normalization.
    """

    def resnet(
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
        return residual_network(
            inputs,
            blocks,
            scope=scope,
            default_name=name,
            default_scope=resnet_arg_scope(),
            root=Root() if include_root_block else None,
            preactivation=preactivation,
            num_classes=num_classes,
            is_training=is_training,
            global_pool=global_pool,
            output_stride=output_stride,
            spatial_squeeze=spatial_squeeze,
            store_non_strided_activations=store_non_strided_activations,
            reuse=reuse,
        )

    resnet.__name__ = resnet.__qualname__ = name
    resnet.__doc__ = f"Builds a ResNet from the caller's blocks.\n\n{_ARGUMENTS}"
    resnet.default_image_size = 224
    return resnet


def block_maker(name: str, unit_fn: Callable) -> Callable[[str, int, int, int], Block]:
    """Returns `resnet_v1_block` or `resnet_v2_block`."""

    def block(scope: str, base_depth: int, num_units: int, stride: int) -> Block:
        """Returns a block of bottleneck units with the stride in the last one.

        Args:
            scope: the block's name.
            base_depth: channels inside a unit; its output has four times as many.
            num_units: number of units.
            stride: of the last unit; the others have 1.
        """
        depth = 4 * base_depth
        strides = [1] * (num_units - 1) + [stride]
        return Block(scope, unit_fn, [(depth, base_depth, step) for step in strides])

    block.__name__ = block.__qualname__ = name
    return block


def named_networks(
    prefix: str, basic: Callable, bottleneck: Callable, *, preactivation: bool
) -> tuple[Callable, ...]:
    """Returns the networks of 18, 34, 50, 101, 152 and 200 layers."""
    return tuple(
        network_of(
            Row(
                name=f"{prefix}_{layers}",
                stages=stages(layers, SLIM_STRIDES),
                unit_fn=basic if layers < 50 else bottleneck,
                preactivation=preactivation,
                stride_in="last",
                summary=f"{prefix} of {layers} layers in TF-Slim's manner.",
                weights="tf-slim" if layers >= 50 else "",
                # As TF-Slim evaluated the weights that it published.
                preprocessing="inception" if preactivation else "vgg",
            )
        )
        for layers in (18, 34, 50, 101, 152, 200)
    )


_ARGUMENTS = """Args:
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
    scope: name of the variable scope; the generator's name by default.

Returns:
    net: logits, or features `[batch, height / output_stride, width /
        output_stride, channels]` (`[batch, 1, 1, channels]` with global_pool).
    end_points: every activation by name.

Raises:
    ValueError: if the inputs are not images of known channels, the output stride
        cannot be reached, or the scope is in use and reuse is off.
"""
