"""MobileNet v2, as TF-Slim builds it.

Source: [1] Sandler et al., MobileNetV2, arXiv:1801.04381, table 2; names and layout of
research/slim's nets/mobilenet/mobilenet_v2.py. Keras Applications' network is the same.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.rows.arg_scopes import small_suffix
from slimnets.rows.builder import network_of
from slimnets.rows.mobilenet import (
    ConvDefs,
    conv_scope,
    inverted_stage,
    mobilenet_row,
    training_scope,
)
from slimnets.rows.row import Row
from slimnets.scopes import Scope, arg_scope
from slimnets.units import Conv

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


def _default_scope() -> Scope:
    with (
        arg_scope(training_scope(is_training=None)),
        arg_scope(
            [layers.conv2d, layers.fully_connected, layers.separable_conv2d],
            activation_fn=tf.nn.relu6,
        ) as scope,
    ):
        return scope


def _inner_scope() -> Scope:
    return conv_scope(tf.nn.relu6)


def _stages(scale_last: bool | str) -> tuple[Any, ...]:
    stages: list[Any] = []
    number = 0
    for expansion, depth, count, stride in UNITS:
        own = {"expansion": expansion, "divisor": 1 if expansion == 1 else 8}
        stages.append(inverted_stage(number, depth, stride, [own] * count))
        number += count
    last = Conv("Conv_1", 1280, 1, key=f"layer_{number + 2}", scaled=scale_last)
    return (*stages, (last,))


def _vary(
    row: Row,
    options: dict[str, Any],
    finegrain_classification_mode: bool,
    divisible_by: int,
) -> Row:
    scaled = "up" if finegrain_classification_mode else True
    depths = dataclasses.replace(row.depths, divisor=divisible_by or row.depths.divisor)
    return dataclasses.replace(row, stages=_stages(scaled), depths=depths)


def _row(depth_multiplier: float) -> Row:
    thin = depth_multiplier < 1
    width = "" if depth_multiplier == 1 else f", {depth_multiplier} as wide"
    before = (("depth_multiplier", depth_multiplier),)
    behind = (
        *(("finegrain_classification_mode", thin), ("min_depth", 8)),
        *(("divisible_by", 8), ("activation_fn", None)),
    )
    return mobilenet_row(
        f"mobilenet_v2{small_suffix(depth_multiplier)}",
        (before, behind),
        root=(Conv("Conv", 32, 3, 2, key="layer_1"),),
        stages=_stages("up" if thin else True),
        default_scope=_default_scope,
        inner_scope=_inner_scope,
        vary=_vary,
        summary=f"MobileNet v2 of TF-Slim{width}.",
        names=(("keras", ("keras_mobilenet_v2",)),),
    )


NETWORKS = (mobilenet_v2, mobilenet_v2_140, mobilenet_v2_035) = tuple(
    network_of(_row(factor)) for factor in (1.0, 1.4, 0.35)
)
mobilenet = mobilenet_v2
V2_DEF = ConvDefs(mobilenet.row)
mobilenet_base = functools.partial(mobilenet, base_only=True)
