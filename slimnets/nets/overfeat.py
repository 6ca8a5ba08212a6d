"""OverFeat, as TF-Slim builds it: dense layers as convolutions.

Source: Sermanet et al., OverFeat, arXiv:1312.6229, table 1; names and layout of
tf_slim/nets/overfeat.py and research/slim.
"""

from __future__ import annotations

from slimnets.nets.alexnet import row_of
from slimnets.rows.arg_scopes import biased_arg_scope
from slimnets.rows.builder import network_of
from slimnets.units import Conv, Pool

overfeat_arg_scope = biased_arg_scope
NETWORKS = (overfeat,) = (
    network_of(
        row_of(
            "overfeat",
            overfeat_arg_scope,
            (Conv("conv1", 64, 11, 4, "VALID"),),
            (
                (Pool("pool1", 2, padding=None), Conv("conv2", 256, 5, 1, "VALID")),
                (
                    Pool("pool2", 2, padding=None),
                    Conv("conv3", 512, padding=None),
                    Conv("conv4", 1024, padding=None),
                    Conv("conv5", 1024, padding=None),
                ),
                (Pool("pool5", 2, padding=None),),
            ),
            (3072, 4096),
            6,
            image_size=231,
            summary="OverFeat of TF-Slim.",
        )
    ),
)
