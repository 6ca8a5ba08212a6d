"""Curves over the steps of a run as SVG that stands in a page, without matplotlib."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

Points = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT = 460, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 12, 28, 34
_COLORS = ("#2166ac", "#d6604d", "#4d9221", "#7b3294")
# As many points show all that there is room for.
_MOST = 460


def svg_of(title: str, lines: Mapping[str, Points]) -> str:
    """Draws curves on common axes.

    Args:
        title: what stands above.
        lines: by name, the steps and values of each; those that are not finite are left
            out, and a line of one point is a dot.
    """
    finite = {name: _finite(points) for name, points in lines.items()}
    lines = {name: points for name, points in finite.items() if points}
    every = [point for points in lines.values() for point in points]
    if not every:
        return ""
    across = _Scale([x for x, _ in every], _LEFT, _WIDTH - _RIGHT)
    up = _Scale([y for _, y in every], _HEIGHT - _BOTTOM, _TOP)
    parts = [_text(_LEFT, 16, title, "title")]
    for tick in up.ticks():
        y = up(tick)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(_text(_LEFT - 6, y + 4, f"{tick:.6g}", "end"))
    for tick in across.ticks():
        parts.append(_text(across(tick), _HEIGHT - 16, f"{tick:.6g}", "middle"))
    parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 3, "step", "middle"))
    place = float(_WIDTH - _RIGHT)
    for (name, points), color in zip(reversed(lines.items()), _COLORS, strict=False):
        parts.append(_curve(points, across, up, color))
        parts.append(_text(place, 16, name, "end", color))
        place -= 7 * len(name) + 14
    box = f"0 0 {_WIDTH} {_HEIGHT}"
    return f'<svg viewBox="{box}" role="img">{"".join(parts)}</svg>'


class _Scale:
    """From values to places between two edges, with round numbers at ticks."""

    def __init__(self, values: Sequence[float], start: float, end: float):
        self._low, self._high = min(values), max(values)
        if self._low == self._high:
            margin = abs(self._low) / 10 or 1.0
            self._low, self._high = self._low - margin, self._high + margin
        self._start, self._end = start, end

    def __call__(self, value: float) -> float:
        share = (value - self._low) / (self._high - self._low)
        return self._start + share * (self._end - self._start)

    def ticks(self) -> list[float]:
        rough = (self._high - self._low) / 4
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough)
        first, last = math.ceil(self._low / step), math.floor(self._high / step)
        return [number * step for number in range(first, last + 1)]


def _finite(points: Points) -> Points:
    kept = [(x, y) for x, y in points if math.isfinite(y)]
    thinned = kept[:: -(-len(kept) // _MOST) or 1]
    return [*thinned[:-1], *kept[-1:]]  # The end is where it is read.


def _curve(points: Points, across: _Scale, up: _Scale, color: str) -> str:
    places = [(across(x), up(y)) for x, y in points]
    if len(places) == 1:
        x, y = places[0]
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>'
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return f'<polyline fill="none" stroke="{color}" points="{joined}"/>'


def _text(x: float, y: float, text: str, kind: str, color: str = "#444") -> str:
    anchor = kind if kind in ("end", "middle") else "start"
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}" '
        f'fill="{color}">{html.escape(text)}</text>'
    )
