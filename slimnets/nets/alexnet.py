"""AlexNet, as TF-Slim builds it: dense layers as convolutions.

Source: Krizhevsky, One weird trick for parallelizing convolutional neural networks,
arXiv:1404.5997 (AlexNet version 2); names and layout of tf_slim/nets/alexnet.py and
research/slim.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.nets.arg_scopes import biased_arg_scope
from slimnets.nets.chain_layers import Conv, Pool
from slimnets.nets.chains import Chain
from slimnets.nets.heads import convolved_dense_layers, describe, network_scope

NO_LEVELS = "its first layer does not pad, so that no activation has a whole stride"


def alexnet_v2_arg_scope(weight_decay: float = 0.0005):
    """Returns TF-Slim's arg scope for AlexNet, on top of what is open."""
    return biased_arg_scope(weight_decay, tf.compat.v1.constant_initializer(0.1))


def chain_of(name: str, arg_scope: Callable, image_size: int, rows: tuple) -> Chain:
    """Returns the row of a network whose convolutions are followed by dense layers."""
    return Chain(
        name,
        rows,
        arg_scope,
        image_size=image_size,
        scoped=True,
        normalized=False,
        no_levels=NO_LEVELS,
        root="conv1/weights",
        logits="fc8/biases",
    )


ALEXNET = chain_of(
    "alexnet_v2",
    alexnet_v2_arg_scope,
    224,
    (
        Conv("conv1", 64, 11, 4, "VALID"),
        Pool("pool1", padding=None),
        Conv("conv2", 192, 5, padding=None),
        Pool("pool2", padding=None),
        Conv("conv3", 384, padding=None),
        Conv("conv4", 384, padding=None),
        Conv("conv5", 256, padding=None),
        Pool("pool5", padding=None),
    ),
)


def network_of(
    chain: Chain, summary: str, depths: tuple[int, int], kernel: int
) -> Callable:
    """Returns the network of a row and dense layers; see `convolved_dense_layers`."""

    def network(
        inputs: tf.Tensor,
        num_classes: int | None = 1000,
        is_training: bool | tf.Tensor | None = True,
        dropout_keep_prob: float = 0.5,
        spatial_squeeze: bool = True,
        scope: Any = chain.name,
        global_pool: bool = False,
        reuse: Any = None,
    ):
        with network_scope(
            inputs,
            scope,
            chain.name,
            chain.arg_scope(),
            is_training,
            num_classes,
            reuse,
        ) as (end_points, scope_name):
            net = chain.build(inputs, end_points, scope_name, chain.depth())
            weights = {
                "weights_initializer": layers.truncated_normal_initializer(0.005)
            }
            tenths = tf.compat.v1.constant_initializer(0.1)
            zeros = tf.compat.v1.zeros_initializer()
            net = convolved_dense_layers(
                net,
                num_classes,
                end_points,
                scope_name,
                depths=depths,
                kernel=kernel,
                padding="VALID",
                global_pool=global_pool,
                dropout_keep_prob=dropout_keep_prob,
                spatial_squeeze=spatial_squeeze,
                options={**weights, "biases_initializer": tenths},
                logits_options={**weights, "biases_initializer": zeros},
            )
        return net, end_points

    network.__doc__ = f"{summary}\n\n{_ARGUMENTS}"
    return describe(network, chain, "vgg")


_ARGUMENTS = """Args:
    inputs: `[batch, height, width, channels]`; an image of the default size gives one
        position.
    num_classes: number of classes; None or 0 gives the features before the logits.
    is_training: whether dropout drops: a bool, a scalar bool tensor, or None for the
        open arg scopes'.
    dropout_keep_prob: of the features before and after `fc7`.
    spatial_squeeze: whether logits are `[batch, num_classes]`, for images that give
        one position.
    scope: name of the variable scope.
    global_pool: whether to average over all positions before the logits.
    reuse: as in `tf.compat.v1.variable_scope`.

Returns:
    `(net, end_points)`: logits or features, and every activation by name.

Raises:
    ValueError: if the inputs are not images of known channels.
"""

alexnet_v2 = network_of(ALEXNET, "AlexNet, version 2, of TF-Slim.", (4096, 4096), 5)
NETWORKS = (alexnet_v2,)
