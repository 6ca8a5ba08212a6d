"""DeepLab's ResNets, which begin with three 3x3 convolutions, under its names.

Arguments and their defaults are those of TF-Slim's ResNets: DeepLab's `global_pool` and
`spatial_squeeze` are False by default. `multi_grid` is of the last block's units.

Source: Chen et al., Rethinking Atrous Convolution, arXiv:1706.05587; research/deeplab's
core/resnet_v1_beta.py.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from slimnets.rows.arg_scopes import resnet_arg_scope
from slimnets.rows.builder import network_of
from slimnets.rows.residual import (
    ARGUMENTS,
    KEYWORDS,
    SLIM_STRIDES,
    residual_row,
    root,
    stages,
)
from slimnets.rows.row import Row
from slimnets.units import basic_v1, bottleneck_v1

_LITE = (("stride_last", True), ("scope", "lite_bottleneck_v1"))


def _root(multiplier: float) -> tuple[Any, ...]:
    half, whole = int(64 * multiplier), int(128 * multiplier)
    *convs, pool = root((half, 3, 2), (half, 3, 1), (whole, 3, 1))
    return (*convs, dataclasses.replace(pool, padding="SAME"))


def _vary(row: Row, options: dict[str, Any], root_depth_multiplier: float) -> Row:
    return dataclasses.replace(row, root=_root(root_depth_multiplier))


def _row(layers: int) -> Row:
    scope, lite = f"resnet_v1_{layers}", layers < 50
    unit_fn = basic_v1 if lite else bottleneck_v1
    blocks = stages(layers, unit_fn, SLIM_STRIDES, "last")
    own = ("root_depth_multiplier", 0.25)
    return residual_row(
        f"{scope}_beta",
        tuple(dataclasses.replace(s, options=_LITE if lite else ()) for s in blocks),
        f"ResNet v1 of {layers} layers of DeepLab.",
        root=_root(0.25 if lite else 1.0),
        scope=scope,
        arg_scope=resnet_arg_scope,
        arguments=(*ARGUMENTS, ("scope", scope)),
        keywords=(*KEYWORDS, *((own,) if lite else ())),
        texts=(("root_depth_multiplier", "scales the depths of the root."),),
        vary=_vary if lite else None,
        weights="tf-slim",
        preprocessing="inception",
    )


NETWORKS = (resnet_v1_18_beta, resnet_v1_50_beta, resnet_v1_101_beta) = tuple(
    network_of(_row(layers)) for layers in (18, 50, 101)
)
