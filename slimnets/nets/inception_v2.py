"""Inception v2 (batch-normalized Inception), as TF-Slim builds it.

Source: Ioffe & Szegedy, Batch Normalization, arXiv:1502.03167, figure 5; names and
layout of tf_slim/nets/inception_v2.py and research/slim.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from slimnets.layers.building import channels_last, is_channels_first
from slimnets.nets.inception_v1 import ROOT_TEXT
from slimnets.rows.arg_scopes import inception_arg_scope
from slimnets.rows.builder import base_of, network_of
from slimnets.rows.inception import (
    arguments,
    chain,
    conv,
    convolved_head,
    inception_row,
    initial,
    mixed,
)
from slimnets.rows.row import Row
from slimnets.rows.stage import Depths
from slimnets.units import Conv, Pool

inception_v2_arg_scope = inception_arg_scope


def _threes(*depths: int) -> tuple[Conv, ...]:
    """A 1x1 convolution and 3x3 ones behind it."""
    first, *others = chain((depths[0], 1), *((depth, 3) for depth in depths[1:]))
    return (dataclasses.replace(first, options=initial(0.09)), *others)


def _mixed(name: str, one: int, three: tuple, double: tuple, pool: int, kind="avg"):
    named = {"avg": "AvgPool_0a_3x3", "max": "MaxPool_0a_3x3"}[kind]
    return mixed(
        name,
        chain((one, 1)),
        _threes(*three),
        _threes(*double, double[1]),
        (
            Pool(named, stride=1, kind=kind),
            conv("0b", pool, 1, options=initial(0.1)),
        ),
    )


def _reduction(name: str, three: tuple, double: tuple):
    return mixed(
        name,
        (*_threes(three[0]), conv("1a", three[1], 3, 2)),
        (*_threes(*double), conv("1a", double[1], 3, 2)),
        (Pool("MaxPool_1a_3x3"),),
    )


def _root_multiplier(depth: int) -> int:
    return min(int(depth / 3), 8)


ROOT = (
    conv("1a", 64, 7, 2, options=initial(1.0), multiplier=_root_multiplier),
    Pool("MaxPool_2a_3x3"),
    conv("2b", 64, 1, options=initial(0.1)),
    conv("2c", 192),
    Pool("MaxPool_3a_3x3"),
)
PLAIN_ROOT = (dataclasses.replace(ROOT[0], multiplier=None), *ROOT[1:])
STAGES = (
    (
        _mixed("Mixed_3b", 64, (64, 64), (64, 96), 32),
        _mixed("Mixed_3c", 64, (64, 96), (64, 96), 64),
    ),
    (
        _reduction("Mixed_4a", (128, 160), (64, 96)),
        _mixed("Mixed_4b", 224, (64, 96), (96, 128), 128),
        _mixed("Mixed_4c", 192, (96, 128), (96, 128), 128),
        _mixed("Mixed_4d", 160, (128, 160), (128, 160), 96),
        _mixed("Mixed_4e", 96, (128, 192), (160, 192), 96),
    ),
    (
        _reduction("Mixed_5a", (128, 192), (192, 256)),
        _mixed("Mixed_5b", 352, (192, 320), (160, 224), 128),
        _mixed("Mixed_5c", 352, (192, 320), (192, 224), 128, "max"),
    ),
)
ROW = inception_row(
    "inception_v2",
    root=ROOT,
    stages=STAGES,
    head=convolved_head(7, "AvgPool_1a_{}", "Dropout_1b", "Conv2d_1c_1x1", True),
    arguments=arguments(
        1000, "InceptionV2", ("min_depth", 16), ("depth_multiplier", 1.0)
    ),
    depths=Depths(least=16),
    summary="Inception v2 (with batch norms) of TF-Slim.",
)


def _vary(
    row: Row,
    options: dict[str, Any],
    use_separable_conv: bool,
    include_root_block: bool,
    data_format: str,
) -> Row:
    options["channels_first"] = is_channels_first(data_format)
    if options["channels_first"] and use_separable_conv:
        raise ValueError(
            "data_format='NCHW' is for use_separable_conv=False, as separable "
            "convolutions have channels last."
        )
    if options["channels_first"]:
        options["inputs"] = channels_last(options["inputs"])
    root = ROOT if use_separable_conv else PLAIN_ROOT
    return dataclasses.replace(row, root=root if include_root_block else ())


NETWORKS = (inception_v2,) = (network_of(ROW),)
inception_v2_base = base_of(
    dataclasses.replace(
        ROW,
        vary=_vary,
        texts=(
            ROOT_TEXT,
            ("use_separable_conv", "whether the first convolution is a separable one."),
            ("data_format", "of the inputs and of all end points: `NHWC` or `NCHW`."),
        ),
    ),
    *(("final_endpoint", "Mixed_5c"), ("min_depth", 16), ("depth_multiplier", 1.0)),
    *(("use_separable_conv", True), ("include_root_block", True), ("scope", None)),
    data_format="NHWC",
)
