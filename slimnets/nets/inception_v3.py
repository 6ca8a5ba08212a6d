"""Inception v3, as TF-Slim builds it.

Source: [1] Szegedy et al., Rethinking the Inception Architecture for Computer Vision,
arXiv:1512.00567, table 1; names and layout of tf_slim/nets/inception_v3.py and
research/slim. Keras Applications' network is the same one.
"""

from __future__ import annotations

from typing import Any

from slimnets import layers
from slimnets.rows.arg_scopes import inception_arg_scope
from slimnets.rows.builder import base_of, network_of
from slimnets.rows.head_layers import AuxiliaryPool, Logits, Squeeze
from slimnets.rows.head_layers import Conv as HeadConv
from slimnets.rows.heads import Auxiliary
from slimnets.rows.inception import arguments, convolved_head
from slimnets.rows.row import Row
from slimnets.rows.stage import Depths
from slimnets.units import Conv, Mixed, Pool

inception_v3_arg_scope = inception_arg_scope


def pooled(depth: int) -> tuple[Any, ...]:
    """The branch of an average pool and a 1x1 convolution."""
    pool = Pool("AvgPool_0a_3x3", stride=1, kind="avg")
    return (pool, Conv("Conv2d_0b_1x1", depth, 1))


def _fives(name: str, pool: int, names=("Conv2d_0a_1x1", "Conv2d_0b_5x5")) -> Mixed:
    """Figure 5 of [1], with a 5x5 convolution for two 3x3 ones."""
    return Mixed(
        name,
        (
            (Conv("Conv2d_0a_1x1", 64, 1),),
            (Conv(names[0], 48, 1), Conv(names[1], 64, 5)),
            (
                Conv("Conv2d_0a_1x1", 64, 1),
                Conv("Conv2d_0b_3x3", 96, 3),
                Conv("Conv2d_0c_3x3", 96, 3),
            ),
            pooled(pool),
        ),
    )


def _sevens(name: str, depth: int) -> Mixed:
    """Figure 6 of [1], n = 7."""
    return Mixed(
        name,
        (
            (Conv("Conv2d_0a_1x1", 192, 1),),
            (
                Conv("Conv2d_0a_1x1", depth, 1),
                Conv("Conv2d_0b_1x7", depth, (1, 7)),
                Conv("Conv2d_0c_7x1", 192, (7, 1)),
            ),
            (
                Conv("Conv2d_0a_1x1", depth, 1),
                Conv("Conv2d_0b_7x1", depth, (7, 1)),
                Conv("Conv2d_0c_1x7", depth, (1, 7)),
                Conv("Conv2d_0d_7x1", depth, (7, 1)),
                Conv("Conv2d_0e_1x7", 192, (1, 7)),
            ),
            pooled(192),
        ),
    )


def _expanded(name: str, second: str) -> Mixed:
    """Figure 7 of [1]."""
    return Mixed(
        name,
        (
            (Conv("Conv2d_0a_1x1", 320, 1),),
            (
                Conv("Conv2d_0a_1x1", 384, 1),
                (Conv("Conv2d_0b_1x3", 384, (1, 3)), Conv(second, 384, (3, 1))),
            ),
            (
                Conv("Conv2d_0a_1x1", 448, 1),
                Conv("Conv2d_0b_3x3", 384, 3),
                (
                    Conv("Conv2d_0c_1x3", 384, (1, 3)),
                    Conv("Conv2d_0d_3x1", 384, (3, 1)),
                ),
            ),
            pooled(192),
        ),
    )


ROOT = (
    Conv("Conv2d_1a_3x3", 32, 3, 2, "VALID"),
    Conv("Conv2d_2a_3x3", 32, 3, 1, "VALID"),
    Conv("Conv2d_2b_3x3", 64, 3),
    Pool("MaxPool_3a_3x3", padding="VALID"),
    Conv("Conv2d_3b_1x1", 80, 1, 1, "VALID"),
    Conv("Conv2d_4a_3x3", 192, 3, 1, "VALID"),
    Pool("MaxPool_5a_3x3", padding="VALID"),
)
STAGES = (
    (
        _fives("Mixed_5b", 32),
        # TF-Slim's checkpoints have these slips in names, and that of Mixed_7b.
        _fives("Mixed_5c", 64, ("Conv2d_0b_1x1", "Conv_1_0c_5x5")),
        _fives("Mixed_5d", 64),
    ),
    (
        Mixed(
            "Mixed_6a",
            (
                (Conv("Conv2d_1a_1x1", 384, 3, 2, "VALID"),),
                (
                    Conv("Conv2d_0a_1x1", 64, 1),
                    Conv("Conv2d_0b_3x3", 96, 3),
                    Conv("Conv2d_1a_1x1", 96, 3, 2, "VALID"),
                ),
                (Pool("MaxPool_1a_3x3", padding="VALID"),),
            ),
        ),
        _sevens("Mixed_6b", 128),
        _sevens("Mixed_6c", 160),
        _sevens("Mixed_6d", 160),
        _sevens("Mixed_6e", 192),
    ),
    (
        Mixed(
            "Mixed_7a",
            (
                (
                    Conv("Conv2d_0a_1x1", 192, 1),
                    Conv("Conv2d_1a_3x3", 320, 3, 2, "VALID"),
                ),
                (
                    Conv("Conv2d_0a_1x1", 192, 1),
                    Conv("Conv2d_0b_1x7", 192, (1, 7)),
                    Conv("Conv2d_0c_7x1", 192, (7, 1)),
                    Conv("Conv2d_1a_3x3", 192, 3, 2, "VALID"),
                ),
                (Pool("MaxPool_1a_3x3", padding="VALID"),),
            ),
        ),
        _expanded("Mixed_7b", "Conv2d_0b_3x1"),
        _expanded("Mixed_7c", "Conv2d_0c_3x1"),
    ),
)


def _init(stddev: float) -> tuple[tuple[str, Any], ...]:
    return (("weights_initializer", layers.truncated_normal_initializer(stddev)),)


ROW = Row(
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
            HeadConv(Conv("Conv2d_1b_1x1", 128, 1)),
            HeadConv(
                Conv("Conv2d_2a_{}", 768, padding="VALID", options=_init(0.01)),
                at_most=5,
            ),
            Logits("Conv2d_2b_1x1", options=_init(0.001)),
        ),
        end=(Squeeze("AuxLogits/SpatialSqueeze"),),
        scaled=True,
    ),
    scope="InceptionV3",
    arg_scope=inception_arg_scope,
    arguments=arguments(
        *(1000, "InceptionV3", ("min_depth", 16), ("depth_multiplier", 1.0)),
        ("create_aux_logits", True),
    ),
    depths=Depths(least=16),
    bare_keys=True,
    reopens=True,
    image_size=299,
    summary="Inception v3 of TF-Slim and Keras.",
    preprocessing="inception",
    weights="tf-slim",
    names=(("keras", ("keras_inception_v3",)),),
    first_variable="Conv2d_1a_3x3/weights",
    logits="Logits/Conv2d_1c_1x1/biases",
)
NETWORKS = (inception_v3,) = (network_of(ROW),)
inception_v3_base = base_of(
    ROW,
    *(("final_endpoint", "Mixed_7c"), ("min_depth", 16), ("depth_multiplier", 1.0)),
    ("scope", None),
)
