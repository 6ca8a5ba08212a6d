"""What pictures share: matplotlib, the names of files, how these are written."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence
from typing import Any

from slimnets import extras

_DPI = 120
# matplotlib brings the first; who views an SVG without it has one as wide.
FONTS = ["DejaVu Sans", "Verdana", "Geneva"]


def checked_path(
    path: str | os.PathLike, endings: Sequence[str] = (".png",)
) -> pathlib.Path:
    """Returns the path of a picture. Raises ValueError for another ending."""
    path = pathlib.Path(path)
    if path.suffix.lower() not in endings:
        raise ValueError(
            f"The picture {path} is of no known kind; its name may end in "
            f"{', '.join(endings)}."
        )
    return path


def save(figure: Any, path: pathlib.Path) -> None:
    """Writes a figure; the same figure gives the same file."""
    import matplotlib

    path.parent.mkdir(parents=True, exist_ok=True)
    # Text stays text in an SVG, which is small then, and can be searched.
    settings = {"svg.fonttype": "none", "svg.hashsalt": "slimnets", "pdf.fonttype": 42}
    settings["font.sans-serif"] = FONTS
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with matplotlib.rc_context(settings):
        figure.savefig(path, dpi=_DPI, metadata=metadata.get(path.suffix.lower()))


def figure_class() -> Any:
    """Returns matplotlib's Figure. Raises ImportError without matplotlib."""
    return extras.require("Pictures need", "plot", "matplotlib.figure").Figure
