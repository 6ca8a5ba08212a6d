"""What a trained network has learned, and what it computes from one image."""

from __future__ import annotations

import os
import re

import numpy as np

from slimnets.data.image_files import ImageFile
from slimnets.end_points import EndPoints
from slimnets.trained import Trained

_UNIT = re.compile(r".*?\bunit_\d+(?=/)")


def unit_of(name: str) -> str:
    """Returns the scope of the unit that a name lies in; empty outside of units."""
    match = _UNIT.match(name)
    return match[0] if match else ""


def weights_of(trained: Trained) -> dict[str, np.ndarray]:
    """Returns the kernels of convolutions and dense layers by name, in order."""
    variables = trained.network.variables_by_name
    return {
        name: variable.numpy()
        for name, variable in variables.items()
        if len(variable.shape) > 1
    }


def activations(trained: Trained, image: np.ndarray) -> EndPoints:
    """Returns every end point as an array, for one image.

    Args:
        trained: the network.
        image: as of `read_image`.
    """
    found = trained.network.end_points(trained.prepare(image))
    return found.with_values({key: found[key].numpy() for key in found})


def read_image(
    path: str | os.PathLike, channels: int = 3, exif_orientation: bool = True
) -> np.ndarray:
    """Returns an image, uint8 `[height, width, channels]`. Raises ValueError."""
    return ImageFile(os.fspath(path), os.fspath(path)).read(channels, exif_orientation)
