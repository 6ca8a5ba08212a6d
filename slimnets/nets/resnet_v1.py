"""ResNets with bottleneck units, as TF-Slim builds them.

    with slimnets.arg_scope(resnet_v1.resnet_arg_scope(weight_decay=1e-4)):
        net, end_points = resnet_v1.resnet_v1_50(images, 1000, is_training=False)

The scope may be left out: its defaults lie under whatever the caller has open.

Source: He et al., Deep Residual Learning for Image Recognition,
arXiv:1512.03385; layout and names of tf_slim/nets/resnet_v1.py, stride in a
block's last unit.
"""

from __future__ import annotations

from slimnets.rows.arg_scopes import resnet_arg_scope
from slimnets.rows.residual import block_maker, generator, slim_networks
from slimnets.units import basic_v1
from slimnets.units import bottleneck_v1 as bottleneck

__all__ = [
    "NETWORKS",
    "bottleneck",
    "resnet_arg_scope",
    "resnet_v1",
    "resnet_v1_18",
    "resnet_v1_34",
    "resnet_v1_50",
    "resnet_v1_101",
    "resnet_v1_152",
    "resnet_v1_200",
    "resnet_v1_block",
]

resnet_v1 = generator("resnet_v1", preactivation=False)
resnet_v1_block = block_maker("resnet_v1_block", bottleneck)

NETWORKS = (
    resnet_v1_18,
    resnet_v1_34,
    resnet_v1_50,
    resnet_v1_101,
    resnet_v1_152,
    resnet_v1_200,
) = slim_networks("resnet_v1", basic_v1, bottleneck, preactivation=False)
