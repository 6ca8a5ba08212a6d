"""RegNet X and Y under timm's names.

Source: [1] Radosavovic et al., Designing Network Design Spaces, arXiv:2003.13678,
tables 7 and 8; timm's regnet.py (Apache 2.0).
"""

from __future__ import annotations

from slimnets.rows.arg_scopes import torch_arg_scope
from slimnets.rows.builder import network_of
from slimnets.rows.residual import residual_row, root
from slimnets.rows.stage import Grouped, Stage
from slimnets.units import bottleneck_v1

# Table 7 of [1]: the width of a group, and width and number of units of each stage.
X = (
    ("regnetx_002", 8, ((24, 1), (56, 1), (152, 4), (368, 7))),
    ("regnetx_004", 16, ((32, 1), (64, 2), (160, 7), (384, 12))),
    ("regnetx_006", 24, ((48, 1), (96, 3), (240, 5), (528, 7))),
    ("regnetx_008", 16, ((64, 1), (128, 3), (288, 7), (672, 5))),
    ("regnetx_016", 24, ((72, 2), (168, 4), (408, 10), (912, 2))),
    ("regnetx_032", 48, ((96, 2), (192, 6), (432, 15), (1008, 2))),
    ("regnetx_040", 40, ((80, 2), (240, 5), (560, 14), (1360, 2))),
    ("regnetx_064", 56, ((168, 2), (392, 4), (784, 10), (1624, 1))),
    ("regnetx_080", 120, ((80, 2), (240, 5), (720, 15), (1920, 1))),
    ("regnetx_120", 112, ((224, 2), (448, 5), (896, 11), (2240, 1))),
    ("regnetx_160", 128, ((256, 2), (512, 6), (896, 13), (2048, 1))),
    ("regnetx_320", 168, ((336, 2), (672, 7), (1344, 13), (2520, 1))),
)
# Table 8 of [1], of those with squeeze-and-excitation.
Y = (
    ("regnety_002", 8, ((24, 1), (56, 1), (152, 4), (368, 7))),
    ("regnety_004", 8, ((48, 1), (104, 3), (208, 6), (440, 6))),
    ("regnety_006", 16, ((48, 1), (112, 3), (256, 7), (608, 4))),
    ("regnety_008", 16, ((64, 1), (128, 3), (320, 8), (768, 2))),
    ("regnety_016", 24, ((48, 2), (120, 6), (336, 17), (888, 2))),
    ("regnety_032", 24, ((72, 2), (216, 5), (576, 13), (1512, 1))),
    ("regnety_040", 64, ((128, 2), (192, 6), (512, 12), (1088, 2))),
    ("regnety_064", 72, ((144, 2), (288, 7), (576, 14), (1296, 2))),
    ("regnety_080", 56, ((168, 2), (448, 4), (896, 10), (2016, 1))),
    ("regnety_120", 112, ((224, 2), (448, 5), (896, 11), (2240, 1))),
    ("regnety_160", 112, ((224, 2), (448, 4), (1232, 11), (3024, 1))),
    ("regnety_320", 232, ((232, 2), (696, 5), (1392, 12), (3712, 1))),
)
_SQUEEZE = (("squeeze_ratio", 0.25), ("squeeze_input", True))
_FIRST = (("conv_shortcut", True),)

NETWORKS = tuple(
    network_of(
        residual_row(
            name,
            tuple(
                Stage(
                    *(f"block{i}", bottleneck_v1, units, 2, width, "first"),
                    Grouped(group),
                    each=(_FIRST,),
                )
                for i, (width, units) in enumerate(table, start=1)
            ),
            f"{name} of timm.",
            root=root((32, 3, 2), pool=None),
            unit_options=options,
            depth_multiple=group,
            arg_scope=torch_arg_scope,
            weights="torch",
            names=(("torch", ("torch_regnet",)),),
            preprocessing="torch",
        )
    )
    for rows, options in ((X, ()), (Y, _SQUEEZE))
    for name, group, table in rows
)
