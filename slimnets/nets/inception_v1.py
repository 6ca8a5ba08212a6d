"""Inception v1 (GoogLeNet), as TF-Slim builds it.

Source: [1] Szegedy et al., Going Deeper with Convolutions, arXiv:1409.4842, table 1;
names and layout of tf_slim/nets/inception_v1.py and research/slim.
"""

from __future__ import annotations

import dataclasses
from typing import Any

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
from slimnets.units import Mixed, Pool

_INIT = initial(0.01)

inception_v1_arg_scope = inception_arg_scope


def _mixed(
    name: str, one: int, three: tuple, five: tuple, pool: int, last: str = "0b"
) -> Mixed:
    """A row of table 1 [1]; what is 5x5 there is 3x3 here, as in all of TF-Slim."""
    return mixed(
        name,
        chain((one, 1), options=_INIT),
        chain((three[0], 1), (three[1], 3), options=_INIT),
        (*chain((five[0], 1), options=_INIT), conv(last, five[1], options=_INIT)),
        (Pool("MaxPool_0a_3x3", stride=1), conv("0b", pool, 1, options=_INIT)),
    )


ROOT = (
    conv("1a", 64, 7, 2, options=_INIT),
    Pool("MaxPool_2a_3x3"),
    conv("2b", 64, 1, options=_INIT),
    conv("2c", 192, options=_INIT),
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
ROW = inception_row(
    "inception_v1",
    root=ROOT,
    stages=STAGES,
    head=convolved_head(
        7, "AvgPool_0a_7x7", "Dropout_0b", "Conv2d_0c_1x1", inside=True
    ),
    arguments=arguments(1000, "InceptionV1"),
    depths=Depths(least=8),
    summary="Inception v1 (GoogLeNet) of TF-Slim, with batch norms.",
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
