"""How a network in float32 is rounded to int8."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Rounding:
    """What int8 takes from images, and what it leaves alone.

    Attributes:
        calibration: inputs by name, a few images at a time, in batches of one size;
            none for a network that was trained for int8.
        method: how ranges come from them, one of CALIBRATION_METHODS.
        float_layers: scopes of layers that stay in float.
    """

    calibration: Sequence[Mapping[str, np.ndarray]] = ()
    method: str = "minmax"
    float_layers: Sequence[str] = ()

    def keeps(self, node: str) -> bool:
        """Whether a node of that name is of a layer that stays in float."""
        return any(node.startswith(f"{scope}/") for scope in self.float_layers)
