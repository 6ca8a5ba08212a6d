"""MnasNet under timm's names.

Source: [1] Tan et al., MnasNet, arXiv:1807.11626, figure 7; tpu/models/official/
mnasnet; timm's efficientnet.py (Apache 2.0).
"""

from __future__ import annotations

import tensorflow as tf

from slimnets.rows.builder import network_of
from slimnets.rows.inverted import SQUEEZE, TORCH, Inverted, convolved, inverted_row
from slimnets.units.inverted import divisible

# MnasNet-B1, the search of [1] without squeeze-and-excitation; MnasNet-small.
UNITS = (
    Inverted(1, 16, 1, 1, 3),
    Inverted(3, 24, 3, 2, 3),
    Inverted(3, 40, 3, 2, 5),
    Inverted(6, 80, 3, 2, 5),
    Inverted(6, 96, 2, 1, 3),
    Inverted(6, 192, 4, 2, 5),
    Inverted(6, 320, 1, 1, 3),
)
_SQUEEZE = (*SQUEEZE, ("squeeze_activation_fn", tf.nn.relu))
SMALL = (
    Inverted(1, 8, 1, 1, 3),
    Inverted(3, 16, 1, 2, 3),
    Inverted(6, 16, 2, 2, 3),
    Inverted(6, 32, 4, 2, 5, options=_SQUEEZE),
    Inverted(6, 32, 3, 1, 3, options=_SQUEEZE),
    Inverted(6, 88, 3, 2, 5, options=_SQUEEZE),
    Inverted(6, 144, 1, 1, 3),
)
# Depth of the root, table, and what multiplies the depths.
ROWS = (
    ("mnasnet_050", 32, UNITS, 0.5),
    ("mnasnet_075", 32, UNITS, 0.75),
    ("mnasnet_100", 32, UNITS, 1.0),
    ("mnasnet_140", 32, UNITS, 1.4),
    ("mnasnet_small", 8, SMALL, 1.0),
)

NETWORKS = tuple(
    network_of(
        inverted_row(
            name,
            divisible(root * width),
            [line.scaled_by(width, 1) for line in table],
            convolved(1280),
            *(TORCH, tf.nn.relu, (("torch", ("torch_efficientnet",)),)),
        )
    )
    for name, root, table, width in ROWS
)
