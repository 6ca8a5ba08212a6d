"""Inception v2 (batch-normalized Inception), as TF-Slim builds it.

Source: Ioffe & Szegedy, Batch Normalization, arXiv:1502.03167, figure 5; names and
layout of tf_slim/nets/inception_v2.py and research/slim.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.nets.arg_scopes import inception_arg_scope
from slimnets.nets.chain_layers import Conv, Depth, Mixed, Pool
from slimnets.nets.chains import Chain
from slimnets.nets.heads import convolved_head, describe, network_scope

inception_v2_arg_scope = inception_arg_scope


def _init(stddev: float) -> tuple[tuple[str, Any], ...]:
    return (("weights_initializer", layers.truncated_normal_initializer(stddev)),)


def _threes(*depths: int) -> tuple[Conv, ...]:
    """A 1x1 convolution and 3x3 ones behind it."""
    return (
        Conv("Conv2d_0a_1x1", depths[0], 1, options=_init(0.09)),
        *(
            Conv(f"Conv2d_0{letter}_3x3", depth, 3)
            for letter, depth in zip("bc", depths[1:], strict=False)
        ),
    )


def _mixed(name: str, one: int, three: tuple, double: tuple, pool: int, kind="avg"):
    named = {"avg": "AvgPool_0a_3x3", "max": "MaxPool_0a_3x3"}[kind]
    return Mixed(
        name,
        (
            (Conv("Conv2d_0a_1x1", one, 1),),
            _threes(*three),
            _threes(*double, double[1]),
            (
                Pool(named, stride=1, kind=kind),
                Conv("Conv2d_0b_1x1", pool, 1, options=_init(0.1)),
            ),
        ),
    )


def _reduction(name: str, three: tuple, double: tuple):
    return Mixed(
        name,
        (
            (*_threes(three[0]), Conv("Conv2d_1a_3x3", three[1], 3, 2)),
            (*_threes(*double), Conv("Conv2d_1a_3x3", double[1], 3, 2)),
            (Pool("MaxPool_1a_3x3"),),
        ),
    )


def _root_multiplier(depth: Depth) -> int:
    return min(int(depth(64) / 3), 8)


ROOT = (
    Conv("Conv2d_1a_7x7", 64, 7, 2, options=_init(1.0), multiplier=_root_multiplier),
    Pool("MaxPool_2a_3x3"),
    Conv("Conv2d_2b_1x1", 64, 1, options=_init(0.1)),
    Conv("Conv2d_2c_3x3", 192, 3),
    Pool("MaxPool_3a_3x3"),
)
PLAIN_ROOT = (Conv("Conv2d_1a_7x7", 64, 7, 2, options=_init(1.0)), *ROOT[1:])
MIXED = (
    _mixed("Mixed_3b", 64, (64, 64), (64, 96), 32),
    _mixed("Mixed_3c", 64, (64, 96), (64, 96), 64),
    _reduction("Mixed_4a", (128, 160), (64, 96)),
    _mixed("Mixed_4b", 224, (64, 96), (96, 128), 128),
    _mixed("Mixed_4c", 192, (96, 128), (96, 128), 128),
    _mixed("Mixed_4d", 160, (128, 160), (128, 160), 96),
    _mixed("Mixed_4e", 96, (128, 192), (160, 192), 96),
    _reduction("Mixed_5a", (128, 192), (192, 256)),
    _mixed("Mixed_5b", 352, (192, 320), (160, 224), 128),
    _mixed("Mixed_5c", 352, (192, 320), (192, 224), 128, "max"),
)
CHAIN = Chain(
    "inception_v2",
    ROOT + MIXED,
    inception_arg_scope,
    min_depth=16,
    root="Conv2d_1a_7x7/depthwise_weights",
    logits="Logits/Conv2d_1c_1x1/biases",
)


def inception_v2_base(
    inputs: tf.Tensor,
    final_endpoint: str = "Mixed_5c",
    min_depth: int = 16,
    depth_multiplier: float = 1.0,
    use_separable_conv: bool = True,
    include_root_block: bool = True,
    scope: Any = None,
):
    """Builds the network up to an end point, without its head.

    Args:
        inputs: `[batch, height, width, channels]`.
        final_endpoint: the last layer that is built: a name of `ROOT` or `MIXED`.
        min_depth: a depth is never scaled below this.
        depth_multiplier: scales the depths.
        use_separable_conv: whether the first convolution is a separable one.
        include_root_block: whether to begin with `ROOT`; if not, `inputs` should come
            from such layers.
        scope: name of the variable scope; `InceptionV2` by default.

    Returns:
        `(net, end_points)`: that end point, and all by name.

    Raises:
        ValueError: for an unknown end point or a multiplier that is not positive.
    """
    root = ROOT if use_separable_conv else PLAIN_ROOT
    chain = CHAIN.of((root if include_root_block else ()) + MIXED)
    depth = chain.depth(depth_multiplier, min_depth)
    with network_scope(inputs, scope, "InceptionV2", inception_arg_scope()) as opened:
        end_points, name = opened
        net = chain.build(inputs, end_points, name, depth, final_endpoint)
    return net, end_points


def inception_v2(
    inputs: tf.Tensor,
    num_classes: int | None = 1000,
    is_training: bool | tf.Tensor | None = True,
    dropout_keep_prob: float = 0.8,
    min_depth: int = 16,
    depth_multiplier: float = 1.0,
    prediction_fn: Callable | None = layers.softmax,
    spatial_squeeze: bool = True,
    reuse: Any = None,
    scope: Any = "InceptionV2",
    global_pool: bool = False,
):
    """Inception v2 (batch-normalized Inception) of TF-Slim.

    Arguments, result and errors as of `inception_v1`, and:

    Args:
        min_depth: a depth is never scaled below this.
        depth_multiplier: scales the depths.
    """
    depth = CHAIN.depth(depth_multiplier, min_depth)
    with network_scope(
        inputs,
        scope,
        "InceptionV2",
        inception_arg_scope(),
        is_training,
        num_classes,
        reuse,
    ) as (end_points, name):
        net = CHAIN.build(inputs, end_points, name, depth)
        net = convolved_head(
            net,
            num_classes,
            end_points,
            size=7,
            names=("AvgPool_1a_{}", "Dropout_1b", "Conv2d_1c_1x1"),
            global_pool=global_pool,
            dropout_keep_prob=dropout_keep_prob,
            prediction_fn=prediction_fn,
            spatial_squeeze=spatial_squeeze,
        )
    return net, end_points


NETWORKS = (describe(inception_v2, CHAIN, "inception"),)
