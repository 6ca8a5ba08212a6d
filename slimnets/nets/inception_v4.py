"""Inception v4, as TF-Slim builds it.

Source: [1] Szegedy et al., Inception-v4, Inception-ResNet and the Impact of Residual
Connections on Learning, arXiv:1602.07261, figures 3 to 9; names and layout of
research/slim's nets/inception_v4.py.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from slimnets.nets.inception_v3 import pooled
from slimnets.rows.arg_scopes import inception_arg_scope
from slimnets.rows.builder import base_of, network_of
from slimnets.rows.inception import dense_auxiliary, dense_head
from slimnets.rows.row import Row
from slimnets.rows.stage import Depths
from slimnets.units import Conv, Mixed, Pool
from slimnets.units.mixed import concatenated

inception_v4_arg_scope = inception_arg_scope


def _max_pool(name: str) -> tuple[Pool]:
    return (Pool(name, padding="VALID"),)


def _inception_a(letter: str) -> Mixed:
    """Figure 4 of [1]."""
    return Mixed(
        f"Mixed_5{letter}",
        (
            (Conv("Conv2d_0a_1x1", 96, 1),),
            (Conv("Conv2d_0a_1x1", 64, 1), Conv("Conv2d_0b_3x3", 96)),
            (
                Conv("Conv2d_0a_1x1", 64, 1),
                Conv("Conv2d_0b_3x3", 96),
                Conv("Conv2d_0c_3x3", 96),
            ),
            pooled(96),
        ),
    )


def _inception_b(letter: str) -> Mixed:
    """Figure 5 of [1]."""
    return Mixed(
        f"Mixed_6{letter}",
        (
            (Conv("Conv2d_0a_1x1", 384, 1),),
            (
                Conv("Conv2d_0a_1x1", 192, 1),
                Conv("Conv2d_0b_1x7", 224, (1, 7)),
                Conv("Conv2d_0c_7x1", 256, (7, 1)),
            ),
            (
                Conv("Conv2d_0a_1x1", 192, 1),
                Conv("Conv2d_0b_7x1", 192, (7, 1)),
                Conv("Conv2d_0c_1x7", 224, (1, 7)),
                Conv("Conv2d_0d_7x1", 224, (7, 1)),
                Conv("Conv2d_0e_1x7", 256, (1, 7)),
            ),
            pooled(128),
        ),
    )


def _inception_c(letter: str) -> Mixed:
    """Figure 6 of [1]."""
    return Mixed(
        f"Mixed_7{letter}",
        (
            (Conv("Conv2d_0a_1x1", 256, 1),),
            (
                Conv("Conv2d_0a_1x1", 384, 1),
                (
                    Conv("Conv2d_0b_1x3", 256, (1, 3)),
                    Conv("Conv2d_0c_3x1", 256, (3, 1)),
                ),
            ),
            (
                Conv("Conv2d_0a_1x1", 384, 1),
                Conv("Conv2d_0b_3x1", 448, (3, 1)),
                Conv("Conv2d_0c_1x3", 512, (1, 3)),
                (
                    Conv("Conv2d_0d_1x3", 256, (1, 3)),
                    Conv("Conv2d_0e_3x1", 256, (3, 1)),
                ),
            ),
            pooled(256),
        ),
    )


_REDUCTION_A = Mixed(
    "Mixed_6a",
    (
        (Conv("Conv2d_1a_3x3", 384, 3, 2, "VALID"),),
        (
            Conv("Conv2d_0a_1x1", 192, 1),
            Conv("Conv2d_0b_3x3", 224),
            Conv("Conv2d_1a_3x3", 256, 3, 2, "VALID"),
        ),
        _max_pool("MaxPool_1a_3x3"),
    ),
)
_REDUCTION_B = Mixed(
    "Mixed_7a",
    (
        (
            Conv("Conv2d_0a_1x1", 192, 1),
            Conv("Conv2d_1a_3x3", 192, 3, 2, "VALID"),
        ),
        (
            Conv("Conv2d_0a_1x1", 256, 1),
            Conv("Conv2d_0b_1x7", 256, (1, 7)),
            Conv("Conv2d_0c_7x1", 320, (7, 1)),
            Conv("Conv2d_1a_3x3", 320, 3, 2, "VALID"),
        ),
        _max_pool("MaxPool_1a_3x3"),
    ),
)
ROOT = (
    Conv("Conv2d_1a_3x3", 32, 3, 2, "VALID"),
    Conv("Conv2d_2a_3x3", 32, 3, 1, "VALID"),
    Conv("Conv2d_2b_3x3", 64),
    Mixed(
        "Mixed_3a",
        (_max_pool("MaxPool_0a_3x3"), (Conv("Conv2d_0a_3x3", 96, 3, 2, "VALID"),)),
    ),
    Mixed(
        "Mixed_4a",
        (
            (
                Conv("Conv2d_0a_1x1", 64, 1),
                Conv("Conv2d_1a_3x3", 96, 3, 1, "VALID"),
            ),
            (
                Conv("Conv2d_0a_1x1", 64, 1),
                Conv("Conv2d_0b_1x7", 64, (1, 7)),
                Conv("Conv2d_0c_7x1", 64, (7, 1)),
                Conv("Conv2d_1a_3x3", 96, 3, 1, "VALID"),
            ),
        ),
    ),
    Mixed(
        "Mixed_5a",
        ((Conv("Conv2d_1a_3x3", 192, 3, 2, "VALID"),), _max_pool("MaxPool_1a_3x3")),
    ),
)
STAGES = (
    (*map(_inception_a, "bcde"),),
    (_REDUCTION_A, *map(_inception_b, "bcdefgh")),
    (_REDUCTION_B, *map(_inception_c, "bcd")),
)
ROW = Row(
    "inception_v4",
    root=ROOT,
    stages=STAGES,
    head=dense_head("AvgPool_1a", "Dropout_1b"),
    auxiliary=dense_auxiliary("Mixed_6h", "AvgPool_1a_5x5", "Conv2d_2a", "Aux_logits"),
    scope="InceptionV4",
    arg_scope=inception_arg_scope,
    arguments=(
        *(("inputs", None), ("num_classes", 1001), ("is_training", True)),
        *(("dropout_keep_prob", 0.8), ("reuse", None), ("scope", "InceptionV4")),
        *(("create_aux_logits", True), ("depth_multiplier", 1.0)),
    ),
    depths=Depths(least=1),
    bare_keys=True,
    reopens=True,
    image_size=299,
    summary="Inception v4 of TF-Slim.",
    preprocessing="inception",
    weights="tf-slim",
    first_variable="Conv2d_1a_3x3/weights",
    logits="Logits/Logits/biases",
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
