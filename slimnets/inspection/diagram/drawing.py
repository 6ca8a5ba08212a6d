"""Pictures of networks: a box for each layer, unit or block, with its shape."""

from __future__ import annotations

import functools
import os
from typing import Any

from slimnets.inspection.diagram.layout import (
    FRAME,
    HEAD,
    LINE_HEIGHT,
    MARGIN,
    PADDING,
    TITLE_HEIGHT,
    Box,
    Diagram,
    Frame,
    arrange,
)
from slimnets.inspection.diagram.texts import texts_of
from slimnets.inspection.layer_tables import short_count
from slimnets.inspection.plot import FONTS, checked_path, figure_class, save
from slimnets.inspection.summary import Summary

FORMATS = (".svg", ".png", ".pdf")
_TITLE_SIZE, _SIZE, _HEAD_SIZE = 8.0, 7.0, 11.0
# What hinting may add to a text's width at the resolution of a screen.
_HINTING = 1.06
# By the beginning of the kind.
_COLOURS = {
    "Input": "#ffffff",
    "Conv": "#cfe2f3",
    "DepthwiseConv": "#cfe2f3",
    "Dense": "#d9d2e9",
    "MatMul": "#d9d2e9",
    "BatchNorm": "#e2efda",
    "MaxPool": "#fde9c8",
    "AvgPool": "#fde9c8",
    "Global": "#fde9c8",
    "Add": "#f4cccc",
    "Multiply": "#f4cccc",
    "Concat": "#f4cccc",
    "Softmax": "#fff2cc",
    "Sigmoid": "#fff2cc",
}
_OTHER = "#dfe6ec"
_FRAMES = ("#f5f6f8", "#e9ecf0")
_INK, _GRAY = "#1f2933", "#5b6b7b"


def plot_network(
    summary: Summary, path: str | os.PathLike, *, depth: int | None = 1
) -> Diagram:
    """Draws a network.

    Args:
        summary: as `summarize` gives it.
        path: the file, .svg, .png or .pdf.
        depth: number of scopes below the network's own that are drawn: 1 for blocks,
            2 for units; None for every layer.

    Returns:
        The places of all that was drawn.

    Raises:
        ValueError: for another file ending, a depth below 1, or no layers.
        ImportError: without matplotlib.
    """
    path = checked_path(path, FORMATS)
    if not summary.layers:
        raise ValueError(f"The {summary.name} has no layers to draw.")
    new_figure = figure_class()
    diagram = arrange(texts_of(summary, depth), _measure)
    figure = new_figure(figsize=(diagram.width / 72, diagram.height / 72))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, diagram.width), ylim=(diagram.height, 0))
    axes.axis("off")
    _draw(axes, diagram)
    _write(axes, MARGIN, MARGIN + HEAD / 4, _headline(summary), _HEAD_SIZE, bold=True)
    save(figure, path)
    return diagram


def _headline(summary: Summary) -> str:
    return (
        f"{summary.name}: {short_count(summary.parameters)} parameters, "
        f"{short_count(summary.multiply_adds)} multiply-adds"
    )


@functools.lru_cache(maxsize=4096)
def _measure(text: str, bold: bool) -> float:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(
        family=FONTS[0],
        weight="bold" if bold else "normal",
        size=_TITLE_SIZE if bold else _SIZE,
    )
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return width * _HINTING


def _draw(axes: Any, diagram: Diagram) -> None:
    from matplotlib.collections import LineCollection, PatchCollection
    from matplotlib.patches import FancyBboxPatch, Polygon

    def rounded(part: Box | Frame, radius: float):
        style = f"round,pad=0,rounding_size={radius}"
        return FancyBboxPatch((part.x, part.y), part.width, part.height, style)

    def add(patches, order, **style):
        axes.add_collection(PatchCollection(patches, zorder=order, **style))

    for level, colour in enumerate(_FRAMES):
        patches = [rounded(f, 5) for f in diagram.frames if f.level == level]
        add(patches, 1 + level, facecolors=colour, edgecolors="#c3ccd5", linewidths=0.6)
    lines = [line.points for line in diagram.lines]
    axes.add_collection(LineCollection(lines, colors=_GRAY, linewidths=0.9, zorder=4))
    heads = [Polygon(_head(*n.points[-2:])) for n in diagram.lines if n.head]
    add(heads, 5, facecolors=_GRAY, edgecolors="none")
    add(
        [rounded(box, 3) for box in diagram.boxes],
        6,
        facecolors=[_colour(box.text.kind) for box in diagram.boxes],
        edgecolors="#7b8a99",
        linewidths=0.8,
    )
    for frame in diagram.frames:
        middle = frame.y + frame.height / 2
        if frame.label:
            _write(axes, frame.x + FRAME / 2, middle, frame.label, _SIZE, upright=True)
    for box in diagram.boxes:
        x, y = box.x + PADDING, box.y + PADDING + TITLE_HEIGHT / 2
        _write(axes, x, y, box.text.title, _TITLE_SIZE, bold=True)
        for index, line in enumerate(box.text.lines):
            below = y + TITLE_HEIGHT / 2 + LINE_HEIGHT * (index + 0.5)
            _write(axes, x, below, line, _SIZE)


def _write(axes, x, y, text, size, *, bold=False, upright=False) -> None:
    axes.text(
        x,
        y,
        text,
        fontsize=size,
        family="sans-serif",
        weight="bold" if bold else "normal",
        color=_INK if bold else _GRAY,
        ha="center" if upright else "left",
        va="center" if upright else "center_baseline",
        rotation=90 if upright else 0,
        parse_math=False,
        zorder=7,
    )


def _head(before: tuple[float, float], end: tuple[float, float]):
    """The corners of an arrow's head."""
    (x0, y0), (x1, y1) = before, end
    length = max(abs(x1 - x0), abs(y1 - y0))
    dx, dy = 5 * (x1 - x0) / length, 5 * (y1 - y0) / length
    base = (x1 - dx, y1 - dy)
    side = (dy / 2.2, dx / 2.2)
    return [
        (x1, y1),
        (base[0] + side[0], base[1] + side[1]),
        (base[0] - side[0], base[1] - side[1]),
    ]


def _colour(kind: str) -> str:
    return next((c for name, c in _COLOURS.items() if kind.startswith(name)), _OTHER)
