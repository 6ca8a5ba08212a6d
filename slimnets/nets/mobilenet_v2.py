"""MobileNet v2, as TF-Slim builds it.

Source: [1] Sandler et al., MobileNetV2, arXiv:1801.04381, table 2; names and layout of
research/slim's nets/mobilenet/mobilenet_v2.py. Keras Applications' network is the same.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.nets.chain_layers import Conv
from slimnets.nets.chains import Chain
from slimnets.nets.heads import describe
from slimnets.nets.mobilenet_parts import Inverted, mobilenet_network, training_scope
from slimnets.scopes import Scope, arg_scope

# Table 2 of [1]: expansion, depth, number of units, stride of the first.
UNITS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def _rows(scale_last: bool) -> tuple[Any, ...]:
    rows: list[Any] = [Conv("Conv", 32, 3, 2, key="layer_1")]
    for expansion, depth, count, stride in UNITS:
        for index in range(count):
            number = len(rows) - 1
            rows.append(
                Inverted(
                    f"expanded_conv_{number}" if number else "expanded_conv",
                    depth,
                    expansion,
                    stride=1 if index else stride,
                    divisor=1 if expansion == 1 else 8,
                    key=f"layer_{len(rows) + 1}",
                )
            )
    last = f"layer_{len(rows) + 1}"
    return (*rows, Conv("Conv_1", 1280, 1, key=last, scaled=scale_last))


def _default_scope(
    activation_fn: Callable | None = None, is_training=None, **options: Any
) -> Scope:
    with (
        arg_scope(training_scope(is_training, **options)),
        arg_scope(
            [layers.conv2d, layers.fully_connected, layers.separable_conv2d],
            activation_fn=activation_fn or tf.nn.relu6,
        ) as scope,
    ):
        return scope


def _chain(depth_multiplier: float = 1.0) -> Chain:
    ending = "" if depth_multiplier == 1 else f"_{round(100 * depth_multiplier):03}"
    return Chain(
        f"mobilenet_v2{ending}",
        _rows(depth_multiplier >= 1),
        training_scope,
        depth_multiplier=depth_multiplier,
        min_depth=8,
        divisor=8,
        strides=(8, 16, 32),
        sources=(("keras", ("keras_mobilenet_v2", "keras_mobilenet_v2_legacy")),),
        root="Conv/weights",
        logits="Logits/Conv2d_1c_1x1/biases",
    )


def _network(chain: Chain) -> Callable:
    def mobilenet_v2(
        input_tensor: tf.Tensor,
        num_classes: int | None = 1001,
        depth_multiplier: float = chain.depth_multiplier,
        scope: Any = "MobilenetV2",
        finegrain_classification_mode: bool = chain.depth_multiplier < 1,
        min_depth: int = 8,
        divisible_by: int = 8,
        activation_fn: Callable | None = None,
        is_training: bool | tf.Tensor | None = None,
        prediction_fn: Callable | None = layers.softmax,
        reuse: Any = None,
        base_only: bool = False,
        final_endpoint: str | None = None,
        output_stride: int | None = None,
    ):
        keeps_last = finegrain_classification_mode and depth_multiplier < 1
        rows = dataclasses.replace(
            chain, layers=_rows(not keeps_last), divisor=divisible_by
        )
        training = {} if is_training is None else {"is_training": is_training}
        return mobilenet_network(
            input_tensor,
            rows,
            rows.depth(depth_multiplier, min_depth),
            default_name="MobilenetV2",
            default_scope=_default_scope(activation_fn),
            num_classes=num_classes,
            prediction_fn=prediction_fn,
            reuse=reuse,
            scope=scope,
            base_only=base_only,
            final_endpoint=final_endpoint,
            output_stride=output_stride,
            **training,
        )

    width = "" if chain.depth_multiplier == 1 else f", {chain.depth_multiplier} as wide"
    mobilenet_v2.__doc__ = f"MobileNet v2 of TF-Slim{width}.\n\n{ARGUMENTS}"
    return describe(mobilenet_v2, chain, "inception")


ARGUMENTS = """Args:
    input_tensor: `[batch, height, width, channels]`.
    num_classes: number of classes; None or 0 gives the pooled features.
    depth_multiplier: scales the depths.
    scope: name of the variable scope.
    finegrain_classification_mode: whether the last layer is not scaled down.
    min_depth: a depth is never scaled below this.
    divisible_by: scaled depths are multiples of this.
    activation_fn: of the convolutions, instead of the family's.
    is_training: whether batch norms use the batch's statistics and dropout drops:
        a bool, a scalar bool tensor, or None for what an open `training_scope` says,
        which is False without one.
    prediction_fn: makes predictions of logits; None for none.
    reuse: as in `tf.compat.v1.variable_scope`.
    base_only: whether to leave the head away.
    final_endpoint: the last layer that is built before the head: `layer_1` ...
    output_stride: 8, 16 or 32, from which on convolutions are atrous; None for the
        layers' own strides.

Returns:
    `(net, end_points)`: logits or features, and every activation by name.

Raises:
    ValueError: if the inputs are not images of known channels, or for an unknown end
        point or output stride, or a multiplier that is not positive.
"""

NETWORKS = (mobilenet_v2, mobilenet_v2_140, mobilenet_v2_035) = tuple(
    _network(_chain(factor)) for factor in (1.0, 1.4, 0.35)
)
mobilenet = mobilenet_v2
mobilenet_base = functools.partial(mobilenet, base_only=True)
