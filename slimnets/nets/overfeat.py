"""OverFeat, as TF-Slim builds it: dense layers as convolutions.

Source: Sermanet et al., OverFeat, arXiv:1312.6229, table 1; names and layout of
tf_slim/nets/overfeat.py and research/slim.
"""

from __future__ import annotations

from slimnets.nets.alexnet import chain_of, network_of
from slimnets.nets.arg_scopes import biased_arg_scope
from slimnets.nets.chain_layers import Conv, Pool


def overfeat_arg_scope(weight_decay: float = 0.0005):
    """Returns TF-Slim's arg scope for OverFeat, on top of what is open."""
    return biased_arg_scope(weight_decay)


CHAIN = chain_of(
    "overfeat",
    overfeat_arg_scope,
    231,
    (
        Conv("conv1", 64, 11, 4, "VALID"),
        Pool("pool1", 2, padding=None),
        Conv("conv2", 256, 5, 1, "VALID"),
        Pool("pool2", 2, padding=None),
        Conv("conv3", 512, padding=None),
        Conv("conv4", 1024, padding=None),
        Conv("conv5", 1024, padding=None),
        Pool("pool5", 2, padding=None),
    ),
)

overfeat = network_of(CHAIN, "OverFeat of TF-Slim.", (3072, 4096), 6)
NETWORKS = (overfeat,)
