"""MobileNet v3, as TF-Slim builds it.

Source: [1] Howard et al., Searching for MobileNetV3, arXiv:1905.02244, tables 1 and 2;
names and layout of research/slim's nets/mobilenet/mobilenet_v3.py, which has the
minimalistic forms (no squeeze-and-excitation, no hard swish, kernels of 3x3) and
MobileNet EdgeTPU (fused convolutions early on) too. Keras Applications' large and small
networks are the same, and its minimalistic ones.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import tensorflow as tf

from slimnets.rows.builder import network_of
from slimnets.rows.head_layers import GlobalPool
from slimnets.rows.heads import Head
from slimnets.rows.mobilenet import (
    HEAD,
    ConvDefs,
    inverted_stage,
    mobilenet_row,
    width_suffix,
    width_text,
)
from slimnets.rows.row import Row
from slimnets.units import Conv
from slimnets.units.inverted import hard_swish

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
UNITS |= {
    f"{kind}_minimalistic": tuple(
        (expansion, depth, 3, stride, False, False)
        for expansion, depth, _, stride, *_ in units
    )
    for kind, units in UNITS.items()
}
# Expansion, depth, kernel, stride, whether fused, whether there is a shortcut.
EDGETPU_UNITS = (
    (1, 16, 3, 1, True, True),
    (8, 32, 3, 2, True, True),
    *[(4, 32, 3, 1, True, True)] * 3,
    (8, 48, 3, 2, True, True),
    *[(4, 48, 3, 1, True, True)] * 3,
    (8, 96, 3, 2, False, True),
    *[(4, 96, 3, 1, False, True)] * 3,
    (8, 96, 3, 1, False, False),
    *[(4, 96, 3, 1, False, True)] * 3,
    (8, 160, 5, 2, False, True),
    *[(4, 160, 5, 1, False, True)] * 3,
    (8, 192, 3, 1, False, True),
)
# Depths of the last convolutions before and after the pool.
LAST = {"large": (960, 1280), "small": (576, 1024)}
_SWISH = (("activation_fn", hard_swish),)


def _swish(kind: str) -> tuple[tuple[str, Any], ...]:
    return () if kind.endswith("_minimalistic") else _SWISH


def _last(kind: str) -> tuple[int, int]:
    return LAST[kind.partition("_")[0]]


def _stages(kind: str) -> tuple[Any, ...]:
    stages = []
    for number, (expansion, depth, kernel, stride, squeeze, swish) in enumerate(
        UNITS[kind]
    ):
        own = {
            "expansion": expansion,
            "kernel": kernel,
            "activation_fn": hard_swish if swish else tf.nn.relu,
            "squeeze_ratio": 1 / 4 if squeeze else None,
        }
        stages.append(inverted_stage(number, depth, stride, [own]))
    key = f"layer_{len(UNITS[kind]) + 2}"
    conv = Conv("Conv_1", _last(kind)[0], 1, options=_swish(kind), key=key)
    return (*stages, (conv,))


def _edgetpu_stages(scaled: bool) -> tuple[Any, ...]:
    stages = []
    for number, (expansion, depth, kernel, stride, fused, residual) in enumerate(
        EDGETPU_UNITS
    ):
        own = {"expansion": expansion, "kernel": kernel}
        own |= {"fused": fused, "residual": residual}
        stages.append(inverted_stage(number, depth, stride, [own]))
    key = f"layer_{len(EDGETPU_UNITS) + 2}"
    return (*stages, (Conv("Conv_1", 1280, 1, key=key, scaled=scaled),))


def _head(kind: str, scaled: bool) -> Head:
    number = len(UNITS[kind]) + 3
    plain = (*_swish(kind), ("normalizer_fn", None))
    key = f"layer_{number + 1}"
    last = Conv("Conv_2", _last(kind)[1], 1, options=plain, key=key, scaled=scaled)
    tail = (
        GlobalPool("AvgPool2D/AvgPool", key=f"layer_{number}", always=True),
        last,
    )
    return dataclasses.replace(HEAD, tail=tail)


def _v3(kind: str) -> Row:
    stages = _stages(kind)
    return mobilenet_row(
        f"mobilenet_v3_{kind}",
        lambda fine: {"stages": stages, "head": _head(kind, not fine)},
        root=(Conv("Conv", 16, 3, 2, options=_swish(kind), key="layer_1"),),
        summary=f"MobileNet v3 {kind.replace('_', ', ')} of TF-Slim.",
        names=(("keras", ("keras_mobilenet_v3",)),),
    )


def _edgetpu(depth_multiplier: float) -> Row:
    return mobilenet_row(
        f"mobilenet_edgetpu{width_suffix(depth_multiplier)}",
        lambda fine: {"stages": _edgetpu_stages(not fine)},
        depth_multiplier,
        root=(Conv("Conv", 32, 3, 2, key="layer_1"),),
        scope="MobilenetEdgeTPU",
        summary=f"MobileNet EdgeTPU of TF-Slim{width_text(depth_multiplier)}.",
    )


NETWORKS = (
    mobilenet_v3_large,
    mobilenet_v3_small,
    mobilenet_v3_large_minimalistic,
    mobilenet_v3_small_minimalistic,
    mobilenet_edgetpu,
    mobilenet_edgetpu_075,
) = tuple(map(network_of, [*map(_v3, UNITS), *map(_edgetpu, (1.0, 0.75))]))
large, small = mobilenet_v3_large, mobilenet_v3_small
large_minimalistic = mobilenet_v3_large_minimalistic
small_minimalistic = mobilenet_v3_small_minimalistic
edge_tpu, edge_tpu_075 = mobilenet_edgetpu, mobilenet_edgetpu_075
mobilenet = mobilenet_v3_large
V3_LARGE, V3_SMALL = ConvDefs(large.row), ConvDefs(small.row)
V3_LARGE_MINIMALISTIC = ConvDefs(large_minimalistic.row)
V3_SMALL_MINIMALISTIC = ConvDefs(small_minimalistic.row)
V3_EDGETPU = ConvDefs(edge_tpu.row)
mobilenet_base = functools.partial(mobilenet, base_only=True)
