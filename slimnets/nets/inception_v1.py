"""Inception v1 (GoogLeNet), as TF-Slim builds it.

Source: [1] Szegedy et al., Going Deeper with Convolutions, arXiv:1409.4842, table 1;
names and layout of tf_slim/nets/inception_v1.py and research/slim.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from slimnets import layers
from slimnets.rows.arg_scopes import inception_arg_scope
from slimnets.rows.builder import base_of, network_of
from slimnets.rows.inception import arguments, convolved_head
from slimnets.rows.row import Row
from slimnets.rows.stage import Depths
from slimnets.units import Conv, Mixed, Pool

_INIT = (("weights_initializer", layers.truncated_normal_initializer(0.01)),)

inception_v1_arg_scope = inception_arg_scope


def _conv(name: str, depth: int, kernel: int, stride: int = 1) -> Conv:
    return Conv(name, depth, kernel, stride, options=_INIT)


def _mixed(
    name: str, one: int, three: tuple, five: tuple, pool: int, last: str = "0b"
) -> Mixed:
    """A row of table 1 [1]; what is 5x5 there is 3x3 here, as in all of TF-Slim."""
    return Mixed(
        name,
        (
            (_conv("Conv2d_0a_1x1", one, 1),),
            (
                _conv("Conv2d_0a_1x1", three[0], 1),
                _conv("Conv2d_0b_3x3", three[1], 3),
            ),
            (
                _conv("Conv2d_0a_1x1", five[0], 1),
                _conv(f"Conv2d_{last}_3x3", five[1], 3),
            ),
            (Pool("MaxPool_0a_3x3", stride=1), _conv("Conv2d_0b_1x1", pool, 1)),
        ),
    )


ROOT = (
    _conv("Conv2d_1a_7x7", 64, 7, 2),
    Pool("MaxPool_2a_3x3"),
    _conv("Conv2d_2b_1x1", 64, 1),
    _conv("Conv2d_2c_3x3", 192, 3),
    Pool("MaxPool_3a_3x3"),
)
STAGES = (
    (
        _mixed("Mixed_3b", 64, (96, 128), (16, 32), 32),
        _mixed("Mixed_3c", 128, (128, 192), (32, 96), 64),
    ),
    (
        Pool("MaxPool_4a_3x3"),
        _mixed("Mixed_4b", 192, (96, 208), (16, 48), 64),
        _mixed("Mixed_4c", 160, (112, 224), (24, 64), 64),
        _mixed("Mixed_4d", 128, (128, 256), (24, 64), 64),
        _mixed("Mixed_4e", 112, (144, 288), (32, 64), 64),
        _mixed("Mixed_4f", 256, (160, 320), (32, 128), 128),
    ),
    (
        Pool("MaxPool_5a_2x2", 2),
        # TF-Slim's checkpoints have this slip in a name.
        _mixed("Mixed_5b", 256, (160, 320), (32, 128), 128, last="0a"),
        _mixed("Mixed_5c", 384, (192, 384), (48, 128), 128),
    ),
)
ROW = Row(
    "inception_v1",
    root=ROOT,
    stages=STAGES,
    head=convolved_head(
        7, "AvgPool_0a_7x7", "Dropout_0b", "Conv2d_0c_1x1", inside=True
    ),
    scope="InceptionV1",
    arg_scope=inception_arg_scope,
    arguments=arguments(1000, "InceptionV1"),
    depths=Depths(least=8),
    bare_keys=True,
    reopens=True,
    summary="Inception v1 (GoogLeNet) of TF-Slim, with batch norms.",
    preprocessing="inception",
    weights="tf-slim",
    first_variable="Conv2d_1a_7x7/weights",
    logits="Logits/Conv2d_0c_1x1/biases",
)


def without_root(row: Row, options: dict[str, Any], include_root_block: bool) -> Row:
    """Returns the row without its root, if that is not to be included."""
    return row if include_root_block else dataclasses.replace(row, root=())


NETWORKS = (inception_v1,) = (network_of(ROW),)
ROOT_TEXT = (
    "include_root_block",
    "whether to begin with the layers before `Mixed_3b`; if not, `inputs` should come "
    "from such layers.",
)
inception_v1_base = base_of(
    dataclasses.replace(ROW, vary=without_root, texts=(ROOT_TEXT,)),
    *(("final_endpoint", "Mixed_5c"), ("include_root_block", True)),
    ("scope", "InceptionV1"),
)
