"""Pictures of training's measures; matplotlib, an extra, may be missing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from slimnets import extras


def draw(
    path: str, size: tuple[float, float], fill: Callable[[Any], None]
) -> list[str]:
    """Writes a picture; without matplotlib one line says how to have it.

    What it shows took long to compute, and is in tables beside it.

    Args:
        path: the file.
        size: its width and height in inches.
        fill: a function of the axes, which draws on them.

    Returns:
        The path in a list; an empty one without matplotlib.
    """
    try:
        pictures = extras.require("it needs", "plot", "matplotlib.figure")
    except ImportError as error:
        print(f"slimnets: left out {path}: {error}", file=sys.stderr)
        return []
    figure = pictures.Figure(figsize=size, layout="constrained")
    fill(figure.add_subplot())
    figure.savefig(path, dpi=100)
    return [path]
