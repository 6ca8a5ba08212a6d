"""Inception v2 (batch-normalized Inception), as TF-Slim builds it.

Source: Ioffe & Szegedy, Batch Normalization, arXiv:1502.03167, figure 5; names and
layout of tf_slim/nets/inception_v2.py and research/slim.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from slimnets import layers
from slimnets.layers.building import is_channels_first
from slimnets.nets.inception_v1 import ROOT_TEXT
from slimnets.rows import channels
from slimnets.rows.arg_scopes import inception_arg_scope
from slimnets.rows.builder import base_of, network_of
from slimnets.rows.inception import arguments, convolved_head
from slimnets.rows.row import Row
from slimnets.rows.stage import Depths
from slimnets.units import Conv, Mixed, Pool

inception_v2_arg_scope = inception_arg_scope


def _init(stddev: float) -> tuple[tuple[str, Any], ...]:
    return (("weights_initializer", layers.truncated_normal_initializer(stddev)),)


def _threes(*depths: int) -> tuple[Conv, ...]:
    """A 1x1 convolution and 3x3 ones behind it."""
    return (
        Conv("Conv2d_0a_1x1", depths[0], 1, options=_init(0.09)),
        *(
            Conv(f"Conv2d_0{letter}_3x3", depth, 3)
            for letter, depth in zip("bc", depths[1:], strict=False)
        ),
    )


def _mixed(name: str, one: int, three: tuple, double: tuple, pool: int, kind="avg"):
    named = {"avg": "AvgPool_0a_3x3", "max": "MaxPool_0a_3x3"}[kind]
    return Mixed(
        name,
        (
            (Conv("Conv2d_0a_1x1", one, 1),),
            _threes(*three),
            _threes(*double, double[1]),
            (
                Pool(named, stride=1, kind=kind),
                Conv("Conv2d_0b_1x1", pool, 1, options=_init(0.1)),
            ),
        ),
    )


def _reduction(name: str, three: tuple, double: tuple):
    return Mixed(
        name,
        (
            (*_threes(three[0]), Conv("Conv2d_1a_3x3", three[1], 3, 2)),
            (*_threes(*double), Conv("Conv2d_1a_3x3", double[1], 3, 2)),
            (Pool("MaxPool_1a_3x3"),),
        ),
    )


def _root_multiplier(depth: int) -> int:
    return min(int(depth / 3), 8)


ROOT = (
    Conv("Conv2d_1a_7x7", 64, 7, 2, options=_init(1.0), multiplier=_root_multiplier),
    Pool("MaxPool_2a_3x3"),
    Conv("Conv2d_2b_1x1", 64, 1, options=_init(0.1)),
    Conv("Conv2d_2c_3x3", 192, 3),
    Pool("MaxPool_3a_3x3"),
)
PLAIN_ROOT = (Conv("Conv2d_1a_7x7", 64, 7, 2, options=_init(1.0)), *ROOT[1:])
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
ROW = Row(
    "inception_v2",
    root=ROOT,
    stages=STAGES,
    head=convolved_head(7, "AvgPool_1a_{}", "Dropout_1b", "Conv2d_1c_1x1", True),
    scope="InceptionV2",
    arg_scope=inception_arg_scope,
    arguments=arguments(
        1000, "InceptionV2", ("min_depth", 16), ("depth_multiplier", 1.0)
    ),
    depths=Depths(least=16),
    bare_keys=True,
    reopens=True,
    summary="Inception v2 (with batch norms) of TF-Slim.",
    preprocessing="inception",
    weights="tf-slim",
    first_variable="Conv2d_1a_7x7/depthwise_weights",
    logits="Logits/Conv2d_1c_1x1/biases",
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
        options["inputs"] = channels.last(options["inputs"])
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
