"""EfficientNetV2 under timm's names, with TensorFlow's padding and epsilon.

Source: [1] Tan & Le, EfficientNetV2, arXiv:2104.00298, table 4; google/automl's
efficientnetv2; timm's efficientnet.py (Apache 2.0).
"""

from __future__ import annotations

import functools

import tensorflow as tf

from slimnets.rows.builder import network_of
from slimnets.rows.inverted import (
    SQUEEZE,
    TENSORFLOW,
    Inverted,
    convolved,
    inverted_row,
)
from slimnets.units.inverted import divisible

_fused = functools.partial(Inverted, fused=True, kernel=3)
_squeezed = functools.partial(
    Inverted, kernel=3, options=(*SQUEEZE, ("squeeze_activation_fn", tf.nn.silu))
)
# Table 4 of [1], and what google/automl has beside it: expansion, depth, number of
# units, stride.
BASE = (
    *(_fused(1, 16, 1, 1), _fused(4, 32, 2, 2), _fused(4, 48, 2, 2)),
    *(_squeezed(4, 96, 3, 2), _squeezed(6, 112, 5, 1), _squeezed(6, 192, 8, 2)),
)
SMALL = (
    *(_fused(1, 24, 2, 1), _fused(4, 48, 4, 2), _fused(4, 64, 4, 2)),
    *(_squeezed(4, 128, 6, 2), _squeezed(6, 160, 9, 1), _squeezed(6, 256, 15, 2)),
)
MEDIUM = (
    *(_fused(1, 24, 3, 1), _fused(4, 48, 5, 2), _fused(4, 80, 5, 2)),
    *(_squeezed(4, 160, 7, 2), _squeezed(6, 176, 14, 1), _squeezed(6, 304, 18, 2)),
    _squeezed(6, 512, 5, 1),
)
LARGE = (
    *(_fused(1, 32, 4, 1), _fused(4, 64, 7, 2), _fused(4, 96, 7, 2)),
    *(_squeezed(4, 192, 10, 2), _squeezed(6, 224, 19, 1), _squeezed(6, 384, 25, 2)),
    _squeezed(6, 640, 7, 1),
)
_NAMES = (
    ("torch", ("torch_efficientnet",)),
    ("keras", ("keras_efficientnet_v2",)),
)
# Depth of the root, table, what multiplies depths and numbers of units, the images'
# side, and how they are made.
ROWS = (
    ("b0", 32, BASE, 1.0, 1.0, 192, "torch"),
    ("b1", 32, BASE, 1.0, 1.1, 192, "torch"),
    ("b2", 32, BASE, 1.1, 1.2, 208, "torch"),
    ("b3", 32, BASE, 1.2, 1.4, 240, "inception"),
    ("s", 24, SMALL, 1.0, 1.0, 300, "inception"),
    ("m", 24, MEDIUM, 1.0, 1.0, 384, "inception"),
    ("l", 32, LARGE, 1.0, 1.0, 384, "inception"),
)

NETWORKS = tuple(
    network_of(
        inverted_row(
            f"tf_efficientnetv2_{name}",
            divisible(root * width, keeps=0),
            [line.scaled_by(width, units, keeps=0) for line in table],
            convolved(divisible(1280 * width, keeps=0)),
            *(TENSORFLOW, tf.nn.silu, _NAMES),
            image_size=size,
            preprocessing=preprocessing,
        )
    )
    for name, root, table, width, units, size, preprocessing in ROWS
)
