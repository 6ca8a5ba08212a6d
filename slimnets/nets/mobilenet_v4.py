"""MobileNet v4 of convolutions alone, under timm's names.

Source: [1] Qin et al., MobileNetV4, arXiv:2404.10518, tables 11 to 13; timm's
mobilenetv3.py (Apache 2.0).
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from slimnets.rows.builder import network_of
from slimnets.rows.inverted import TORCH, Inverted, inverted_row
from slimnets.rows.residual import HEAD
from slimnets.rows.stage import Stage
from slimnets.units import Conv, inverted_residual


def _convs(block: int, *convs: tuple[int, int, int]) -> tuple[Any, ...]:
    """A stage of convolutions of depth, kernel and stride."""
    return tuple(
        Conv(f"block{block}/conv_{i}", depth, kernel, stride, "EVEN")
        for i, (depth, kernel, stride) in enumerate(convs, start=1)
    )


def _universal(block: int, depth: int, *units: tuple[int, int, float]) -> Stage:
    """A stage of universal inverted bottlenecks: kernels before and after the
    expansion, 0 for none, and the expansion."""
    names = ("start_kernel", "kernel", "expansion")
    return Stage(
        *(f"block{block}", inverted_residual, len(units), 2, depth),
        options=(("padding", "EVEN"),),
        each=tuple(tuple(zip(names, unit, strict=True)) for unit in units),
    )


_LAST = _convs(5, (960, 1, 1))
# Tables 11 to 13 of [1]: depth of the root, and stages.
ROWS = (
    ("mobilenetv4_conv_small", 224, 32, (
        _convs(1, (32, 3, 2), (32, 1, 1)),
        _convs(2, (96, 3, 2), (64, 1, 1)),
        _universal(3, 96, (5, 5, 3), *4 * ((0, 3, 2),), (3, 0, 4)),
        _universal(
            *(4, 128, (3, 3, 6), (5, 5, 4), (0, 5, 4), (0, 5, 3)), *2 * ((0, 3, 4),)
        ),
        _LAST,
    )),
    ("mobilenetv4_conv_medium", 256, 32, (
        Inverted(4, 48, 1, 2, 3, fused=True),
        _universal(2, 80, (3, 5, 4), (3, 3, 2)),
        _universal(
            *(3, 160, (3, 5, 6), (3, 3, 4), (3, 3, 4), (3, 5, 4), (3, 3, 4)),
            *((3, 0, 4), (0, 0, 2), (3, 0, 4)),
        ),
        _universal(
            *(4, 256, (5, 5, 6), (5, 5, 4), (3, 5, 4), (3, 5, 4), (0, 0, 4)),
            *((3, 0, 4), (3, 5, 2), (5, 5, 4), (0, 0, 4), (0, 0, 4), (5, 0, 2)),
        ),
        _LAST,
    )),
    ("mobilenetv4_conv_large", 384, 24, (
        Inverted(4, 48, 1, 2, 3, fused=True),
        _universal(2, 96, (3, 5, 4), (3, 3, 4)),
        _universal(
            *(3, 192, (3, 5, 4), *3 * ((3, 3, 4),), (3, 5, 4)),
            *(*5 * ((5, 3, 4),), (3, 0, 4)),
        ),
        _universal(
            *(4, 512, *4 * ((5, 5, 4),), (5, 0, 4), (5, 3, 4)),
            *(*2 * ((5, 0, 4),), (5, 3, 4), (5, 5, 4), *3 * ((5, 0, 4),)),
        ),
        _LAST,
    )),
)  # fmt: skip
_HEAD = (*HEAD.features, Conv("conv_head", 1280, 1))

NETWORKS = tuple(
    network_of(
        inverted_row(
            *(name, root, stages, _HEAD, TORCH, tf.nn.relu),
            (("torch", ("torch_mobilenet_v4",)),),
            image_size=size,
        )
    )
    for name, size, root, stages in ROWS
)
