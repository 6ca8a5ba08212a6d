"""Inception v4, as TF-Slim builds it.

Source: [1] Szegedy et al., Inception-v4, Inception-ResNet and the Impact of Residual
Connections on Learning, arXiv:1602.07261, figures 3 to 9; names and layout of
research/slim's nets/inception_v4.py.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from slimnets.nets.arg_scopes import inception_arg_scope
from slimnets.nets.chain_layers import Conv, Mixed, Pool
from slimnets.nets.chains import Chain
from slimnets.nets.heads import dense_aux_logits, dense_head, describe, network_scope
from slimnets.nets.inception_v3 import NO_LEVELS, pooled

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


LAYERS = (
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
    *map(_inception_a, "bcde"),
    Mixed(
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
    ),
    *map(_inception_b, "bcdefgh"),
    Mixed(
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
    ),
    *map(_inception_c, "bcd"),
)
CHAIN = Chain(
    "inception_v4",
    LAYERS,
    inception_arg_scope,
    image_size=299,
    no_levels=NO_LEVELS,
    root="Conv2d_1a_3x3/weights",
    logits="Logits/Logits/biases",
)


def inception_v4_base(
    inputs: tf.Tensor, final_endpoint: str = "Mixed_7d", scope: Any = None
):
    """Builds the network up to an end point, without its head.

    Args:
        inputs: `[batch, height, width, channels]`.
        final_endpoint: the last layer that is built: a name of `LAYERS`.
        scope: name of the variable scope; `InceptionV4` by default.

    Returns:
        `(net, end_points)`: that end point, and all by name.

    Raises:
        ValueError: for an unknown end point.
    """
    with network_scope(inputs, scope, "InceptionV4", inception_arg_scope()) as opened:
        end_points, name = opened
        net = CHAIN.build(inputs, end_points, name, CHAIN.depth(), final_endpoint)
    return net, end_points


def inception_v4(
    inputs: tf.Tensor,
    num_classes: int | None = 1001,
    is_training: bool | tf.Tensor | None = True,
    dropout_keep_prob: float = 0.8,
    reuse: Any = None,
    scope: Any = "InceptionV4",
    create_aux_logits: bool = True,
    depth_multiplier: float = 1.0,
):
    """Inception v4 of TF-Slim.

    Args:
        inputs: `[batch, height, width, channels]`.
        num_classes: number of classes; None or 0 gives the pooled features.
        is_training: whether batch norms use the batch's statistics and dropout drops:
            a bool, a scalar bool tensor, or None for the open arg scopes'.
        dropout_keep_prob: of the features before the logits.
        reuse: as in `tf.compat.v1.variable_scope`.
        scope: name of the variable scope.
        create_aux_logits: whether to make logits of `Mixed_6h` too, for a second loss:
            the end point `AuxLogits`. Their weights depend on the size of the images,
            which is taken to be 299 if it is not known.
        depth_multiplier: scales the depths of all but the auxiliary layers.

    Returns:
        `(net, end_points)`: logits or features, and every activation by name.

    Raises:
        ValueError: if the inputs are not images of known channels, or for a
            multiplier that is not positive.
    """
    depth = CHAIN.depth(depth_multiplier, 1)
    with network_scope(
        inputs,
        scope,
        "InceptionV4",
        inception_arg_scope(),
        is_training,
        num_classes,
        reuse,
    ) as (end_points, name):
        net = CHAIN.build(inputs, end_points, name, depth)
        if create_aux_logits and num_classes:
            end_points["AuxLogits"] = dense_aux_logits(
                end_points["Mixed_6h"],
                num_classes,
                ("AvgPool_1a_5x5", "Conv2d_2a", "Aux_logits"),
            )
        net = dense_head(
            net,
            num_classes,
            end_points,
            pool="AvgPool_1a",
            dropout="Dropout_1b",
            dropout_keep_prob=dropout_keep_prob,
        )
    return net, end_points


NETWORKS = (describe(inception_v4, CHAIN, "inception"),)
