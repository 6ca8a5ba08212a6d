"""Inception-ResNet v2, as TF-Slim builds it.

Source: [1] Szegedy et al., Inception-v4, Inception-ResNet and the Impact of Residual
Connections on Learning, arXiv:1602.07261, figures 15 to 19; names and layout of
research/slim's nets/inception_resnet_v2.py. Keras Applications' network is the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.nets.arg_scopes import inception_arg_scope
from slimnets.nets.chain_layers import Conv, Depth, Mixed, Pool
from slimnets.nets.chains import Chain
from slimnets.nets.heads import dense_aux_logits, dense_head, describe, network_scope
from slimnets.nets.inception_v3 import NO_LEVELS
from slimnets.scopes import Scope, arg_scope


def inception_resnet_v2_arg_scope(
    weight_decay: float = 0.00004,
    batch_norm_decay: float = 0.9997,
    batch_norm_epsilon: float = 0.001,
    activation_fn: Callable | None = tf.nn.relu,
    batch_norm_updates_collections: Any = tf.compat.v1.GraphKeys.UPDATE_OPS,
    batch_norm_scale: bool = False,
) -> Scope:
    """Returns TF-Slim's arg scope for Inception-ResNet; biases decay in it too.

    Arguments as of `inception_arg_scope`.
    """
    scope = inception_arg_scope(
        weight_decay,
        True,
        batch_norm_decay,
        batch_norm_epsilon,
        activation_fn,
        batch_norm_updates_collections,
        batch_norm_scale,
    )
    with (
        arg_scope(scope),
        arg_scope(
            [layers.conv2d, layers.fully_connected],
            biases_regularizer=layers.l2_regularizer(weight_decay),
        ),
        arg_scope(
            [layers.conv2d], weights_initializer=layers.xavier_initializer()
        ) as scope,
    ):
        return scope


@dataclasses.dataclass(frozen=True)
class Residuals:
    """Blocks whose branches, scaled, are added to what comes in.

    Attributes:
        name: of its scope.
        branches: as of `Mixed`.
        scale: of the 1x1 convolution of the branches, before it is added.
        blocks: names of the blocks' scopes in it; none for one block without.
        activation_fn: of the sum; None for none.
        rate: of the convolutions.
        key: of its end point; empty for none.
    """

    name: str
    branches: tuple[tuple[Conv, ...], ...]
    scale: float
    blocks: tuple[str, ...] = ()
    activation_fn: Callable | None = tf.nn.relu
    rate: int = 1
    key: str = ""
    stride = 1

    @property
    def hidden(self) -> bool:
        return not self.key

    def build(self, net: tf.Tensor, depth: Depth, stride: int, rate: int) -> tf.Tensor:
        """Returns the outputs for `net`."""
        with tf.compat.v1.variable_scope(self.name):
            if not self.blocks:
                return self._block(net, depth)
            for block in self.blocks:
                with tf.compat.v1.variable_scope(block):
                    net = self._block(net, depth)
        return net

    def _block(self, net, depth):
        mixed = Mixed(self.name, self.branches).concatenated(net, depth, self.rate)
        residual = layers.conv2d(
            mixed,
            net.shape[3],
            1,
            normalizer_fn=None,
            activation_fn=None,
            scope="Conv2d_1x1",
        )
        net = net + self.scale * residual
        return self.activation_fn(net) if self.activation_fn else net


# Figures 16, 17 and 19 of [1].
_BLOCK35 = (
    (Conv("Conv2d_1x1", 32, 1),),
    (Conv("Conv2d_0a_1x1", 32, 1), Conv("Conv2d_0b_3x3", 32)),
    (
        Conv("Conv2d_0a_1x1", 32, 1),
        Conv("Conv2d_0b_3x3", 48),
        Conv("Conv2d_0c_3x3", 64),
    ),
)
_BLOCK17 = (
    (Conv("Conv2d_1x1", 192, 1),),
    (
        Conv("Conv2d_0a_1x1", 128, 1),
        Conv("Conv2d_0b_1x7", 160, (1, 7)),
        Conv("Conv2d_0c_7x1", 192, (7, 1)),
    ),
)
_BLOCK8 = (
    (Conv("Conv2d_1x1", 192, 1),),
    (
        Conv("Conv2d_0a_1x1", 192, 1),
        Conv("Conv2d_0b_1x3", 224, (1, 3)),
        Conv("Conv2d_0c_3x1", 256, (3, 1)),
    ),
)


def _layers(
    activation_fn: Callable | None = tf.nn.relu,
    padding: str = "VALID",
    stride: int = 2,
    repeats: tuple[int, int, int] = (10, 20, 9),
) -> tuple[Any, ...]:
    """The layers, with a padding of the strided ones and a stride of `Mixed_6a`."""

    def blocks(block, count):
        return tuple(f"{block}_{index}" for index in range(1, count + 1))

    return (
        Conv("Conv2d_1a_3x3", 32, 3, 2, padding),
        Conv("Conv2d_2a_3x3", 32, 3, 1, padding),
        Conv("Conv2d_2b_3x3", 64),
        Pool("MaxPool_3a_3x3", padding=padding),
        Conv("Conv2d_3b_1x1", 80, 1, 1, padding),
        Conv("Conv2d_4a_3x3", 192, 3, 1, padding),
        Pool("MaxPool_5a_3x3", padding=padding),
        Mixed(
            "Mixed_5b",
            (
                (Conv("Conv2d_1x1", 96, 1),),
                (Conv("Conv2d_0a_1x1", 48, 1), Conv("Conv2d_0b_5x5", 64, 5)),
                (
                    Conv("Conv2d_0a_1x1", 64, 1),
                    Conv("Conv2d_0b_3x3", 96),
                    Conv("Conv2d_0c_3x3", 96),
                ),
                (
                    Pool("AvgPool_0a_3x3", stride=1, kind="avg"),
                    Conv("Conv2d_0b_1x1", 64, 1),
                ),
            ),
        ),
        Residuals(
            "Repeat", _BLOCK35, 0.17, blocks("block35", repeats[0]), activation_fn
        ),
        Mixed(
            "Mixed_6a",
            (
                (Conv("Conv2d_1a_3x3", 384, 3, stride, padding),),
                (
                    Conv("Conv2d_0a_1x1", 256, 1),
                    Conv("Conv2d_0b_3x3", 256),
                    Conv("Conv2d_1a_3x3", 384, 3, stride, padding),
                ),
                (Pool("MaxPool_1a_3x3", 3, stride, padding),),
            ),
        ),
        Residuals(
            "Repeat_1",
            _BLOCK17,
            0.10,
            blocks("block17", repeats[1]),
            activation_fn,
            rate=2 // stride,
            key="PreAuxLogits",
        ),
        Mixed(
            "Mixed_7a",
            (
                (
                    Conv("Conv2d_0a_1x1", 256, 1),
                    Conv("Conv2d_1a_3x3", 384, 3, 2, padding),
                ),
                (
                    Conv("Conv2d_0a_1x1", 256, 1),
                    Conv("Conv2d_1a_3x3", 288, 3, 2, padding),
                ),
                (
                    Conv("Conv2d_0a_1x1", 256, 1),
                    Conv("Conv2d_0b_3x3", 288),
                    Conv("Conv2d_1a_3x3", 320, 3, 2, padding),
                ),
                (Pool("MaxPool_1a_3x3", padding=padding),),
            ),
        ),
        Residuals(
            "Repeat_2", _BLOCK8, 0.20, blocks("block8", repeats[2]), activation_fn
        ),
        Residuals("Block8", _BLOCK8, 1.0, activation_fn=None),
        Conv("Conv2d_7b_1x1", 1536, 1),
    )


CHAIN = Chain(
    "inception_resnet_v2",
    _layers(),
    inception_resnet_v2_arg_scope,
    image_size=299,
    no_levels=NO_LEVELS,
    sources=(("keras", ("keras_inception_resnet_v2",)),),
    root="Conv2d_1a_3x3/weights",
    logits="Logits/Logits/biases",
)


def inception_resnet_v2_base(
    inputs: tf.Tensor,
    final_endpoint: str = "Conv2d_7b_1x1",
    output_stride: int = 16,
    align_feature_maps: bool = False,
    scope: Any = None,
    activation_fn: Callable | None = tf.nn.relu,
):
    """Builds the network up to an end point, without its head.

    Args:
        inputs: `[batch, height, width, channels]`.
        final_endpoint: the last layer that is built.
        output_stride: of `PreAuxLogits`, 16 or 8; 8 is by atrous convolution, and no
            layers can come behind it then.
        align_feature_maps: whether all layers pad (`SAME`), so that activations lie
            over the pixels that they are of.
        scope: name of the variable scope; `InceptionResnetV2` by default.
        activation_fn: of the residual sums.

    Returns:
        `(net, end_points)`: that end point, and all by name.

    Raises:
        ValueError: for an unknown end point or output stride.
    """
    if output_stride not in (8, 16):
        raise ValueError(f"output_stride={output_stride!r}; allowed: 8 and 16.")
    padding = "SAME" if align_feature_maps else "VALID"
    rows = _layers(activation_fn, padding, output_stride // 8)
    if output_stride == 8:
        rows = rows[:11]
    chain = CHAIN.of(rows)
    default = inception_resnet_v2_arg_scope()
    with network_scope(inputs, scope, "InceptionResnetV2", default) as opened:
        end_points, name = opened
        net = chain.build(inputs, end_points, name, chain.depth(), final_endpoint)
    return net, end_points


def inception_resnet_v2(
    inputs: tf.Tensor,
    num_classes: int | None = 1001,
    is_training: bool | tf.Tensor | None = True,
    dropout_keep_prob: float = 0.8,
    reuse: Any = None,
    scope: Any = "InceptionResnetV2",
    create_aux_logits: bool = True,
    activation_fn: Callable | None = tf.nn.relu,
    depth_multiplier: float = 1.0,
    repeats: tuple[int, int, int] = (10, 20, 9),
):
    """Inception-ResNet v2 of TF-Slim and Keras.

    Arguments, result and errors as of `inception_v4`, with logits of `PreAuxLogits` for
    the second loss, and:

    Args:
        activation_fn: of the residual sums.
        repeats: number of blocks of each of the three kinds.
    """
    chain = CHAIN.of(_layers(activation_fn, repeats=repeats))
    depth = chain.depth(depth_multiplier, 1)
    with network_scope(
        inputs,
        scope,
        "InceptionResnetV2",
        inception_resnet_v2_arg_scope(),
        is_training,
        num_classes,
        reuse,
    ) as (end_points, name):
        net = chain.build(inputs, end_points, name, depth)
        if create_aux_logits and num_classes:
            end_points["AuxLogits"] = dense_aux_logits(
                end_points["PreAuxLogits"],
                num_classes,
                ("Conv2d_1a_3x3", "Conv2d_2a_5x5", "Logits"),
            )
        net = dense_head(
            net,
            num_classes,
            end_points,
            pool="AvgPool_1a_8x8",
            dropout="Dropout",
            dropout_keep_prob=dropout_keep_prob,
        )
    return net, end_points


NETWORKS = (describe(inception_resnet_v2, CHAIN, "inception"),)
