"""A diagnosis as a picture: scale, dead units, norms and gradients by layer."""

from __future__ import annotations

import os
from typing import Any

from slimnets.inspection.diagnosis import Diagnosis
from slimnets.inspection.plot import checked_path, figure_class, save

_SMALL = 1e-12


def plot_diagnosis(found: Diagnosis, path: str | os.PathLike) -> None:
    """Draws what was measured, one panel each, layers from left to right.

    Args:
        found: as `diagnose` gives it.
        path: a .png file.

    Raises:
        ValueError: for another file ending.
        ImportError: without matplotlib.
    """
    path = checked_path(path)
    activations, norms = found.activations, found.norms
    # Title, values, and the ends of the axis that are shown whatever the values.
    panels = [
        ("deviation of activations", [row.deviation for row in activations], (0.1, 10)),
        ("share of dead channels", [row.dead for row in activations], None),
        ("batch norms: deviations between means", [n.shift for n in norms], None),
        ("batch norms: factor of variances", [n.factor for n in norms], (1, 10)),
        ("gradient beside its weights", list(found.steps.values()), (1e-3, 1)),
    ]
    panels = [panel for panel in panels if panel[1]]
    figure = figure_class()(
        figsize=(8.0, 1.5 * len(panels) + 0.8), layout="constrained"
    )
    title = f"{found.network}, layers in order"
    figure.suptitle(title, fontsize=10, parse_math=False)
    places = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    for axes, panel in zip(places, panels, strict=True):
        _bars(axes, *panel)
    save(figure, path)


def _bars(
    axes: Any, title: str, values: list[float], ends: tuple[float, float] | None
) -> None:
    """Bars, on a logarithmic scale where `ends` are given."""
    values = [max(value, _SMALL) for value in values]
    axes.bar(range(len(values)), values, color="#4a7fb5")
    axes.set_title(title, fontsize=8, loc="left")
    if ends:
        axes.set_yscale("log")
        axes.set_ylim(min(ends[0], *values), max(ends[1], *values))
    else:
        axes.set_ylim(0, max(1.0, *values))
    axes.tick_params(which="both", labelsize=7)
    axes.set_xticks([])
    axes.set_xlim(-0.6, len(values) - 0.4)
