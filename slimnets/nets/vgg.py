"""VGG, as TF-Slim builds it: dense layers as convolutions.

Source: [1] Simonyan & Zisserman, Very Deep Convolutional Networks for Large-Scale
Image Recognition, arXiv:1409.1556, table 1; names and layout of tf_slim/nets/vgg.py and
research/slim. Keras Applications' networks are the same ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets.nets.arg_scopes import biased_arg_scope
from slimnets.nets.chain_layers import Conv, Pool
from slimnets.nets.chains import Chain
from slimnets.nets.heads import convolved_dense_layers, describe, network_scope

# Convolutions of each of the five blocks: table 1 of [1], columns A, D and E.
CONVS = {
    "vgg_a": (1, 1, 2, 2, 2),
    "vgg_16": (2, 2, 3, 3, 3),
    "vgg_19": (2, 2, 4, 4, 4),
}
_DEPTHS = (64, 128, 256, 512, 512)


def vgg_arg_scope(weight_decay: float = 0.0005):
    """Returns TF-Slim's arg scope for VGG, on top of what is open."""
    return biased_arg_scope(weight_decay)


def _chain(name: str) -> Chain:
    rows: list[Any] = []
    for block, (count, depth) in enumerate(
        zip(CONVS[name], _DEPTHS, strict=True), start=1
    ):
        for index in range(1, count + 1):
            rows.append(Conv(f"conv{block}/conv{block}_{index}", depth, padding=None))
        rows.append(Pool(f"pool{block}", 2, padding=None))
    return Chain(
        name,
        tuple(rows),
        vgg_arg_scope,
        scoped=True,
        normalized=False,
        sources=() if name == "vgg_a" else (("keras", ("keras_vgg",)),),
        root="conv1/conv1_1/weights",
        logits="fc8/biases",
    )


def _network(name: str) -> Callable:
    chain = _chain(name)

    def vgg(
        inputs: tf.Tensor,
        num_classes: int | None = 1000,
        is_training: bool | tf.Tensor | None = True,
        dropout_keep_prob: float = 0.5,
        spatial_squeeze: bool = True,
        reuse: Any = None,
        scope: Any = name,
        fc_conv_padding: str = "VALID",
        global_pool: bool = False,
    ):
        with network_scope(
            inputs, scope, name, vgg_arg_scope(), is_training, num_classes, reuse
        ) as (end_points, scope_name):
            net = chain.build(inputs, end_points, scope_name, chain.depth())
            net = convolved_dense_layers(
                net,
                num_classes,
                end_points,
                scope_name,
                depths=(4096, 4096),
                kernel=7,
                padding=fc_conv_padding,
                global_pool=global_pool,
                dropout_keep_prob=dropout_keep_prob,
                spatial_squeeze=spatial_squeeze,
                options={},
                logits_options={},
            )
        return net, end_points

    count = sum(CONVS[name]) + 3
    vgg.__doc__ = f"VGG of {count} layers with weights.\n\n{_ARGUMENTS}"
    return describe(vgg, chain, "vgg")


_ARGUMENTS = """Args:
    inputs: `[batch, height, width, channels]`; 224x224 gives one position.
    num_classes: number of classes; None or 0 gives the features before the logits.
    is_training: whether dropout drops: a bool, a scalar bool tensor, or None for the
        open arg scopes'.
    dropout_keep_prob: of the features before and after `fc7`.
    spatial_squeeze: whether logits are `[batch, num_classes]`, for images that give
        one position.
    reuse: as in `tf.compat.v1.variable_scope`.
    scope: name of the variable scope.
    fc_conv_padding: of the first dense layer; `SAME` gives a position for each 32x32
        pixels of the images.
    global_pool: whether to average over all positions before the logits.

Returns:
    `(net, end_points)`: logits or features, and every activation by name.

Raises:
    ValueError: if the inputs are not images of known channels.
"""

NETWORKS = (vgg_a, vgg_16, vgg_19) = tuple(map(_network, CONVS))
vgg_d, vgg_e = vgg_16, vgg_19
