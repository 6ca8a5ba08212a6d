"""MobileNet v2, as TF-Slim builds it.

Source: [1] Sandler et al., MobileNetV2, arXiv:1801.04381, table 2; names and layout of
research/slim's nets/mobilenet/mobilenet_v2.py. Keras Applications' network is the same.
"""

from __future__ import annotations

import functools
from typing import Any

import tensorflow as tf

from slimnets.rows.builder import network_of
from slimnets.rows.mobilenet import (
    ConvDefs,
    inverted_stage,
    mobilenet_row,
    width_suffix,
    width_text,
)
from slimnets.rows.row import Row
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


def _stages(fine: bool) -> dict[str, Any]:
    stages: list[Any] = []
    number = 0
    for expansion, depth, count, stride in UNITS:
        own = {"expansion": expansion, "divisor": 1 if expansion == 1 else 8}
        stages.append(inverted_stage(number, depth, stride, [own] * count))
        number += count
    scaled = "up" if fine else True
    last = Conv("Conv_1", 1280, 1, key=f"layer_{number + 2}", scaled=scaled)
    return {"stages": (*stages, (last,))}


def _row(depth_multiplier: float) -> Row:
    return mobilenet_row(
        f"mobilenet_v2{width_suffix(depth_multiplier)}",
        _stages,
        depth_multiplier,
        tf.nn.relu6,
        (("activation_fn", None),),
        root=(Conv("Conv", 32, 3, 2, key="layer_1"),),
        summary=f"MobileNet v2 of TF-Slim{width_text(depth_multiplier)}.",
        names=(("keras", ("keras_mobilenet_v2",)),),
    )


NETWORKS = (mobilenet_v2, mobilenet_v2_140, mobilenet_v2_035) = tuple(
    network_of(_row(factor)) for factor in (1.0, 1.4, 0.35)
)
mobilenet = mobilenet_v2
V2_DEF = ConvDefs(mobilenet.row)
mobilenet_base = functools.partial(mobilenet, base_only=True)
