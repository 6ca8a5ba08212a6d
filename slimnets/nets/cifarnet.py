"""CifarNet, as TF-Slim builds it.

Source: after the network of cuda-convnet for CIFAR-10; names and layout of
research/slim's nets/cifarnet.py.
"""

from __future__ import annotations

import tensorflow as tf

from slimnets import layers
from slimnets.rows.builder import network_of
from slimnets.rows.head_layers import Dense, Dropout, Flatten, Logits, Predictions
from slimnets.rows.heads import Head
from slimnets.rows.row import Row
from slimnets.rows.stage import Depths
from slimnets.scopes import Scope, arg_scope
from slimnets.units import Conv, Pool


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


_LOGITS = Logits(
    "logits",
    dense=True,
    options=(
        ("biases_initializer", tf.compat.v1.zeros_initializer()),
        ("weights_initializer", layers.truncated_normal_initializer(1 / 192.0)),
        ("weights_regularizer", None),
        ("activation_fn", None),
    ),
    plain=False,
)
NETWORKS = (cifarnet,) = (
    network_of(
        Row(
            "cifarnet",
            root=(Conv("conv1", 64, 5, padding=None),),
            stages=(
                (
                    Pool("pool1", 2, padding=None),
                    Conv("conv2", 64, 5, padding=None, before=_local_response),
                ),
                (Pool("pool2", 2, padding=None, before=_local_response),),
            ),
            head=Head(
                features=(
                    Flatten("Flatten"),
                    Dense("fc3", 384),
                    Dropout("dropout3"),
                    Dense("fc4", 192),
                ),
                logits=(_LOGITS,),
                end=(Predictions("Predictions", "Logits", default=None),),
            ),
            scope="CifarNet",
            arg_scope=cifarnet_arg_scope,
            arguments=(
                *(("images", None), ("num_classes", 10), ("is_training", False)),
                *(("dropout_keep_prob", 0.5), ("prediction_fn", layers.softmax)),
                *(("scope", "CifarNet"), ("reuse", None)),
            ),
            texts=(
                (
                    "images",
                    "`[batch, height, width, channels]`, of known height and width.",
                ),
            ),
            depths=Depths(least=8),
            bare_keys=True,
            normalized=False,
            image_size=32,
            fixed_size=True,
            summary="CifarNet of TF-Slim.",
            preprocessing="cifar",
            weights="tf-slim",
        )
    ),
)
