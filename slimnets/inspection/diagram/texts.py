"""What the boxes of a picture say: names, kinds, shapes and parameters."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from slimnets.inspection.diagram.scopes import scopes_of
from slimnets.inspection.layer_tables import Layer, short_count
from slimnets.inspection.summary import Summary

_TIMES = "\N{MULTIPLICATION SIGN}"
_UNIT = re.compile(r"(?:^|/)(unit_\d+)(?:/|$)")


@dataclasses.dataclass(frozen=True)
class Text:
    """What a box says.

    Attributes:
        name: its layer's.
        title, lines: what is written in it.
        kind: its layer's; chooses the colour.
        inputs: names of the boxes that feed it.
    """

    name: str
    title: str
    lines: tuple[str, ...]
    kind: str
    inputs: tuple[str, ...]


def texts_of(summary: Summary, depth: int | None) -> list[Text]:
    """Returns what the boxes of a picture of that depth say."""
    shown = summary if depth is None else summary.folded(depth)
    short = _short_names([layer.name for layer in shown.layers], summary.common_scope)
    units = _units(summary, short)
    titles = _titles(list(short.values()))
    return [
        Text(
            name,
            titles[name],
            _lines(layer, units.get(name, 0), folded=depth is not None and depth < 3),
            layer.kind,
            tuple(short[source] for source in layer.inputs if source in short),
        )
        for layer, name in zip(shown.layers, short.values(), strict=True)
    ]


def _short_names(names: Sequence[str], scope: str) -> dict[str, str]:
    """Names without the network's scope, where an input is not called the same."""
    known = set(names)
    short = {name: name.removeprefix(scope) for name in names}
    return {name: name if s in known else s for name, s in short.items()}


def _units(summary: Summary, short: dict[str, str]) -> dict[str, int]:
    """How many units each box stands for, where these are not drawn themselves."""
    found: dict[str, set[str]] = {}
    boxes = {full: name for full, name in short.items() if not _UNIT.search(full)}
    for layer in summary.layers:
        match = _UNIT.search(layer.name)
        if match and layer.name[: match.start()] in boxes:
            name = boxes[layer.name[: match.start()]]
            found.setdefault(name, set()).add(match.group(1))
    return {name: len(units) for name, units in found.items()}


def _titles(names: Sequence[str]) -> dict[str, str]:
    """Names relative to the innermost frame around them."""
    titles = {name: name for name in names}
    for scope in scopes_of(names):
        for name in scope.members:
            inner = name.removeprefix(scope.path + "/")
            titles[name] = inner if name != scope.path else name.rpartition("/")[2]
    return titles


def _lines(layer: Layer, units: int, folded: bool) -> tuple[str, ...]:
    kind = f"{units} unit{'s' * (units > 1)}" if units else layer.kind
    # Without the batch.
    sizes = ["?" if size is None else str(size) for size in layer.shape[1:]]
    first = f"{kind}  {_TIMES.join(sizes)}".rstrip()
    if not folded:
        return (first,)
    if not layer.parameters:
        return (first, "")
    return first, f"{short_count(layer.parameters)} parameters"
