"""Layers, and tables of them as text, as wide as the terminal allows.

Where a table is too wide, its parts go in this order: the column of what is not
trained; digits of the multiply-adds; scopes, which become headings of their layers;
columns that say nothing; connections; receptive fields, strides and kinds.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

HEADINGS = (
    "layer",
    "kind",
    "output shape",
    "parameters",
    "not trained",
    "mult-adds",
    "stride",
    "field",
    "connected to",
)
_NUMBERS = (*HEADINGS[3:8], "MACs")
_CONNECTED = HEADINGS[-1]
_GAP = "  "
# A name is not divided further once it is this short, nor a connection cut further.
_NAME, _CONNECTION = 24, 12


@dataclasses.dataclass
class Layer:
    """A layer of a graph.

    Attributes:
        name: its scope.
        kind: what it does, `Conv` for example.
        shape: of its outputs, None where unknown.
        trainable: number of trainable parameters.
        non_trainable: number of other parameters.
        multiply_adds: see `count_multiply_adds`; None where a shape is not known.
        stride: pixels of the input between neighbouring outputs.
        receptive_field: pixels of the input that an output sees, along the longer side;
            infinite where it sees the whole input.
        inputs: names of the layers that feed it.
    """

    name: str
    kind: str
    shape: tuple[int | None, ...]
    trainable: int = 0
    non_trainable: int = 0
    multiply_adds: int | None = 0
    stride: int = 1
    receptive_field: float = 1
    inputs: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        return self.trainable + self.non_trainable


@dataclasses.dataclass(frozen=True)
class _Form:
    """How much of a table is shown.

    Attributes:
        stacked: whether each connection has a line of its own.
        short: whether multiply-adds are rounded.
        grouped: whether scopes are headings.
        left_out: columns.
    """

    stacked: bool = True
    short: bool = False
    grouped: bool = False
    left_out: tuple[str, ...] = ()


def cells_of(layer: Layer) -> list[str]:
    """Returns a layer's row, one text for each of `HEADINGS`."""
    return [
        layer.name,
        layer.kind,
        "x".join("?" if size is None else str(size) for size in layer.shape),
        f"{layer.parameters:,}",
        f"{layer.non_trainable:,}",
        "?" if layer.multiply_adds is None else f"{layer.multiply_adds:,}",
        str(layer.stride),
        "all" if layer.receptive_field == math.inf else str(layer.receptive_field),
        ", ".join(layer.inputs),
    ]


def short_count(count: int | None) -> str:
    """Returns a count of three digits with a unit: `25.6 M`."""
    if count is None:
        return "unknown"
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if count >= size:
            return f"{count / size:#.3g}".rstrip(".") + unit
    return str(count)


def text_table(layers: Sequence[Layer], prefix: str, width: int | None) -> str:
    """Returns the layers as a table.

    Args:
        layers: one row each.
        prefix: what names begin with and are shown without.
        width: of the terminal, in characters; None for as wide as need be.
    """
    lines = _lines(layers, prefix, _Form(stacked=False))
    if width is None or _width(lines) <= width:
        return _text(lines)
    for form in _forms(layers):
        lines = _lines(layers, prefix, form)
        if _width(lines) <= width:
            return _text(lines)
        if form.grouped and lines[0][-1] == _CONNECTED:
            room = width - _width([line[:-1] for line in lines]) - len(_GAP)
            if room >= _CONNECTION:
                return _text(_cut(lines, -1, room))
    room = width - _width([line[1:] for line in lines]) - len(_GAP)
    return _text(_cut(lines, 0, max(room, 2)))


def _forms(layers: Sequence[Layer]) -> Iterator[_Form]:
    """Yields forms, each narrower than the one before."""
    form = _Form()
    yield form
    yield (form := dataclasses.replace(form, left_out=("not trained",)))
    yield (form := dataclasses.replace(form, short=True))
    yield (form := dataclasses.replace(form, grouped=True))
    says_nothing = {
        "stride": all(layer.stride == 1 for layer in layers),
        "field": all(layer.receptive_field in (1, math.inf) for layer in layers),
    }
    for heading in (
        *(heading for heading in says_nothing if says_nothing[heading]),
        *(_CONNECTED, "field", "stride", "kind"),
    ):
        yield (form := dataclasses.replace(form, left_out=(*form.left_out, heading)))


def _lines(layers: Sequence[Layer], prefix: str, form: _Form) -> list[list[str]]:
    """The table's lines, the first of headings; a scope's heading is a line of one."""
    kept = [place for place, name in enumerate(HEADINGS) if name not in form.left_out]
    headings = [*HEADINGS[:5], "MACs" if form.short else HEADINGS[5], *HEADINGS[6:]]
    lines = [[headings[place] for place in kept]]
    names = [layer.name.removeprefix(prefix) for layer in layers]
    depth = _depth(names) if form.grouped else 0
    group = before = ""
    for layer, name in zip(layers, names, strict=True):
        if name != group:
            scope = "/".join(name.split("/")[:-1][:depth])
            if scope and scope not in (group, before):
                lines.append([scope])
            group = scope
        before = name
        cells = cells_of(layer)
        if form.short:
            cells[5] = short_count(layer.multiply_adds)
        cells[0] = (_GAP if group else "") + _inside(name, group)
        inputs = [_inside(n.removeprefix(prefix), group) for n in layer.inputs] or [""]
        stacks = inputs if form.stacked else [", ".join(inputs)]
        cells[-1] = stacks[0]
        lines.append([cells[place] for place in kept])
        if form.stacked and _CONNECTED not in form.left_out:
            for more in stacks[1:]:
                lines.append([""] * (len(kept) - 1) + [more])
    return lines


def _inside(name: str, group: str) -> str:
    """A name as it stands below its scope's heading."""
    if name == group:
        return name.rpartition("/")[2]
    return name.removeprefix(group + "/") if group else name


def _depth(names: Sequence[str]) -> int:
    """The number of scopes in headings that lets no name be longer than need be."""
    parts = [name.split("/") for name in names]
    for depth in range(1, max(map(len, parts))):
        rest = max(len("/".join(p[min(depth, len(p) - 1) :])) for p in parts)
        if rest <= _NAME:
            return depth
    return max(map(len, parts)) - 1


def _cut(lines: list[list[str]], place: int, room: int) -> list[list[str]]:
    """Shortens one column's texts at their beginnings."""
    cut = [line.copy() for line in lines]
    for line in cut:
        if len(line) > 1 and len(line[place]) > room:
            line[place] = "\N{HORIZONTAL ELLIPSIS}" + line[place][1 - room :]
    return cut


def _widths(lines: list[list[str]]) -> list[int]:
    rows = [line for line in lines if len(line) == len(lines[0])]
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def _width(lines: list[list[str]]) -> int:
    widths = _widths(lines)
    headings = max((len(line[0]) for line in lines if line), default=0)
    return max(sum(widths) + len(_GAP) * (len(widths) - 1), headings)


def _text(lines: list[list[str]]) -> str:
    widths = _widths(lines)
    texts = [
        _GAP.join(
            f"{cell:>{size}}" if heading in _NUMBERS else f"{cell:{size}}"
            for heading, cell, size in zip(lines[0], line, widths, strict=False)
        ).rstrip()
        for line in lines
    ]
    return "\n".join([texts[0], "-" * max(map(len, texts)), *texts[1:]])
