"""ConvNeXt and ConvNeXt V2 under timm's names.

Source: [1] Liu et al., A ConvNet for the 2020s, arXiv:2201.03545, section 2 and table
9; [2] Woo et al., ConvNeXt V2, arXiv:2301.00808, section 3 and appendix A.1; timm's
convnext.py (Apache 2.0).
"""

from __future__ import annotations

import dataclasses

from slimnets.rows.arg_scopes import layer_norm_arg_scope
from slimnets.rows.builder import network_of
from slimnets.rows.residual import HEAD, residual_row
from slimnets.rows.stage import Stage
from slimnets.units import Conv, Norm, convnext

_SMALL, _LARGE = (3, 3, 9, 3), (3, 3, 27, 3)
# Names in torch's files, where the smallest networks' dense layers are 1x1
# convolutions, and in Keras's, which has no second version.
_TORCH = (("torch", ("torch_convnext",)),)
_BOTH = (*_TORCH, ("keras", ("keras_convnext",)))
_CONVS = (("torch", ("torch_convnext_conv",)),)
# Table 9 of [1] and appendix A.1 of [2]: depth of the first stage, which doubles from
# stage to stage, number of units of each, and rules of names.
ROWS = (
    ("convnext_tiny", 96, _SMALL, _BOTH),
    ("convnext_small", 96, _LARGE, _BOTH),
    ("convnext_base", 128, _LARGE, _BOTH),
    ("convnext_large", 192, _LARGE, _BOTH),
    ("convnext_xlarge", 256, _LARGE, _BOTH),
    ("convnextv2_atto", 40, (2, 2, 6, 2), _CONVS),
    ("convnextv2_femto", 48, (2, 2, 6, 2), _CONVS),
    ("convnextv2_pico", 64, (2, 2, 6, 2), _CONVS),
    ("convnextv2_nano", 80, (2, 2, 8, 2), _CONVS),
    ("convnextv2_tiny", 96, _SMALL, _TORCH),
    ("convnextv2_base", 128, _LARGE, _TORCH),
    ("convnextv2_large", 192, _LARGE, _TORCH),
)
_HEAD = dataclasses.replace(HEAD, features=(*HEAD.features, Norm("head_norm")))
_V2 = (("initial_scale", None), ("normalizes_response", True))

NETWORKS = tuple(
    network_of(
        residual_row(
            name,
            tuple(
                Stage(f"block{i}", convnext, count, min(i, 2), depth * 2 ** (i - 1))
                for i, count in enumerate(units, start=1)
            ),
            f"{name} of timm.",
            root=(Conv("conv1", depth, 4, 4, "VALID"), Norm("norm1")),
            head=_HEAD,
            unit_options=_V2 if name.startswith("convnextv2") else (),
            arg_scope=layer_norm_arg_scope,
            weights="torch",
            names=names,
            preprocessing="torch",
        )
    )
    for name, depth, units, names in ROWS
)
