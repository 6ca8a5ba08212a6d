"""Inception v3, as TF-Slim builds it.

Source: [1] Szegedy et al., Rethinking the Inception Architecture for Computer Vision,
arXiv:1512.00567, table 1; names and layout of tf_slim/nets/inception_v3.py and
research/slim. Keras Applications' network is the same one.
"""

from __future__ import annotations

from slimnets.rows.arg_scopes import inception_arg_scope
from slimnets.rows.builder import base_of, network_of
from slimnets.rows.head_layers import AuxiliaryPool, Logits, Squeeze, WindowConv
from slimnets.rows.heads import Auxiliary
from slimnets.rows.inception import (
    ROOT,
    arguments,
    chain,
    conv,
    convolved_head,
    inception_row,
    initial,
    max_pooled,
    mixed,
    pooled,
    strided,
)
from slimnets.rows.stage import Depths
from slimnets.units import Conv, Mixed

inception_v3_arg_scope = inception_arg_scope


def _fives(name: str, pool: int, names=("Conv2d_0a_1x1", "Conv2d_0b_5x5")) -> Mixed:
    """Figure 5 of [1], with a 5x5 convolution for two 3x3 ones."""
    return mixed(
        name,
        chain((64, 1)),
        (Conv(names[0], 48, 1), Conv(names[1], 64, 5)),
        chain((64, 1), (96, 3), (96, 3)),
        pooled(pool),
    )


def _sevens(name: str, depth: int) -> Mixed:
    """Figure 6 of [1], n = 7."""
    row, column = (depth, (1, 7)), (depth, (7, 1))
    return mixed(
        name,
        chain((192, 1)),
        chain((depth, 1), row, (192, (7, 1))),
        chain((depth, 1), column, row, column, (192, (1, 7))),
        pooled(192),
    )


def _expanded(name: str, second: str) -> Mixed:
    """Figure 7 of [1]."""
    return mixed(
        name,
        chain((320, 1)),
        (*chain((384, 1)), (conv("0b", 384, (1, 3)), Conv(second, 384, (3, 1)))),
        (
            *chain((448, 1), (384, 3)),
            (conv("0c", 384, (1, 3)), conv("0d", 384, (3, 1))),
        ),
        pooled(192),
    )


# TF-Slim's checkpoints have slips in the names of Mixed_5c, Mixed_6a and Mixed_7b.
_SLIP = "Conv2d_1a_1x1"
STAGES = (
    (
        _fives("Mixed_5b", 32),
        _fives("Mixed_5c", 64, ("Conv2d_0b_1x1", "Conv_1_0c_5x5")),
        _fives("Mixed_5d", 64),
    ),
    (
        mixed(
            "Mixed_6a",
            (Conv(_SLIP, 384, 3, 2, "VALID"),),
            (*chain((64, 1), (96, 3)), Conv(_SLIP, 96, 3, 2, "VALID")),
            max_pooled(),
        ),
        _sevens("Mixed_6b", 128),
        _sevens("Mixed_6c", 160),
        _sevens("Mixed_6d", 160),
        _sevens("Mixed_6e", 192),
    ),
    (
        mixed(
            "Mixed_7a",
            (*chain((192, 1)), strided(320)),
            (*chain((192, 1), (192, (1, 7)), (192, (7, 1))), strided(192)),
            max_pooled(),
        ),
        _expanded("Mixed_7b", "Conv2d_0b_3x1"),
        _expanded("Mixed_7c", "Conv2d_0c_3x1"),
    ),
)
ROW = inception_row(
    "inception_v3",
    root=ROOT,
    stages=STAGES,
    head=convolved_head(
        8, "AvgPool_1a_{}", "Dropout_1b", "Conv2d_1c_1x1", True, whole="GlobalPool"
    ),
    auxiliary=Auxiliary(
        "Mixed_6e",
        (
            AuxiliaryPool("AvgPool_1a_5x5"),
            conv("1b", 128, 1),
            WindowConv(
                Conv("Conv2d_2a_{}", 768, padding="VALID", options=initial(0.01)),
                at_most=5,
            ),
            Logits("Conv2d_2b_1x1", options=initial(0.001)),
        ),
        end=(Squeeze("AuxLogits/SpatialSqueeze"),),
        scaled=True,
    ),
    arguments=arguments(
        *(1000, "InceptionV3", ("min_depth", 16), ("depth_multiplier", 1.0)),
        ("create_aux_logits", True),
    ),
    depths=Depths(least=16),
    image_size=299,
    summary="Inception v3 of TF-Slim and Keras.",
    names=(("keras", ("keras_inception_v3",)),),
)
NETWORKS = (inception_v3,) = (network_of(ROW),)
inception_v3_base = base_of(
    ROW,
    *(("final_endpoint", "Mixed_7c"), ("min_depth", 16), ("depth_multiplier", 1.0)),
    ("scope", None),
)
