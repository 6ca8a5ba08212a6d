"""LeNet, as TF-Slim builds it.

Source: after LeCun et al., Gradient-Based Learning Applied to Document Recognition,
1998; names and layout of research/slim's nets/lenet.py.
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


def lenet_arg_scope(weight_decay: float = 0.0) -> Scope:
    """Returns TF-Slim's arg scope for LeNet, on top of what is open."""
    with arg_scope(
        [layers.conv2d, layers.fully_connected],
        weights_regularizer=layers.l2_regularizer(weight_decay),
        weights_initializer=layers.truncated_normal_initializer(0.1),
        activation_fn=tf.nn.relu,
    ) as scope:
        return scope


CHAIN = Chain(
    "lenet",
    (
        Conv("conv1", 32, 5, padding=None),
        Pool("pool1", 2, padding=None),
        Conv("conv2", 64, 5, padding=None),
        Pool("pool2", 2, padding=None),
    ),
    lenet_arg_scope,
    image_size=28,
    normalized=False,
    fixed_size=True,
    root="conv1/weights",
    logits="fc4/biases",
)


def lenet(
    images: tf.Tensor,
    num_classes: int | None = 10,
    is_training: bool | tf.Tensor | None = False,
    dropout_keep_prob: float = 0.5,
    prediction_fn: Callable | None = layers.softmax,
    scope: Any = "LeNet",
    reuse: Any = None,
):
    """LeNet of TF-Slim.

    Args:
        images: `[batch, height, width, channels]`, of known height and width.
        num_classes: number of classes; None or 0 gives the features of `fc3`.
        is_training: whether dropout drops: a bool, a scalar bool tensor, or None for
            the open arg scopes'.
        dropout_keep_prob: of the features of `fc3`.
        prediction_fn: makes predictions of logits; None for none.
        scope: name of the variable scope.
        reuse: as in `tf.compat.v1.variable_scope`.

    Returns:
        `(net, end_points)`: logits or features, and every activation by name.

    Raises:
        ValueError: if the inputs are not images of known size and channels.
    """
    with network_scope(
        images, scope, "LeNet", lenet_arg_scope(), is_training, num_classes, reuse
    ) as (end_points, name):
        net = CHAIN.build(images, end_points, name, CHAIN.depth())
        net = end_points["Flatten"] = layers.flatten(net)
        net = end_points["fc3"] = layers.fully_connected(net, 1024, scope="fc3")
        if not num_classes:
            return net, end_points
        net = layers.dropout(net, dropout_keep_prob, scope="dropout3")
        end_points["dropout3"] = net
        logits = layers.fully_connected(
            net, num_classes, activation_fn=None, scope="fc4"
        )
        predict(logits, prediction_fn, end_points)
    return logits, end_points


NETWORKS = (describe(lenet, CHAIN, "plain"),)
