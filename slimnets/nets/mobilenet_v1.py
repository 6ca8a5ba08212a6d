"""MobileNet v1, as TF-Slim builds it.

Source: [1] Howard et al., MobileNets, arXiv:1704.04861, table 1; names and layout of
research/slim's nets/mobilenet_v1.py. Keras Applications' network is the same one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from slimnets import layers
from slimnets.rows.builder import base_of, network_of
from slimnets.rows.changes import explicitly_padded
from slimnets.rows.inception import convolved_head
from slimnets.rows.mobilenet import width_suffix, width_text
from slimnets.rows.row import Row
from slimnets.rows.stage import Depths, by_stride
from slimnets.scopes import Scope, arg_scope
from slimnets.units.inverted import one_each
from slimnets.units.single import Conv as ConvLayer


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


def _layers(conv_defs: Sequence[Conv | DepthSepConv]) -> list[ConvLayer]:
    made = []
    for index, row in enumerate(conv_defs):
        name, (kernel, stride, depth) = f"Conv2d_{index}", row
        if not isinstance(kernel, int):
            kernel = kernel[0] if len(set(kernel)) == 1 else tuple(kernel)
        if isinstance(row, DepthSepConv):
            made.append(
                ConvLayer(
                    f"{name}_depthwise", None, kernel, stride, multiplier=one_each
                )
            )
            made.append(ConvLayer(f"{name}_pointwise", depth, 1))
        else:
            made.append(ConvLayer(name, depth, kernel, stride))
    return made


def _vary(
    row: Row,
    options: dict[str, Any],
    conv_defs: Sequence | None = None,
    use_explicit_padding: bool = False,
) -> Row:
    if conv_defs is not None:
        first, *others = _layers(conv_defs)
        row = dataclasses.replace(row, root=(first,), stages=by_stride(others))
    return explicitly_padded(row) if use_explicit_padding else row


def _row(depth_multiplier: float = 1.0) -> Row:
    first, *others = _layers(MOBILENETV1_CONV_DEFS)
    return Row(
        f"mobilenet_v1{width_suffix(depth_multiplier)}",
        root=(first,),
        stages=by_stride(others),
        head=convolved_head(7, "AvgPool_1a", "Dropout_1b", "Conv2d_1c_1x1"),
        scope="MobilenetV1",
        arg_scope=mobilenet_v1_arg_scope,
        default_scope=lambda: mobilenet_v1_arg_scope(is_training=None),
        arguments=(
            *(("inputs", None), ("num_classes", 1000), ("dropout_keep_prob", 0.999)),
            *(("is_training", True), ("min_depth", 8)),
            *(("depth_multiplier", depth_multiplier), ("conv_defs", None)),
            *(("prediction_fn", layers.softmax), ("spatial_squeeze", True)),
            *(("reuse", None), ("scope", "MobilenetV1"), ("global_pool", False)),
            ("output_stride", None),
        ),
        texts=(
            ("conv_defs", "the layers; None for the paper's."),
            ("use_explicit_padding", "whether to pad both sides of images alike before "
             "strides, as most frameworks but TensorFlow do."),
        ),
        vary=_vary,
        depths=Depths(least=8),
        bare_keys=True,
        reopens=True,
        summary=f"MobileNet v1 of TF-Slim{width_text(depth_multiplier)}.",
        preprocessing="inception",
        weights="tf-slim",
        names=(("keras", ("keras_mobilenet",)),),
    )  # fmt: skip


ROWS = tuple(map(_row, (1.0, 0.75, 0.5, 0.25)))
NETWORKS = (mobilenet_v1, mobilenet_v1_075, mobilenet_v1_050, mobilenet_v1_025) = tuple(
    map(network_of, ROWS)
)
mobilenet_v1_base = base_of(
    ROWS[0],
    *(("final_endpoint", "Conv2d_13_pointwise"), ("min_depth", 8)),
    *(("depth_multiplier", 1.0), ("conv_defs", None), ("output_stride", None)),
    ("scope", None),
    use_explicit_padding=False,
)
