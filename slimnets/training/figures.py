"""Pictures of training's measures; matplotlib, an extra, may be missing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


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
        from matplotlib.figure import Figure
    except ImportError:
        print(
            f"slimnets: left out {path}, which needs matplotlib: "
            "pip install 'slimnets[plot]'",
            file=sys.stderr,
        )
        return []
    figure = Figure(figsize=size, layout="constrained")
    fill(figure.add_subplot())
    figure.savefig(path, dpi=100)
    return [path]
