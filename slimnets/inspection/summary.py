"""Summaries: a network's layers as a table with totals.

Nothing here imports TensorFlow, so that a network that is known is shown at once.
"""

from __future__ import annotations

import csv
import dataclasses
import importlib.resources
import io
import json
import lzma
import math
from collections.abc import Sequence
from typing import Any

from slimnets.inspection.layer_tables import (
    HEADINGS,
    Layer,
    cells_of,
    short_count,
    text_table,
)
from slimnets.listing import common_scope, html_table, table

FORMATS = ("text", "markdown", "csv", "json")


@dataclasses.dataclass(frozen=True)
class Summary:
    """A network's layers and totals; its text is a table.

    Attributes:
        name: the network's.
        layers: in order.
    """

    name: str
    layers: tuple[Layer, ...]

    @property
    def trainable(self) -> int:
        return sum(layer.trainable for layer in self.layers)

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)

    @property
    def multiply_adds(self) -> int | None:
        return _total(self.layers)

    @property
    def common_scope(self) -> str:
        """The first scope of all layers but the inputs, with its slash; or nothing."""
        return common_scope(layer.name for layer in self.layers)

    def folded(self, depth: int) -> Summary:
        """Returns the summary with everything below `depth` scopes added up.

        Args:
            depth: number of scopes below the network's own that stay apart.

        Raises:
            ValueError: if it is below 1.
        """
        if depth < 1:
            raise ValueError(f"depth={depth}; allowed is an integer >= 1.")
        groups: dict[str, list[Layer]] = {}
        for layer in self.layers:
            groups.setdefault(_cut(layer.name, depth), []).append(layer)
        return Summary(
            self.name,
            tuple(_together(name, group, depth) for name, group in groups.items()),
        )

    def text(self, width: int | None = None) -> str:
        """Returns a table for a terminal `width` characters wide, or as wide as need
        be: what matters least is left out; see `slimnets.inspection.layer_tables`."""
        counts = self.multiply_adds
        return (
            f"{text_table(self.layers, self.common_scope, width)}\n\n"
            f"parameters {self.parameters:,}, trainable {self.trainable:,}, "
            f"not {self.parameters - self.trainable:,}\n"
            f"multiply-adds {'unknown' if counts is None else f'{counts:,}'}"
        )

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return (
            f"<Summary of {self.name}: {len(self.layers)} rows, "
            f"{short_count(self.parameters)} parameters, "
            f"{short_count(self.multiply_adds)} multiply-adds>"
        )

    def _repr_html_(self) -> str:
        return html_table(repr(self), HEADINGS, map(cells_of, self.layers))

    def formatted(self, format: str = "text", width: int | None = None) -> str:
        """Returns the summary as `text`, `markdown`, `csv` or `json`."""
        if format not in FORMATS:
            raise ValueError(f"format={format!r}; allowed are {', '.join(FORMATS)}.")
        if format == "text":
            return self.text(width)
        rows = [HEADINGS, *map(cells_of, self.layers)]
        if format == "markdown":
            counts = cells_of(_together("total", self.layers, 0))[3:6]
            total = ["total", "", "", *counts, "", "", ""]
            return table([*rows, total], format="markdown")
        if format == "csv":
            file = io.StringIO()
            csv.writer(file).writerows(rows)
            return file.getvalue().rstrip()
        return json.dumps(
            {
                "name": self.name,
                "parameters": self.parameters,
                "trainable": self.trainable,
                "multiply_adds": self.multiply_adds,
                "layers": [_as_json(layer) for layer in self.layers],
            },
            indent=2,
        )


def committed(name: str) -> Summary | None:
    """What `summarize(name)` gives, without TensorFlow; None if it is not known.

    `layers.xz` has the layers of slimnets' own networks of one input, a line each; the
    tests hold them and the networks together.
    """
    file = importlib.resources.files(__package__) / "layers.xz"
    beginning = f'["{name}", '.encode()
    with file.open("rb") as packed, lzma.open(packed) as lines:
        for line in lines:
            if line.startswith(beginning):
                return Summary(name, tuple(map(_layer_of, json.loads(line)[1:])))
    return None


def as_line(summary: Summary) -> str:
    """A line of what `committed` reads."""
    rows = map(dataclasses.astuple, summary.layers)
    return json.dumps([summary.name, *rows]) + "\n"


def _layer_of(row: Sequence[Any]) -> Layer:
    values: list[Any] = [tuple(v) if isinstance(v, list) else v for v in row]
    return Layer(*values)


def _as_json(layer: Layer) -> dict:
    values = dataclasses.asdict(layer)
    if layer.receptive_field == math.inf:
        values["receptive_field"] = None
    return values


def _cut(name: str, depth: int) -> str:
    return "/".join(name.split(":")[0].split("/")[: depth + 1])


def _total(layers: Sequence[Layer]) -> int | None:
    """Their multiply-adds; None where those of one are not known."""
    known = [row.multiply_adds for row in layers if row.multiply_adds is not None]
    return sum(known) if len(known) == len(layers) else None


def _together(name: str, group: Sequence[Layer], depth: int) -> Layer:
    last = group[-1]
    inside = {layer.name for layer in group}
    outside = [n for layer in group for n in layer.inputs if n not in inside]
    return Layer(
        name,
        last.kind if len(group) == 1 else f"{len(group)} layers",
        last.shape,
        sum(layer.trainable for layer in group),
        sum(layer.non_trainable for layer in group),
        _total(group),
        last.stride,
        last.receptive_field,
        tuple(dict.fromkeys(_cut(n, depth) for n in outside)),
    )
