"""Inception v3, as TF-Slim builds it.

Source: [1] Szegedy et al., Rethinking the Inception Architecture for Computer Vision,
arXiv:1512.00567, table 1; names and layout of tf_slim/nets/inception_v3.py and
research/slim. Keras Applications' network is the same one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.nets.arg_scopes import inception_arg_scope
from slimnets.nets.chain_layers import Conv, Depth, Mixed, Pool
from slimnets.nets.chains import Chain
from slimnets.nets.heads import (
    aux_pool,
    convolved_head,
    describe,
    network_scope,
    squeezed,
    window,
)

inception_v3_arg_scope = inception_arg_scope
NO_LEVELS = "its first layers do not pad, so that no activation has a whole stride"


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


LAYERS = (
    Conv("Conv2d_1a_3x3", 32, 3, 2, "VALID"),
    Conv("Conv2d_2a_3x3", 32, 3, 1, "VALID"),
    Conv("Conv2d_2b_3x3", 64, 3),
    Pool("MaxPool_3a_3x3", padding="VALID"),
    Conv("Conv2d_3b_1x1", 80, 1, 1, "VALID"),
    Conv("Conv2d_4a_3x3", 192, 3, 1, "VALID"),
    Pool("MaxPool_5a_3x3", padding="VALID"),
    _fives("Mixed_5b", 32),
    # TF-Slim's checkpoints have these slips in names, and that of Mixed_7b.
    _fives("Mixed_5c", 64, ("Conv2d_0b_1x1", "Conv_1_0c_5x5")),
    _fives("Mixed_5d", 64),
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
)
CHAIN = Chain(
    "inception_v3",
    LAYERS,
    inception_arg_scope,
    image_size=299,
    min_depth=16,
    no_levels=NO_LEVELS,
    sources=(("keras", ("keras_inception_v3",)),),
    root="Conv2d_1a_3x3/weights",
    logits="Logits/Conv2d_1c_1x1/biases",
)


def inception_v3_base(
    inputs: tf.Tensor,
    final_endpoint: str = "Mixed_7c",
    min_depth: int = 16,
    depth_multiplier: float = 1.0,
    scope: Any = None,
):
    """Builds the network up to an end point, without its head.

    Args:
        inputs: `[batch, height, width, channels]`.
        final_endpoint: the last layer that is built: a name of `LAYERS`.
        min_depth: a depth is never scaled below this.
        depth_multiplier: scales the depths.
        scope: name of the variable scope; `InceptionV3` by default.

    Returns:
        `(net, end_points)`: that end point, and all by name.

    Raises:
        ValueError: for an unknown end point or a multiplier that is not positive.
    """
    depth = CHAIN.depth(depth_multiplier, min_depth)
    with network_scope(inputs, scope, "InceptionV3", inception_arg_scope()) as opened:
        end_points, name = opened
        net = CHAIN.build(inputs, end_points, name, depth, final_endpoint)
    return net, end_points


def inception_v3(
    inputs: tf.Tensor,
    num_classes: int | None = 1000,
    is_training: bool | tf.Tensor | None = True,
    dropout_keep_prob: float = 0.8,
    min_depth: int = 16,
    depth_multiplier: float = 1.0,
    prediction_fn: Callable | None = layers.softmax,
    spatial_squeeze: bool = True,
    reuse: Any = None,
    create_aux_logits: bool = True,
    scope: Any = "InceptionV3",
    global_pool: bool = False,
):
    """Inception v3 of TF-Slim and Keras.

    Arguments, result and errors as of `inception_v1`, with windows of 8x8, and:

    Args:
        min_depth: a depth is never scaled below this.
        depth_multiplier: scales the depths.
        create_aux_logits: whether to make logits of `Mixed_6e` too, for a second loss:
            the end point `AuxLogits`.
    """
    depth = CHAIN.depth(depth_multiplier, min_depth)
    with network_scope(
        inputs,
        scope,
        "InceptionV3",
        inception_arg_scope(),
        is_training,
        num_classes,
        reuse,
    ) as (end_points, name):
        net = CHAIN.build(inputs, end_points, name, depth)
        if create_aux_logits and num_classes:
            aux = _aux_logits(end_points["Mixed_6e"], num_classes, depth)
            aux = squeezed(aux, spatial_squeeze, "AuxLogits/SpatialSqueeze")
            end_points["AuxLogits"] = aux
        net = convolved_head(
            net,
            num_classes,
            end_points,
            size=8,
            names=("AvgPool_1a_{}", "Dropout_1b", "Conv2d_1c_1x1"),
            global_pool=global_pool,
            dropout_keep_prob=dropout_keep_prob,
            prediction_fn=prediction_fn,
            spatial_squeeze=spatial_squeeze,
            pre_logits=True,
        )
    return net, end_points


def _aux_logits(net: tf.Tensor, num_classes: int, depth: Depth) -> tf.Tensor:
    with tf.compat.v1.variable_scope("AuxLogits"):
        net = aux_pool(net, "AvgPool_1a_5x5")
        net = layers.conv2d(net, depth(128), 1, scope="Conv2d_1b_1x1")
        kernel = window(net, 5)
        net = layers.conv2d(
            net,
            depth(768),
            kernel,
            weights_initializer=layers.truncated_normal_initializer(0.01),
            padding="VALID",
            scope="Conv2d_2a_{}x{}".format(*kernel),
        )
        return layers.conv2d(
            net,
            num_classes,
            1,
            activation_fn=None,
            normalizer_fn=None,
            weights_initializer=layers.truncated_normal_initializer(0.001),
            scope="Conv2d_2b_1x1",
        )


NETWORKS = (describe(inception_v3, CHAIN, "inception"),)
