"""EfficientNet and EfficientNet-Lite under timm's names.

Names that begin with `tf_` have TensorFlow's padding and epsilon.

Source: [1] Tan & Le, EfficientNet, arXiv:1905.11946, table 1; tpu/models/official/
efficientnet and its lite; timm's efficientnet.py (Apache 2.0).
"""

from __future__ import annotations

import tensorflow as tf

from slimnets.rows.builder import network_of
from slimnets.rows.inverted import (
    SQUEEZE,
    TENSORFLOW,
    TORCH,
    Form,
    Inverted,
    convolved,
    inverted_row,
)
from slimnets.rows.row import Row
from slimnets.units.inverted import divisible

# Table 1 of [1].
UNITS = (
    Inverted(1, 16, 1, 1, 3),
    Inverted(6, 24, 2, 2, 3),
    Inverted(6, 40, 2, 2, 5),
    Inverted(6, 80, 3, 2, 3),
    Inverted(6, 112, 3, 1, 5),
    Inverted(6, 192, 4, 2, 5),
    Inverted(6, 320, 1, 1, 3),
)
# What multiplies depths and numbers of units; sides of the images in torch's and in
# TensorFlow's form.
SCALES = (
    (1.0, 1.0, 224, 224),
    (1.0, 1.1, 240, 240),
    (1.1, 1.2, 256, 260),
    (1.2, 1.4, 288, 300),
    (1.4, 1.8, 320, 380),
    (1.6, 2.2, 448, 456),
    (1.8, 2.6, 528, 528),
    (2.0, 3.1, 600, 600),
)
LITE_SIZES = (224, 240, 260, 300, 380)
_TORCH = (("torch", ("torch_efficientnet", "torch_efficientnet_pytorch")),)
_KERAS = ("keras", ("keras_efficientnet",))


def _row(name: str, form: Form, width: float, units: float, size: int) -> Row:
    return inverted_row(
        name,
        divisible(32 * width),
        [line.scaled_by(width, units) for line in UNITS],
        convolved(divisible(1280 * width)),
        *(form, tf.nn.silu, (*_TORCH, _KERAS) if form is TENSORFLOW else _TORCH),
        unit_options=(*SQUEEZE, ("squeeze_activation_fn", tf.nn.silu)),
        image_size=size,
    )


def _lite_row(name: str, width: float, units: float, size: int) -> Row:
    """The first and the last stage keep their numbers of units."""
    within = [line.scaled_by(width, units) for line in UNITS[1:-1]]
    first, last = (line.scaled_by(width, 1) for line in (UNITS[0], UNITS[-1]))
    return inverted_row(
        name,
        32,
        [first, *within, last],
        convolved(1280),
        *(TENSORFLOW, tf.nn.relu6, _TORCH),
        image_size=size,
        preprocessing="inception",
    )


NETWORKS = (
    *(
        network_of(_row(f"efficientnet_b{i}", TORCH, width, units, size))
        for i, (width, units, size, _) in enumerate(SCALES)
    ),
    *(
        network_of(_row(f"tf_efficientnet_b{i}", TENSORFLOW, width, units, size))
        for i, (width, units, _, size) in enumerate(SCALES)
    ),
    *(
        network_of(_lite_row(f"tf_efficientnet_lite{i}", *SCALES[i][:2], size))
        for i, size in enumerate(LITE_SIZES)
    ),
)
