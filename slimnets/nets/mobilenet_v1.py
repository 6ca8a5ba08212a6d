"""MobileNet v1, as TF-Slim builds it.

Source: [1] Howard et al., MobileNets, arXiv:1704.04861, table 1; names and layout of
research/slim's nets/mobilenet_v1.py. Keras Applications' network is the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from slimnets import layers
from slimnets.nets.chain_layers import Conv as ConvRow
from slimnets.nets.chains import Chain
from slimnets.nets.heads import convolved_head, describe, network_scope
from slimnets.scopes import Scope, arg_scope


class Conv(NamedTuple):
    """A convolution of table 1 [1]."""

    kernel: int | Sequence[int]
    stride: int
    depth: int


class DepthSepConv(NamedTuple):
    """A depthwise convolution and a 1x1 convolution of table 1 [1]."""

    kernel: int | Sequence[int]
    stride: int
    depth: int


MOBILENETV1_CONV_DEFS = (
    Conv(3, 2, 32),
    DepthSepConv(3, 1, 64),
    DepthSepConv(3, 2, 128),
    DepthSepConv(3, 1, 128),
    DepthSepConv(3, 2, 256),
    DepthSepConv(3, 1, 256),
    DepthSepConv(3, 2, 512),
    *(DepthSepConv(3, 1, 512) for _ in range(5)),
    DepthSepConv(3, 2, 1024),
    DepthSepConv(3, 1, 1024),
)


def mobilenet_v1_arg_scope(
    is_training: bool | tf.Tensor | None = True,
    weight_decay: float = 0.00004,
    stddev: float = 0.09,
    regularize_depthwise: bool = False,
    batch_norm_decay: float = 0.9997,
    batch_norm_epsilon: float = 0.001,
    batch_norm_updates_collections: Any = tf.compat.v1.GraphKeys.UPDATE_OPS,
    normalizer_fn: Callable | None = layers.batch_norm,
) -> Scope:
    """Returns TF-Slim's arg scope for MobileNet v1, on top of what is open.

    Args:
        is_training: of the batch norms; None leaves it as it is.
        weight_decay: of the weights, as an L2 loss.
        stddev: of the initial weights.
        regularize_depthwise: whether depthwise weights decay too.
        batch_norm_decay: of the moving averages.
        batch_norm_epsilon: added to the variances.
        batch_norm_updates_collections: graph collections for the updates.
        normalizer_fn: of all convolutions.
    """
    regularizer = layers.l2_regularizer(weight_decay)
    training = {} if is_training is None else {"is_training": is_training}
    with (
        arg_scope(
            [layers.conv2d, layers.separable_conv2d],
            weights_initializer=layers.truncated_normal_initializer(stddev),
            activation_fn=tf.nn.relu6,
            normalizer_fn=normalizer_fn,
        ),
        arg_scope(
            [layers.batch_norm],
            center=True,
            scale=True,
            decay=batch_norm_decay,
            epsilon=batch_norm_epsilon,
            updates_collections=batch_norm_updates_collections,
            **training,
        ),
        arg_scope([layers.conv2d], weights_regularizer=regularizer),
        arg_scope(
            [layers.separable_conv2d],
            weights_regularizer=regularizer if regularize_depthwise else None,
        ) as scope,
    ):
        return scope


def _rows(conv_defs: Sequence[Conv | DepthSepConv]) -> tuple[ConvRow, ...]:
    rows = []
    for index, (kernel, stride, depth) in enumerate(conv_defs):
        name = f"Conv2d_{index}"
        kernel = kernel if isinstance(kernel, int) else tuple(kernel)
        if isinstance(conv_defs[index], DepthSepConv):
            rows.append(
                ConvRow(f"{name}_depthwise", None, kernel, stride, multiplier=_one)
            )
            rows.append(ConvRow(f"{name}_pointwise", depth, 1))
        else:
            rows.append(ConvRow(name, depth, kernel, stride))
    return tuple(rows)


def _one(_: Any) -> int:
    return 1


def _chain(depth_multiplier: float = 1.0) -> Chain:
    ending = "" if depth_multiplier == 1 else f"_{round(100 * depth_multiplier):03}"
    return Chain(
        f"mobilenet_v1{ending}",
        _rows(MOBILENETV1_CONV_DEFS),
        mobilenet_v1_arg_scope,
        depth_multiplier=depth_multiplier,
        min_depth=8,
        strides=(8, 16, 32),
        sources=(("keras", ("keras_mobilenet", "keras_mobilenet_legacy")),),
        root="Conv2d_0/weights",
        logits="Logits/Conv2d_1c_1x1/biases",
    )


CHAIN = _chain()


def mobilenet_v1_base(
    inputs: tf.Tensor,
    final_endpoint: str = "Conv2d_13_pointwise",
    min_depth: int = 8,
    depth_multiplier: float = 1.0,
    conv_defs: Sequence[Conv | DepthSepConv] | None = None,
    output_stride: int | None = None,
    scope: Any = None,
):
    """Builds the network up to an end point, without its head.

    Args:
        inputs: `[batch, height, width, channels]`.
        final_endpoint: the last layer that is built: `Conv2d_0`, or a number up to 13
            as in `Conv2d_5_depthwise` and `Conv2d_5_pointwise`.
        min_depth: a depth is never scaled below this.
        depth_multiplier: scales the depths.
        conv_defs: the layers; None for the paper's.
        output_stride: 8, 16 or 32, from which on convolutions are atrous; None for the
            layers' own strides.
        scope: name of the variable scope; `MobilenetV1` by default.

    Returns:
        `(net, end_points)`: that end point, and all by name.

    Raises:
        ValueError: for an unknown end point or output stride, or a multiplier that is
            not positive.
    """
    chain = CHAIN if conv_defs is None else CHAIN.of(_rows(conv_defs))
    depth = chain.depth(depth_multiplier, min_depth)
    default = mobilenet_v1_arg_scope(is_training=None)
    with network_scope(inputs, scope, "MobilenetV1", default) as (end_points, name):
        net = chain.build(
            inputs, end_points, name, depth, final_endpoint, output_stride
        )
    return net, end_points


def _network(chain: Chain) -> Callable:
    def mobilenet_v1(
        inputs: tf.Tensor,
        num_classes: int | None = 1000,
        dropout_keep_prob: float = 0.999,
        is_training: bool | tf.Tensor | None = True,
        min_depth: int = 8,
        depth_multiplier: float = chain.depth_multiplier,
        conv_defs: Sequence[Conv | DepthSepConv] | None = None,
        prediction_fn: Callable | None = layers.softmax,
        spatial_squeeze: bool = True,
        reuse: Any = None,
        scope: Any = "MobilenetV1",
        global_pool: bool = False,
        output_stride: int | None = None,
    ):
        depth = chain.depth(depth_multiplier, min_depth)
        rows = chain if conv_defs is None else chain.of(_rows(conv_defs))
        with network_scope(
            inputs,
            scope,
            "MobilenetV1",
            mobilenet_v1_arg_scope(is_training=None),
            is_training,
            num_classes,
            reuse,
        ) as (end_points, name):
            net = rows.build(
                inputs, end_points, name, depth, output_stride=output_stride
            )
            net = convolved_head(
                net,
                num_classes,
                end_points,
                size=7,
                names=("AvgPool_1a", "Dropout_1b", "Conv2d_1c_1x1"),
                global_pool=global_pool,
                dropout_keep_prob=dropout_keep_prob,
                prediction_fn=prediction_fn,
                spatial_squeeze=spatial_squeeze,
            )
        return net, end_points

    width = "" if chain.depth_multiplier == 1 else f", {chain.depth_multiplier} as wide"
    mobilenet_v1.__doc__ = f"MobileNet v1 of TF-Slim{width}.\n\n{_ARGUMENTS}"
    return describe(mobilenet_v1, chain, "inception")


_ARGUMENTS = """Arguments, result and errors as of `inception_v1`, and:

Args:
    min_depth: a depth is never scaled below this.
    depth_multiplier: scales the depths.
    conv_defs: the layers; None for the paper's.
    output_stride: 8, 16 or 32, from which on convolutions are atrous; None for the
        layers' own strides.
"""

NETWORKS = (mobilenet_v1, mobilenet_v1_075, mobilenet_v1_050, mobilenet_v1_025) = tuple(
    _network(_chain(factor)) for factor in (1.0, 0.75, 0.5, 0.25)
)
