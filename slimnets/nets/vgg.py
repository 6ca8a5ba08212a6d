"""VGG, as TF-Slim builds it: dense layers as convolutions.

Source: [1] Simonyan & Zisserman, Very Deep Convolutional Networks for Large-Scale
Image Recognition, arXiv:1409.1556, table 1; names and layout of tf_slim/nets/vgg.py and
research/slim. Keras Applications' networks are the same ones.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from slimnets.rows.arg_scopes import biased_arg_scope
from slimnets.rows.builder import network_of
from slimnets.rows.convolved_dense import convolved_dense_head
from slimnets.rows.row import Row
from slimnets.rows.stage import Depths
from slimnets.units import Conv, Pool

# Convolutions of each of the five blocks: table 1 of [1], columns A, D and E.
CONVS = {
    "vgg_a": (1, 1, 2, 2, 2),
    "vgg_16": (2, 2, 3, 3, 3),
    "vgg_19": (2, 2, 4, 4, 4),
}
_DEPTHS = (64, 128, 256, 512, 512)

vgg_arg_scope = biased_arg_scope


def _vary(row: Row, options: dict[str, Any], fc_conv_padding: str) -> Row:
    head = convolved_dense_head((4096, 4096), 7, fc_conv_padding)
    return dataclasses.replace(row, head=head)


def _row(name: str) -> Row:
    blocks = [
        [
            Conv(f"conv{block}/conv{block}_{i}", depth, padding=None)
            for i in range(1, count + 1)
        ]
        for block, (count, depth) in enumerate(
            zip(CONVS[name], _DEPTHS, strict=True), start=1
        )
    ]
    pools = [Pool(f"pool{block}", 2, padding=None) for block in range(1, 6)]
    return Row(
        name,
        root=tuple(blocks[0]),
        stages=(
            *((pool, *block) for pool, block in zip(pools, blocks[1:], strict=False)),
            (pools[-1],),
        ),
        arg_scope=vgg_arg_scope,
        arguments=(
            *(("inputs", None), ("num_classes", 1000), ("is_training", True)),
            *(("dropout_keep_prob", 0.5), ("spatial_squeeze", True), ("reuse", None)),
            *(("scope", name), ("fc_conv_padding", "VALID"), ("global_pool", False)),
        ),
        texts=(
            ("fc_conv_padding", "of the first dense layer; `SAME` gives a position for "
             "each 32x32 pixels of the images."),
        ),
        vary=_vary,
        depths=Depths(least=8),
        normalized=False,
        summary=f"VGG of {sum(CONVS[name]) + 3} layers with weights.",
        preprocessing="vgg",
        weights="tf-slim",
        names=() if name == "vgg_a" else (("keras", ("keras_vgg",)),),
    )  # fmt: skip


NETWORKS = (vgg_a, vgg_16, vgg_19) = tuple(network_of(_row(name)) for name in CONVS)
vgg_d, vgg_e = vgg_16, vgg_19
