"""DenseNet under timm's and torchvision's names.

Source: [1] Huang et al., Densely Connected Convolutional Networks, arXiv:1608.06993,
table 1; timm's densenet.py (Apache 2.0).
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from slimnets.rows.arg_scopes import torch_arg_scope
from slimnets.rows.builder import network_of
from slimnets.rows.residual import residual_row, root
from slimnets.rows.stage import Stage
from slimnets.units import Conv, Mixed, Norm, Pool, dense_layer

# Table 1 of [1]: depth of the root, growth, units of each block.
ROWS = (
    ("densenet121", 64, 32, (6, 12, 24, 16)),
    ("densenet161", 96, 48, (6, 12, 36, 24)),
    ("densenet169", 64, 32, (6, 12, 32, 32)),
    ("densenet201", 64, 32, (6, 12, 48, 32)),
)
_PLAIN = (
    *(("normalizer_fn", None), ("activation_fn", None)),
    ("biases_initializer", None),
)


def _stages(depth: int, growth: int, units: tuple[int, ...]) -> tuple[Any, ...]:
    """Blocks with transitions that halve depth and size between them."""
    made: list[Any] = []
    for i, count in enumerate(units, start=1):
        made.append(Stage(f"block{i}", dense_layer, count, 1, growth))
        depth += count * growth
        if i < len(units):
            depth //= 2
            transition = (
                Norm("norm", tf.nn.relu),
                Conv("conv", depth, 1, options=_PLAIN),
                Pool("pool", 2, padding="VALID", kind="avg"),
            )
            made.append((Mixed(f"transition{i}", (transition,)),))
    return (*made, (Norm("postnorm", tf.nn.relu),))


NETWORKS = (densenet121, densenet161, densenet169, densenet201) = tuple(
    network_of(
        residual_row(
            name,
            _stages(depth, growth, units),
            f"{name} of torchvision and timm.",
            root=root((depth, 7, 2), pool="lowest"),
            arg_scope=torch_arg_scope,
            weights="torch",
            names=(("torch", ("torch_densenet",)), ("keras", ("keras_densenet",))),
            preprocessing="torch",
        )
    )
    for name, depth, growth, units in ROWS
)
