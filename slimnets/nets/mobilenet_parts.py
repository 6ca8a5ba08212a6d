"""What MobileNet v2 and v3 share: inverted residuals, the head, the arg scope.

Source: [1] Sandler et al., MobileNetV2, arXiv:1801.04381, figure 4d; [2] Howard et al.,
Searching for MobileNetV3, arXiv:1905.02244, figure 4; names and layout of
research/slim's nets/mobilenet.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.layers.common import channels_of
from slimnets.nets.chain_layers import Depth, Path
from slimnets.nets.chains import Chain, divisible
from slimnets.nets.heads import network_scope, predict
from slimnets.scopes import Scope, add_arg_scope, arg_scope


def hard_swish(inputs: tf.Tensor) -> tf.Tensor:
    """Section 5.2 of [2]."""
    with tf.name_scope("hard_swish"):
        return inputs * tf.nn.relu6(inputs + 3.0) * (1.0 / 6.0)


def _gate(inputs: tf.Tensor) -> tf.Tensor:
    # As rounded in research/slim, whose checkpoints were trained with it.
    return tf.nn.relu6(inputs + 3.0) * 0.16667


@dataclasses.dataclass(frozen=True)
class Inverted:
    """An inverted residual: 1x1 up, depthwise, 1x1 down to a linear end [1].

    Attributes:
        name: of its scope.
        depth: number of outputs.
        expansion: channels of the depthwise convolution for one of the inputs.
        kernel: of the depthwise convolution.
        stride: of the depthwise convolution.
        activation_fn: of the inner layers; None for what the arg scopes say.
        squeeze: whether squeeze-and-excitation follows on the depthwise convolution.
        divisor: of which the inner depth is a multiple.
        key: of its end point; its inner layers have it before their own.
    """

    name: str
    depth: int
    expansion: float = 6
    kernel: int = 3
    stride: int = 1
    activation_fn: Callable | None = None
    squeeze: bool = False
    divisor: int = 8
    key: str = ""
    activated = False
    has_inner = True

    @property
    def sees_whole_image(self) -> bool:
        return self.squeeze

    def build(
        self,
        net: tf.Tensor,
        depth: Depth,
        stride: int,
        rate: int,
        inner: dict[str, tf.Tensor],
    ) -> tf.Tensor:
        """Returns the outputs for `net`; leaves those of inner layers in `inner`."""
        options = {}
        if self.activation_fn is not None:
            options["activation_fn"] = self.activation_fn
        with tf.compat.v1.variable_scope(self.name):
            inputs, channels = net, channels_of(net)
            width = divisible(channels * self.expansion, self.divisor)
            if width > channels:
                net = layers.conv2d(net, width, 1, scope="expand", **options)
                inner[f"{self.key}/expansion_output"] = net
            net = layers.separable_conv2d(
                net,
                None,
                self.kernel,
                stride=stride,
                rate=rate,
                scope="depthwise",
                **options,
            )
            inner[f"{self.key}/depthwise_output"] = net
            if self.squeeze:
                net = _squeeze_excite(net)
            net = layers.conv2d(
                net, depth(self.depth), 1, activation_fn=None, scope="project"
            )
            # Of the row's stride: a unit keeps what it is where its stride is gone.
            if self.stride == 1 and channels_of(net) == channels:
                net = net + inputs
        inner[f"{self.key}/output"] = net
        return net

    def depth_of(self, inputs: int, depth: Depth) -> int:
        """Returns the number of channels of the outputs."""
        return depth(self.depth)

    def paths(self) -> list[Path]:
        """Returns what each way through passes."""
        return [[(self.kernel, self.stride)]]


def _squeeze_excite(net: tf.Tensor) -> tf.Tensor:
    with tf.compat.v1.variable_scope("squeeze_excite"):
        channels = channels_of(net)
        pooled = tf.reduce_mean(net, [1, 2], keepdims=True)
        squeezed = layers.conv2d(
            pooled,
            divisible(channels / 4),
            1,
            normalizer_fn=None,
            activation_fn=tf.nn.relu,
            scope="Conv",
        )
        gates = layers.conv2d(
            squeezed,
            channels,
            1,
            normalizer_fn=None,
            activation_fn=_gate,
            scope="Conv_1",
        )
        return net * gates


@dataclasses.dataclass(frozen=True)
class GlobalPool:
    """The mean over the image, with the height and width kept as 1."""

    name: str
    key: str

    def build(self, net: tf.Tensor, depth: Depth, stride: int, rate: int) -> tf.Tensor:
        """Returns `[batch, 1, 1, channels]`."""
        return tf.reduce_mean(net, [1, 2], keepdims=True, name=self.name)


def training_scope(
    is_training: bool | tf.Tensor | None = True,
    weight_decay: float = 0.00004,
    stddev: float = 0.09,
    dropout_keep_prob: float = 0.8,
    bn_decay: float = 0.997,
) -> Scope:
    """Returns TF-Slim's arg scope for MobileNet v2 and v3, on top of what is open.

    Args:
        is_training: of the networks, unless they are told otherwise; None leaves it.
        weight_decay: of the weights of all but depthwise convolutions, as an L2 loss.
        stddev: of the initial weights; below 0 for Glorot's.
        dropout_keep_prob: of the features before the logits.
        bn_decay: of the moving averages.
    """
    initializer = layers.xavier_initializer()
    if stddev >= 0:
        initializer = layers.truncated_normal_initializer(stddev)
    training = {} if is_training is None else {"is_training": is_training}
    convolutions = [layers.conv2d, layers.fully_connected, layers.separable_conv2d]
    with (
        arg_scope(
            convolutions,
            weights_initializer=initializer,
            normalizer_fn=layers.batch_norm,
        ),
        arg_scope([mobilenet_network], **training),
        arg_scope([layers.batch_norm], decay=bn_decay, scale=True, **training),
        arg_scope([layers.dropout], keep_prob=dropout_keep_prob, **training),
        arg_scope(
            [layers.conv2d], weights_regularizer=layers.l2_regularizer(weight_decay)
        ),
        arg_scope([layers.separable_conv2d], weights_regularizer=None) as scope,
    ):
        return scope


@add_arg_scope
def mobilenet_network(
    inputs: tf.Tensor,
    chain: Chain,
    depth: Depth,
    *,
    default_name: str,
    default_scope: Scope,
    num_classes: int | None,
    is_training: bool | tf.Tensor = False,
    prediction_fn: Callable | None = layers.softmax,
    reuse: Any = None,
    scope: Any = None,
    base_only: bool = False,
    final_endpoint: str | None = None,
    output_stride: int | None = None,
):
    """Builds a MobileNet of version 2 or 3; parameters as of `mobilenet_v2`.

    Args:
        chain: its layers.
        depth: scales their depths.
        default_name: of the scope.
        default_scope: the family's arg scope.
    """
    with network_scope(
        inputs, scope, default_name, default_scope, is_training, num_classes, reuse
    ) as (end_points, name):
        net = chain.build(
            inputs, end_points, name, depth, final_endpoint, output_stride
        )
        if base_only:
            return net, end_points
        with tf.compat.v1.variable_scope("Logits"):
            net = tf.reduce_mean(net, [1, 2], keepdims=True, name="global_pool")
            end_points["global_pool"] = net
            if not num_classes:
                return net, end_points
            net = layers.dropout(net, scope="Dropout")
            logits = layers.conv2d(
                net,
                num_classes,
                1,
                activation_fn=None,
                normalizer_fn=None,
                biases_initializer=tf.compat.v1.zeros_initializer(),
                scope="Conv2d_1c_1x1",
            )
            logits = tf.squeeze(logits, [1, 2], name="output")
        predict(logits, prediction_fn, end_points)
    return logits, end_points
