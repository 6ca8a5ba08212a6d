"""Inception v4, as TF-Slim builds it.

Source: [1] Szegedy et al., Inception-v4, Inception-ResNet and the Impact of Residual
Connections on Learning, arXiv:1602.07261, figures 3 to 9; names and layout of
research/slim's nets/inception_v4.py.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from slimnets.rows.arg_scopes import inception_arg_scope
from slimnets.rows.builder import base_of, network_of
from slimnets.rows.inception import (
    chain,
    conv,
    dense_auxiliary,
    dense_head,
    inception_row,
    max_pooled,
    mixed,
    pooled,
    strided,
)
from slimnets.rows.stage import Depths
from slimnets.units import Mixed
from slimnets.units.mixed import concatenated

inception_v4_arg_scope = inception_arg_scope


def _inception_a(letter: str) -> Mixed:
    """Figure 4 of [1]."""
    return mixed(
        f"Mixed_5{letter}",
        chain((96, 1)),
        chain((64, 1), (96, 3)),
        chain((64, 1), (96, 3), (96, 3)),
        pooled(96),
    )


def _inception_b(letter: str) -> Mixed:
    """Figure 5 of [1]."""
    return mixed(
        f"Mixed_6{letter}",
        chain((384, 1)),
        chain((192, 1), (224, (1, 7)), (256, (7, 1))),
        chain((192, 1), (192, (7, 1)), (224, (1, 7)), (224, (7, 1)), (256, (1, 7))),
        pooled(128),
    )


def _inception_c(letter: str) -> Mixed:
    """Figure 6 of [1]."""
    return mixed(
        f"Mixed_7{letter}",
        chain((256, 1)),
        (*chain((384, 1)), (conv("0b", 256, (1, 3)), conv("0c", 256, (3, 1)))),
        (
            *chain((384, 1), (448, (3, 1)), (512, (1, 3))),
            (conv("0d", 256, (1, 3)), conv("0e", 256, (3, 1))),
        ),
        pooled(256),
    )


_REDUCTION_A = mixed(
    "Mixed_6a",
    (strided(384),),
    (*chain((192, 1), (224, 3)), strided(256)),
    max_pooled(),
)
_REDUCTION_B = mixed(
    "Mixed_7a",
    (*chain((192, 1)), strided(192)),
    (*chain((256, 1), (256, (1, 7)), (320, (7, 1))), strided(320)),
    max_pooled(),
)
# Figure 3 of [1].
_LAST = conv("1a", 96, 3, 1, "VALID")
ROOT = (
    conv("1a", 32, 3, 2, "VALID"),
    conv("2a", 32, 3, 1, "VALID"),
    conv("2b", 64),
    mixed("Mixed_3a", max_pooled("MaxPool_0a_3x3"), (conv("0a", 96, 3, 2, "VALID"),)),
    mixed(
        "Mixed_4a",
        (*chain((64, 1)), _LAST),
        (*chain((64, 1), (64, (1, 7)), (64, (7, 1))), _LAST),
    ),
    mixed("Mixed_5a", (strided(192),), max_pooled()),
)
STAGES = (
    (*map(_inception_a, "bcde"),),
    (_REDUCTION_A, *map(_inception_b, "bcdefgh")),
    (_REDUCTION_B, *map(_inception_c, "bcd")),
)
ROW = inception_row(
    "inception_v4",
    root=ROOT,
    stages=STAGES,
    head=dense_head("AvgPool_1a", "Dropout_1b"),
    auxiliary=dense_auxiliary("Mixed_6h", "AvgPool_1a_5x5", "Conv2d_2a", "Aux_logits"),
    arguments=(
        *(("inputs", None), ("num_classes", 1001), ("is_training", True)),
        *(("dropout_keep_prob", 0.8), ("reuse", None), ("scope", "InceptionV4")),
        *(("create_aux_logits", True), ("depth_multiplier", 1.0)),
    ),
    depths=Depths(least=1),
    image_size=299,
    summary="Inception v4 of TF-Slim.",
)
NETWORKS = (inception_v4,) = (network_of(ROW),)
inception_v4_base = base_of(ROW, ("final_endpoint", "Mixed_7d"), ("scope", None))


def _block(kind: str, mixed: Mixed) -> Callable:
    """Returns the function of one block, by research/slim's name."""
    default_name = f"Block{kind.title().replace('_', '')}"

    def block(
        inputs: tf.Tensor, scope: str | None = None, reuse: bool | None = None
    ) -> tf.Tensor:
        """Builds one block of Inception v4; see `units.Mixed`."""
        with tf.compat.v1.variable_scope(scope, default_name, [inputs], reuse=reuse):
            return concatenated(inputs, mixed.branches, mixed.stride, 1, 1)

    block.__name__ = block.__qualname__ = f"block_{kind}"
    return block


block_inception_a = _block("inception_a", _inception_a("b"))
block_inception_b = _block("inception_b", _inception_b("b"))
block_inception_c = _block("inception_c", _inception_c("b"))
block_reduction_a = _block("reduction_a", _REDUCTION_A)
block_reduction_b = _block("reduction_b", _REDUCTION_B)
