"""ResNets for small images: a root without pool and three blocks.

Source: [1] He et al., arXiv:1512.03385, section 4.2: 6n + 2 layers of basic units,
shortcuts padded with zero channels; [2] He et al., arXiv:1603.05027, section 4:
9n + 2 layers of pre-activation bottleneck units; [3] Zagoruyko & Komodakis,
arXiv:1605.07146: wide networks of pre-activation basic units with dropout.
"""

from __future__ import annotations

from typing import Any

from slimnets.rows.arg_scopes import cifar_arg_scope
from slimnets.rows.builder import network_of
from slimnets.rows.residual import blocks_of, residual_row, root
from slimnets.rows.row import Row
from slimnets.units import basic_v1, basic_v2, bottleneck_v2


def v1_row(layers: int) -> Row:
    """Returns the row of the network of that many layers, `6n + 2` [1]."""
    return _row(
        f"resnet_v1_cifar_{layers}",
        f"ResNet of {layers} layers for small images.",
        _units(layers, 6, "resnet_v1_cifar"),
        basic_v1,
        unit_options=(("pad_shortcut", True),),
        # A shortcut cannot take channels away from the root's.
        depth_multiple=16,
    )


def v2_row(layers: int) -> Row:
    """Returns the row of the network of that many layers, `9n + 2` [2]."""
    return _row(
        f"resnet_v2_cifar_{layers}",
        f"ResNet of {layers} layers for small images.",
        _units(layers, 9, "resnet_v2_cifar"),
        bottleneck_v2,
        unit_options=(("biases", False),),
    )


def wide_row(layers: int, width: int, dropout_rate: float = 0.3) -> Row:
    """Returns the row of a wide network: `6n + 4` layers, `width` times as wide [3]."""
    dropout = ", with dropout" if dropout_rate else ""
    return _row(
        f"wrn_{layers}_{width}",
        f"Wide ResNet of {layers} layers, {width} times as wide{dropout}.",
        (layers - 4) // 6,
        basic_v2,
        width,
        unit_options=(("biases", False), ("dropout_rate", dropout_rate)),
    )


def _units(layers: int, step: int, prefix: str) -> int:
    units, rest = divmod(layers - 2, step)
    if rest or units < 1:
        raise ValueError(
            f"{prefix} networks have {step}n + 2 layers, n >= 1; got {layers}."
        )
    return units


def _row(name: str, summary: str, units: int, unit_fn, width=1, **fields: Any) -> Row:
    preactivation = unit_fn is not basic_v1
    table = [(16 * width, units, 1), (32 * width, units, 2), (64 * width, units, 2)]
    return residual_row(
        name,
        blocks_of(table, unit_fn),
        summary,
        root=root((16, 3, 1), pool=None, preactivation=preactivation, biases=False),
        preactivation=preactivation,
        arg_scope=cifar_arg_scope,
        image_size=32,
        preprocessing="cifar",
        **fields,
    )


NETWORKS = tuple(
    network_of(row)
    for row in (
        *map(v1_row, (20, 32, 44, 56, 110)),
        *map(v2_row, (20, 29, 110, 164, 1001)),
        wide_row(28, 10),
        wide_row(16, 8),
        wide_row(16, 2, dropout_rate=0.0),
    )
)
