"""ResNets with pre-activation bottleneck units, as TF-Slim builds them.

    with slimnets.arg_scope(resnet_v2.resnet_arg_scope(weight_decay=1e-4)):
        net, end_points = resnet_v2.resnet_v2_50(images, 1000, is_training=False)

The scope may be left out: its defaults lie under whatever the caller has open.

Source: He et al., Identity Mappings in Deep Residual Networks,
arXiv:1603.05027; layout and names of tf_slim/nets/resnet_v2.py, stride in a
block's last unit.
"""

from __future__ import annotations

from slimnets.rows.arg_scopes import resnet_arg_scope
from slimnets.rows.residual import block_maker, generator, slim_networks
from slimnets.units import basic_v2
from slimnets.units import bottleneck_v2 as bottleneck

__all__ = [
    "NETWORKS",
    "bottleneck",
    "resnet_arg_scope",
    "resnet_v2",
    "resnet_v2_18",
    "resnet_v2_34",
    "resnet_v2_50",
    "resnet_v2_101",
    "resnet_v2_152",
    "resnet_v2_200",
    "resnet_v2_block",
]

resnet_v2 = generator("resnet_v2", preactivation=True)
resnet_v2_block = block_maker("resnet_v2_block", bottleneck)

NETWORKS = (
    resnet_v2_18,
    resnet_v2_34,
    resnet_v2_50,
    resnet_v2_101,
    resnet_v2_152,
    resnet_v2_200,
) = slim_networks("resnet_v2", basic_v2, bottleneck, preactivation=True)
