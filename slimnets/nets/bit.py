"""Big Transfer's ResNets: pre-activation, group norm, weight standardization.

Source: Kolesnikov et al., arXiv:1912.11370; timm's resnetv2_50x1_bit and its kin.
"""

from __future__ import annotations

from slimnets import layers
from slimnets.rows.arg_scopes import bit_arg_scope
from slimnets.rows.builder import network_of
from slimnets.rows.residual import residual_row, root, stages
from slimnets.rows.row import Row
from slimnets.units import bottleneck_v2


def _row(depth: int, width: int) -> Row:
    return residual_row(
        f"bit_r{depth}x{width}",
        stages(depth, bottleneck_v2, width=width),
        f"BiT ResNet-{depth}, {width} times as wide.",
        root=root((64 * width, 7, 2), pool="zeros", preactivation=True, biases=False),
        preactivation=True,
        unit_options=(("biases", False), ("normalizer_fn", layers.group_norm)),
        arg_scope=bit_arg_scope,
        depth_multiple=32,  # A group norm has 32 groups.
        weights="bit",
        names=(("torch", ("torch_bit",)), ("npz", ("bit",))),
        preprocessing="tf",
    )


NETWORKS = tuple(network_of(_row(*row)) for row in ((50, 1), (101, 1), (50, 3)))
