"""MobileNet v3, as TF-Slim builds it.

Source: [1] Howard et al., Searching for MobileNetV3, arXiv:1905.02244, tables 1 and 2;
names and layout of research/slim's nets/mobilenet/mobilenet_v3.py. Keras Applications'
networks are the same.
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
from slimnets.nets.mobilenet_parts import (
    GlobalPool,
    Inverted,
    hard_swish,
    mobilenet_network,
    training_scope,
)
from slimnets.scopes import Scope, arg_scope

# Tables 1 and 2 of [1]: expansion, depth, kernel, stride, squeeze-and-excitation, and
# whether hard swish is the activation rather than ReLU.
UNITS = {
    "large": (
        (1, 16, 3, 1, False, False),
        (4, 24, 3, 2, False, False),
        (3, 24, 3, 1, False, False),
        (3, 40, 5, 2, True, False),
        (3, 40, 5, 1, True, False),
        (3, 40, 5, 1, True, False),
        (6, 80, 3, 2, False, True),
        (2.5, 80, 3, 1, False, True),
        (184 / 80, 80, 3, 1, False, True),
        (184 / 80, 80, 3, 1, False, True),
        (6, 112, 3, 1, True, True),
        (6, 112, 3, 1, True, True),
        (6, 160, 5, 2, True, True),
        (6, 160, 5, 1, True, True),
        (6, 160, 5, 1, True, True),
    ),
    "small": (
        (1, 16, 3, 2, True, False),
        (72 / 16, 24, 3, 2, False, False),
        (88 / 24, 24, 3, 1, False, False),
        (4, 40, 5, 2, True, True),
        (6, 40, 5, 1, True, True),
        (6, 40, 5, 1, True, True),
        (3, 48, 5, 1, True, True),
        (3, 48, 5, 1, True, True),
        (6, 96, 5, 2, True, True),
        (6, 96, 5, 1, True, True),
        (6, 96, 5, 1, True, True),
    ),
}
# Depths of the last convolutions before and after the pool.
LAST = {"large": (960, 1280), "small": (576, 1024)}
_SWISH = (("activation_fn", hard_swish),)


def _rows(kind: str) -> tuple[Any, ...]:
    rows: list[Any] = [Conv("Conv", 16, 3, 2, options=_SWISH, key="layer_1")]
    for index, (expansion, depth, kernel, stride, squeeze, swish) in enumerate(
        UNITS[kind]
    ):
        rows.append(
            Inverted(
                f"expanded_conv_{index}" if index else "expanded_conv",
                depth,
                expansion,
                kernel,
                stride,
                hard_swish if swish else tf.nn.relu,
                squeeze,
                key=f"layer_{index + 2}",
            )
        )
    key = f"layer_{len(rows) + 1}"
    return (*rows, Conv("Conv_1", LAST[kind][0], 1, options=_SWISH, key=key))


def _tail(kind: str, scaled: bool) -> tuple[Any, ...]:
    number = len(UNITS[kind]) + 3
    options = (*_SWISH, ("normalizer_fn", None))
    return (
        GlobalPool("AvgPool2D", f"layer_{number}"),
        Conv(
            "Conv_2",
            LAST[kind][1],
            1,
            options=options,
            key=f"layer_{number + 1}",
            scaled=scaled,
        ),
    )


def _default_scope() -> Scope:
    with (
        arg_scope(training_scope(is_training=None)),
        arg_scope(
            [layers.conv2d, layers.fully_connected, layers.separable_conv2d],
            activation_fn=tf.nn.relu,
        ) as scope,
    ):
        return scope


def _network(kind: str) -> Callable:
    chain = Chain(
        f"mobilenet_v3_{kind}",
        _rows(kind),
        training_scope,
        _tail(kind, True),
        min_depth=8,
        divisor=8,
        strides=(8, 16, 32),
        sources=(("keras", ("keras_mobilenet_v3", "keras_mobilenet_v3_legacy")),),
        root="Conv/weights",
        logits="Logits/Conv2d_1c_1x1/biases",
    )

    def mobilenet_v3(
        input_tensor: tf.Tensor,
        num_classes: int | None = 1001,
        depth_multiplier: float = 1.0,
        scope: Any = "MobilenetV3",
        finegrain_classification_mode: bool = False,
        min_depth: int = 8,
        divisible_by: int = 8,
        is_training: bool | tf.Tensor | None = None,
        prediction_fn: Callable | None = layers.softmax,
        reuse: Any = None,
        base_only: bool = False,
        final_endpoint: str | None = None,
        output_stride: int | None = None,
    ):
        rows = dataclasses.replace(
            chain,
            tail=_tail(kind, not finegrain_classification_mode),
            divisor=divisible_by,
        )
        training = {} if is_training is None else {"is_training": is_training}
        return mobilenet_network(
            input_tensor,
            rows,
            rows.depth(depth_multiplier, min_depth),
            default_name="MobilenetV3",
            default_scope=_default_scope(),
            num_classes=num_classes,
            prediction_fn=prediction_fn,
            reuse=reuse,
            scope=scope,
            base_only=base_only,
            final_endpoint=final_endpoint,
            output_stride=output_stride,
            **training,
        )

    mobilenet_v3.__doc__ = f"MobileNet v3 {kind} of TF-Slim.\n\n{_ARGUMENTS}"
    return describe(mobilenet_v3, chain, "inception")


_ARGUMENTS = """Arguments, result and errors as of `mobilenet_v2`; no activation_fn.

The pool before the last convolution is over the whole image, of whatever size.
"""

NETWORKS = (mobilenet_v3_large, mobilenet_v3_small) = tuple(map(_network, UNITS))
large, small = mobilenet_v3_large, mobilenet_v3_small
mobilenet = mobilenet_v3_large
mobilenet_base = functools.partial(mobilenet, base_only=True)
