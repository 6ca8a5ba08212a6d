"""Big Transfer's ResNets: pre-activation, group norm, weight standardization.

Source: Kolesnikov et al., arXiv:1912.11370; timm's resnetv2_50x1_bit and its kin.
"""

from __future__ import annotations

from slimnets import layers
from slimnets.nets.arg_scopes import bit_arg_scope
from slimnets.nets.roots import Root
from slimnets.nets.rows import Row, network_of, stages
from slimnets.units import bottleneck_v2


def _row(depth: int, width: int) -> Row:
    return Row(
        name=f"bit_r{depth}x{width}",
        stages=stages(depth, width=width),
        unit_fn=bottleneck_v2,
        preactivation=True,
        unit_options=(("biases", False), ("normalizer_fn", layers.group_norm)),
        root=Root(convs=((64 * width, 7, 2),), pool="zeros", biases=False),
        arg_scope=bit_arg_scope,
        depth_multiple=32,  # A group norm has 32 groups.
        summary=f"BiT ResNet-{depth}, {width} times as wide.",
        weights="bit",
        preprocessing="tf",
    )


NETWORKS = tuple(network_of(_row(*row)) for row in ((50, 1), (101, 1), (50, 3)))
