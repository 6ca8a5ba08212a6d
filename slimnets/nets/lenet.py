"""LeNet, as TF-Slim builds it.

Source: after LeCun et al., Gradient-Based Learning Applied to Document Recognition,
1998; names and layout of research/slim's nets/lenet.py.
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


def lenet_arg_scope(weight_decay: float = 0.0) -> Scope:
    """Returns TF-Slim's arg scope for LeNet, on top of what is open."""
    with arg_scope(
        [layers.conv2d, layers.fully_connected],
        weights_regularizer=layers.l2_regularizer(weight_decay),
        weights_initializer=layers.truncated_normal_initializer(0.1),
        activation_fn=tf.nn.relu,
    ) as scope:
        return scope


_PREDICTIONS = Predictions("Predictions", "Logits", default=None, outside=True)
NETWORKS = (lenet,) = (
    network_of(
        Row(
            "lenet",
            root=(Conv("conv1", 32, 5, padding=None),),
            stages=(
                (Pool("pool1", 2, padding=None), Conv("conv2", 64, 5, padding=None)),
                (Pool("pool2", 2, padding=None),),
            ),
            head=Head(
                features=(Flatten("Flatten"), Dense("fc3", 1024)),
                logits=(
                    Dropout("dropout3", "dropout3"),
                    Logits(
                        "fc4",
                        dense=True,
                        options=(("activation_fn", None),),
                        plain=False,
                    ),
                ),
                end=(_PREDICTIONS,),
            ),
            scope="LeNet",
            arg_scope=lenet_arg_scope,
            arguments=(
                *(("images", None), ("num_classes", 10), ("is_training", False)),
                *(("dropout_keep_prob", 0.5), ("prediction_fn", layers.softmax)),
                *(("scope", "LeNet"), ("reuse", None)),
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
            image_size=28,
            fixed_size=True,
            summary="LeNet of TF-Slim.",
            preprocessing="plain",
            weights="tf-slim",
        )
    ),
)
