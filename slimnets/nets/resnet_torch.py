"""ResNets under torchvision's and timm's names, whose state dicts load.

Stride in the first unit's 3x3 convolution, padding the same on both sides.

Source: torchvision.models.resnet and timm's resnet.py (Apache 2.0); [1] He et al.,
arXiv:1512.03385; [2] Xie et al., arXiv:1611.05431 (ResNeXt); [3] Hu et al.,
arXiv:1709.01507 (squeeze-and-excitation); [4] He et al., arXiv:1812.01187 (c and d);
[5] Bello et al., arXiv:2103.07579 (ResNet-RS); [6] Zhang, arXiv:1904.11486 (blur).
"""

from __future__ import annotations

from typing import Any

from slimnets.rows.arg_scopes import torch_arg_scope
from slimnets.rows.builder import network_of
from slimnets.rows.residual import residual_row, root, stages
from slimnets.rows.row import Row
from slimnets.units import basic_v1, bottleneck_v1

_DEEP_CONVS = ((32, 3, 2), (32, 3, 1), (64, 3, 1))
_PLAIN = root(pool="lowest")
_DEEP = root(*_DEEP_CONVS, pool="lowest")
_RS = root(*_DEEP_CONVS, pool="conv")
_SE = {"squeeze_ratio": 1 / 16}
_D = {"average_shortcut": True}

# Name, layers, and what differs from the plain network of that many layers.
ROWS: tuple[tuple[str, int, dict[str, Any]], ...] = (
    ("resnet18", 18, {}),
    ("resnet34", 34, {}),
    ("resnet50", 50, {}),
    ("resnet101", 101, {}),
    ("resnet152", 152, {}),
    ("resnet50c", 50, {"root": _DEEP}),
    ("resnet50d", 50, {"root": _DEEP, "options": _D}),
    ("resnet101d", 101, {"root": _DEEP, "options": _D}),
    ("resnetblur50", 50, {"root": root(pool="blur"), "options": {"antialias": True}}),
    ("resnext50_32x4d", 50, {"groups": 32, "base_width": 4}),
    ("resnext101_32x4d", 101, {"groups": 32, "base_width": 4}),
    ("resnext101_32x8d", 101, {"groups": 32, "base_width": 8}),
    ("resnext101_64x4d", 101, {"groups": 64, "base_width": 4}),
    ("wide_resnet50_2", 50, {"base_width": 128}),
    ("wide_resnet101_2", 101, {"base_width": 128}),
    ("seresnet50", 50, {"options": _SE}),
    ("seresnet101", 101, {"options": _SE}),
    ("seresnext50_32x4d", 50, {"groups": 32, "base_width": 4, "options": _SE}),
    ("seresnext101_32x4d", 101, {"groups": 32, "base_width": 4, "options": _SE}),
    *(
        (f"resnetrs{n}", n, {"root": _RS, "options": {**_D, "squeeze_ratio": 0.25}})
        for n in (50, 101, 152, 200, 270, 350, 420)
    ),
)


def _row(
    name: str,
    layers: int,
    root: tuple[Any, ...] = _PLAIN,
    options: dict[str, Any] | None = None,
    **widths: int,
) -> Row:
    options = dict(options or {})
    if "groups" in widths:
        options["groups"] = widths["groups"]
    names = "torch_d" if "average_shortcut" in options else "torch"
    return residual_row(
        name,
        stages(layers, basic_v1 if layers < 50 else bottleneck_v1, **widths),
        f"{name} of torchvision and timm.",
        root=root,
        unit_options=tuple(options.items()),
        arg_scope=torch_arg_scope,
        weights="torch",
        names=(("torch", (names,)),),
        preprocessing="torch",
    )


NETWORKS = tuple(network_of(_row(name, layers, **row)) for name, layers, row in ROWS)
