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
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.rows.arg_scopes import small_suffix
from slimnets.rows.builder import network_of
from slimnets.rows.head_layers import Conv as HeadConv
from slimnets.rows.head_layers import GlobalPool
from slimnets.rows.heads import Head
from slimnets.rows.mobilenet import (
    HEAD,
    ConvDefs,
    conv_scope,
    inverted_stage,
    mobilenet_row,
    training_scope,
)
from slimnets.rows.row import Row
from slimnets.scopes import Scope, arg_scope
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


def _default_scope() -> Scope:
    with (
        arg_scope(training_scope(is_training=None)),
        arg_scope(
            [layers.conv2d, layers.fully_connected, layers.separable_conv2d],
            activation_fn=tf.nn.relu,
        ) as scope,
    ):
        return scope


def _inner_scope() -> Scope:
    return conv_scope(tf.nn.relu)


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
    last = Conv("Conv_2", _last(kind)[1], 1, options=plain, scaled=scaled)
    tail = (
        GlobalPool("AvgPool2D/AvgPool", key=f"layer_{number}", always=True),
        HeadConv(last, key=f"layer_{number + 1}"),
    )
    return dataclasses.replace(HEAD, tail=tail)


def _row(
    name: str,
    of: Callable[[bool], dict[str, Any]],
    depth_multiplier: float = 1.0,
    **fields: Any,
) -> Row:
    """Returns a row.

    Args:
        name: of the network.
        of: gives stages and head, told whether the last layer is scaled.
        depth_multiplier: below 1, the last layer is not scaled by default.
        **fields: further ones of `Row`.
    """

    def vary(
        row: Row,
        options: dict[str, Any],
        finegrain_classification_mode: bool,
        divisible_by: int,
    ) -> Row:
        depths = dataclasses.replace(
            row.depths, divisor=divisible_by or row.depths.divisor
        )
        own = of(not finegrain_classification_mode)
        return dataclasses.replace(row, depths=depths, **own)

    thin = depth_multiplier < 1
    behind = (
        *(("finegrain_classification_mode", thin), ("min_depth", 8)),
        ("divisible_by", 8),
    )
    return mobilenet_row(
        name,
        ((("depth_multiplier", depth_multiplier),), behind),
        default_scope=_default_scope,
        inner_scope=_inner_scope,
        vary=vary,
        **of(not thin),
        **fields,
    )


def _v3(kind: str) -> Row:
    stages = _stages(kind)
    return _row(
        f"mobilenet_v3_{kind}",
        lambda scaled: {"stages": stages, "head": _head(kind, scaled)},
        root=(Conv("Conv", 16, 3, 2, options=_swish(kind), key="layer_1"),),
        summary=f"MobileNet v3 {kind.replace('_', ', ')} of TF-Slim.",
        names=(("keras", ("keras_mobilenet_v3",)),),
    )


def _edgetpu(depth_multiplier: float) -> Row:
    width = "" if depth_multiplier == 1 else f", {depth_multiplier} as wide"
    return _row(
        f"mobilenet_edgetpu{small_suffix(depth_multiplier)}",
        lambda scaled: {"stages": _edgetpu_stages(scaled)},
        depth_multiplier,
        root=(Conv("Conv", 32, 3, 2, key="layer_1"),),
        scope="MobilenetEdgeTPU",
        summary=f"MobileNet EdgeTPU of TF-Slim{width}.",
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
