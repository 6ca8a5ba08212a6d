"""CifarNet, as TF-Slim builds it.

Source: after the network of cuda-convnet for CIFAR-10; names and layout of
research/slim's nets/cifarnet.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.nets.chain_layers import Conv, Pool
from slimnets.nets.chains import Chain
from slimnets.nets.heads import describe, network_scope, predict
from slimnets.scopes import Scope, arg_scope


def cifarnet_arg_scope(weight_decay: float = 0.004) -> Scope:
    """Returns TF-Slim's arg scope for CifarNet, on top of what is open."""
    with (
        arg_scope(
            [layers.conv2d],
            weights_initializer=layers.truncated_normal_initializer(5e-2),
            activation_fn=tf.nn.relu,
        ),
        arg_scope(
            [layers.fully_connected],
            biases_initializer=tf.compat.v1.constant_initializer(0.1),
            weights_initializer=layers.truncated_normal_initializer(0.04),
            weights_regularizer=layers.l2_regularizer(weight_decay),
            activation_fn=tf.nn.relu,
        ) as scope,
    ):
        return scope


def _local_response(net: tf.Tensor) -> tf.Tensor:
    """Normalization over nine neighbouring channels."""
    return tf.nn.local_response_normalization(net, 4, 1.0, 0.001 / 9.0, 0.75)


CHAIN = Chain(
    "cifarnet",
    (
        Conv("conv1", 64, 5, padding=None),
        Pool("pool1", 2, padding=None),
        Conv("conv2", 64, 5, padding=None, before=_local_response),
        Pool("pool2", 2, padding=None, before=_local_response),
    ),
    cifarnet_arg_scope,
    image_size=32,
    normalized=False,
    fixed_size=True,
    root="conv1/weights",
    logits="logits/biases",
)


def cifarnet(
    images: tf.Tensor,
    num_classes: int | None = 10,
    is_training: bool | tf.Tensor | None = False,
    dropout_keep_prob: float = 0.5,
    prediction_fn: Callable | None = layers.softmax,
    scope: Any = "CifarNet",
    reuse: Any = None,
):
    """CifarNet of TF-Slim.

    Arguments, result and errors as of `lenet`; without classes it gives the features
    of `fc4`.
    """
    with network_scope(
        images, scope, "CifarNet", cifarnet_arg_scope(), is_training, num_classes, reuse
    ) as (end_points, name):
        net = CHAIN.build(images, end_points, name, CHAIN.depth())
        net = end_points["Flatten"] = layers.flatten(net)
        net = end_points["fc3"] = layers.fully_connected(net, 384, scope="fc3")
        net = layers.dropout(net, dropout_keep_prob, scope="dropout3")
        net = end_points["fc4"] = layers.fully_connected(net, 192, scope="fc4")
        if not num_classes:
            return net, end_points
        logits = layers.fully_connected(
            net,
            num_classes,
            biases_initializer=tf.compat.v1.zeros_initializer(),
            weights_initializer=layers.truncated_normal_initializer(1 / 192.0),
            weights_regularizer=None,
            activation_fn=None,
            scope="logits",
        )
        predict(logits, prediction_fn, end_points)
    return logits, end_points


NETWORKS = (describe(cifarnet, CHAIN, "cifar"),)
