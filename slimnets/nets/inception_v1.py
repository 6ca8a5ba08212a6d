"""Inception v1 (GoogLeNet), as TF-Slim builds it.

Source: [1] Szegedy et al., Going Deeper with Convolutions, arXiv:1409.4842, table 1;
names and layout of tf_slim/nets/inception_v1.py and research/slim.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.nets.arg_scopes import inception_arg_scope
from slimnets.nets.chain_layers import Conv, Mixed, Pool
from slimnets.nets.chains import Chain
from slimnets.nets.heads import convolved_head, describe, network_scope

_INIT = (("weights_initializer", layers.truncated_normal_initializer(0.01)),)

inception_v1_arg_scope = inception_arg_scope


def _conv(name: str, depth: int, kernel: int, stride: int = 1) -> Conv:
    return Conv(name, depth, kernel, stride, options=_INIT)


def _mixed(
    name: str, one: int, three: tuple, five: tuple, pool: int, last: str = "0b"
) -> Mixed:
    """A row of table 1 [1]; what is 5x5 there is 3x3 here, as in all of TF-Slim."""
    return Mixed(
        name,
        (
            (_conv("Conv2d_0a_1x1", one, 1),),
            (
                _conv("Conv2d_0a_1x1", three[0], 1),
                _conv("Conv2d_0b_3x3", three[1], 3),
            ),
            (
                _conv("Conv2d_0a_1x1", five[0], 1),
                _conv(f"Conv2d_{last}_3x3", five[1], 3),
            ),
            (Pool("MaxPool_0a_3x3", stride=1), _conv("Conv2d_0b_1x1", pool, 1)),
        ),
    )


LAYERS = (
    _conv("Conv2d_1a_7x7", 64, 7, 2),
    Pool("MaxPool_2a_3x3"),
    _conv("Conv2d_2b_1x1", 64, 1),
    _conv("Conv2d_2c_3x3", 192, 3),
    Pool("MaxPool_3a_3x3"),
    _mixed("Mixed_3b", 64, (96, 128), (16, 32), 32),
    _mixed("Mixed_3c", 128, (128, 192), (32, 96), 64),
    Pool("MaxPool_4a_3x3"),
    _mixed("Mixed_4b", 192, (96, 208), (16, 48), 64),
    _mixed("Mixed_4c", 160, (112, 224), (24, 64), 64),
    _mixed("Mixed_4d", 128, (128, 256), (24, 64), 64),
    _mixed("Mixed_4e", 112, (144, 288), (32, 64), 64),
    _mixed("Mixed_4f", 256, (160, 320), (32, 128), 128),
    Pool("MaxPool_5a_2x2", 2),
    # TF-Slim's checkpoints have this slip in a name.
    _mixed("Mixed_5b", 256, (160, 320), (32, 128), 128, last="0a"),
    _mixed("Mixed_5c", 384, (192, 384), (48, 128), 128),
)
CHAIN = Chain(
    "inception_v1",
    LAYERS,
    inception_arg_scope,
    root="Conv2d_1a_7x7/weights",
    logits="Logits/Conv2d_0c_1x1/biases",
)


def inception_v1_base(
    inputs: tf.Tensor,
    final_endpoint: str = "Mixed_5c",
    include_root_block: bool = True,
    scope: Any = "InceptionV1",
):
    """Builds the network up to an end point, without its head.

    Args:
        inputs: `[batch, height, width, channels]`.
        final_endpoint: the last layer that is built: a name of `LAYERS`.
        include_root_block: whether to begin with the layers before `Mixed_3b`; if not,
            `inputs` should come from such layers.
        scope: name of the variable scope.

    Returns:
        `(net, end_points)`: that end point, and all by name.

    Raises:
        ValueError: for an unknown end point.
    """
    from_mixed = LAYERS[5:]
    chain = CHAIN if include_root_block else CHAIN.of(from_mixed)
    with network_scope(inputs, scope, "InceptionV1", inception_arg_scope()) as opened:
        end_points, name = opened
        net = chain.build(inputs, end_points, name, chain.depth(), final_endpoint)
    return net, end_points


def inception_v1(
    inputs: tf.Tensor,
    num_classes: int | None = 1000,
    is_training: bool | tf.Tensor | None = True,
    dropout_keep_prob: float = 0.8,
    prediction_fn: Callable | None = layers.softmax,
    spatial_squeeze: bool = True,
    reuse: Any = None,
    scope: Any = "InceptionV1",
    global_pool: bool = False,
):
    """Inception v1 (GoogLeNet) of TF-Slim, with batch norms.

    Args:
        inputs: `[batch, height, width, channels]`; 224x224 gives one position.
        num_classes: number of classes; None or 0 gives the pooled features.
        is_training: whether batch norms use the batch's statistics and dropout drops:
            a bool, a scalar bool tensor, or None for the open arg scopes'.
        dropout_keep_prob: of the features before the logits.
        prediction_fn: makes predictions of logits; None for none.
        spatial_squeeze: whether logits are `[batch, num_classes]`, for images that
            give one position.
        reuse: as in `tf.compat.v1.variable_scope`.
        scope: name of the variable scope.
        global_pool: whether to average over the whole image, of any size, rather than
            over windows of 7x7.

    Returns:
        `(net, end_points)`: logits or features, and every activation by name.

    Raises:
        ValueError: if the inputs are not images of known channels.
    """
    with network_scope(
        inputs,
        scope,
        "InceptionV1",
        inception_arg_scope(),
        is_training,
        num_classes,
        reuse,
    ) as (end_points, name):
        net = CHAIN.build(inputs, end_points, name, CHAIN.depth())
        net = convolved_head(
            net,
            num_classes,
            end_points,
            size=7,
            names=("AvgPool_0a_7x7", "Dropout_0b", "Conv2d_0c_1x1"),
            global_pool=global_pool,
            dropout_keep_prob=dropout_keep_prob,
            prediction_fn=prediction_fn,
            spatial_squeeze=spatial_squeeze,
        )
    return net, end_points


NETWORKS = (describe(inception_v1, CHAIN, "inception"),)
