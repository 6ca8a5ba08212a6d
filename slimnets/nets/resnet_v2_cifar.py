"""Pre-activation ResNets for small images: 9n + 2 layers, three blocks of n units.

Source: He et al., arXiv:1603.05027, section 4: a 3x3 root of 16 channels without
pool, bottleneck units of base depth 16, 32 and 64, stride 2 in the first unit of the
second and third block, convolutions without biases.
"""

from __future__ import annotations

from slimnets import layers
from slimnets.blocks import Block
from slimnets.nets.residual import Root, Row, network_of, resnet_arg_scope
from slimnets.scopes import Scope, arg_scope
from slimnets.units import bottleneck_v2

ROOT = Root(depth=16, kernel_size=3, stride=1, pool=None)


def cifar_arg_scope() -> Scope:
    """`resnet_arg_scope` for small data sets: no biases, faster moving averages."""
    with (
        arg_scope(resnet_arg_scope(batch_norm_decay=0.9)),
        arg_scope([layers.conv2d], biases_initializer=None) as scope,
    ):
        return scope


def cifar_block(scope: str, base_depth: int, num_units: int, stride: int) -> Block:
    """Returns a block of bottleneck units with the stride in the first one."""
    depth = 4 * base_depth
    units = [(depth, base_depth, stride)] + [(depth, base_depth, 1)] * (num_units - 1)
    return Block(scope, bottleneck_v2, units)


def cifar_row(layers_: int) -> Row:
    """Returns the row of the network of that many layers, `9n + 2`."""
    num_units, rest = divmod(layers_ - 2, 9)
    if rest or num_units < 1:
        raise ValueError(
            f"A small-image ResNet v2 has 9n + 2 layers, n >= 1; got {layers_}."
        )
    return Row(
        name=f"resnet_v2_cifar_{layers_}",
        stages=((16, num_units, 1), (32, num_units, 2), (64, num_units, 2)),
        block=cifar_block,
        preactivation=True,
        root=ROOT,
        arg_scope=cifar_arg_scope,
        image_size=32,
        summary=f"Pre-activation ResNet of {layers_} layers for small images.",
    )


NETWORKS = tuple(network_of(cifar_row(layers_)) for layers_ in (20, 29, 110, 164, 1001))
