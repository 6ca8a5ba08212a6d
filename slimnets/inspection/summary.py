"""Summaries: a network's layers as a table with totals."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from slimnets import factory
from slimnets.inspection.layers import WHOLE, Layer, layers_of
from slimnets.model import Model

FORMATS = ("text", "markdown", "csv", "json")
_HEADINGS = (
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
_NUMBERS = _HEADINGS[3:8]


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
        counts = [layer.multiply_adds for layer in self.layers]
        return None if None in counts else sum(counts)

    @property
    def common_scope(self) -> str:
        """The first scope of all layers but the inputs, with its slash; or nothing."""
        return _common_scope([layer.name for layer in self.layers])

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
        be: columns on the right are left out before names are cut short."""
        rows = [list(_HEADINGS), *map(_cells, self.layers)]
        prefix = self.common_scope
        for row in rows[1:]:
            row[0] = row[0].removeprefix(prefix)
            row[-1] = ", ".join(n.removeprefix(prefix) for n in row[-1].split(", "))
        rows = _fitted(rows, width)
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                f"{cell:>{size}}" if heading in _NUMBERS else f"{cell:{size}}"
                for heading, cell, size in zip(rows[0], row, widths, strict=True)
            ).rstrip()
            for row in rows
        ]
        return "\n".join(
            [lines[0], "-" * max(map(len, lines)), *lines[1:], *self._end()]
        )

    def _end(self) -> list[str]:
        counts = self.multiply_adds
        flops = "unknown" if counts is None else f"{counts:,}"
        return [
            "",
            f"parameters {self.parameters:,}, trainable {self.trainable:,}, "
            f"not {self.parameters - self.trainable:,}",
            f"multiply-adds {flops}",
        ]

    def __str__(self) -> str:
        return self.text()

    def formatted(self, format: str = "text", width: int | None = None) -> str:
        """Returns the summary as `text`, `markdown`, `csv` or `json`."""
        if format not in FORMATS:
            raise ValueError(f"format={format!r}; allowed are {', '.join(FORMATS)}.")
        if format == "text":
            return self.text(width)
        rows = [_HEADINGS, *map(_cells, self.layers)]
        if format == "markdown":
            lines = ["| " + " | ".join(row) + " |" for row in rows]
            return "\n".join([lines[0], "|" + " --- |" * len(_HEADINGS), *lines[1:]])
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


def summarize(
    network: str | Callable | tf.Graph | Model,
    *,
    num_classes: int | None = 1000,
    input_shape: Any = None,
    **kwargs: Any,
) -> Summary:
    """Returns the summary of a network, a graph or a Model.

    Args:
        network: a registered name; a network function; a graph; or a Model.
        num_classes: of a name or a function; 1000 by default.
        input_shape: `[batch, height, width, channels]`, or a structure of shapes for
            several inputs; one image of the network's default size by default.
        **kwargs: further arguments of the network's function.

    Raises:
        ValueError: for an unknown name, or inputs whose shape must be given.
    """
    if isinstance(network, tf.Graph):
        return Summary("graph", tuple(layers_of(network)))
    name, graph = graph_of(network, num_classes, input_shape, **kwargs)
    return Summary(name, tuple(layers_of(graph)))


def graph_of(
    network: str | Callable | Model,
    num_classes: int | None = 1000,
    input_shape: Any = None,
    *,
    with_training: bool = False,
    **kwargs: Any,
) -> tuple[str, tf.Graph]:
    """Returns a network's name and a new graph of it; the rest is as of `summarize`.

    Args:
        with_training: whether a placeholder `is_training` chooses between training and
            inference; without, the graph is for inference.
    """
    if isinstance(network, Model):
        name, size = network.network_name, network.default_image_size
    elif isinstance(network, str):
        name, size = network, factory.network_info(network).default_image_size
    else:
        name = getattr(network, "__name__", "network")
        size = getattr(network, "default_image_size", None)
    if input_shape is None:
        if not size:
            raise ValueError(f"{name} has no default image size: give input_shape.")
        input_shape = [1, size, size, 3]
    with tf.Graph().as_default() as graph:
        inputs = placeholders(input_shape)
        training = False
        if with_training:
            training = tf.compat.v1.placeholder(tf.bool, [], name="is_training")
        if isinstance(network, Model):
            network.build_in_graph(inputs, training, **kwargs)
        elif isinstance(network, str):
            function = factory.get_network_fn(network, num_classes, 0.0, training)
            function(inputs, **kwargs)
        else:
            network(inputs, num_classes=num_classes, is_training=training, **kwargs)
    return name, graph


def placeholders(shapes: Any, name: str = "inputs") -> Any:
    """Returns a placeholder for each shape in a structure of lists and dicts."""
    if isinstance(shapes, dict):
        return {key: placeholders(value, key) for key, value in shapes.items()}
    if shapes and isinstance(shapes[0], (list, tuple)):
        return [
            placeholders(value, f"{name}_{index}")
            for index, value in enumerate(shapes, start=1)
        ]
    return tf.compat.v1.placeholder(tf.float32, shapes, name=name)


def _cells(layer: Layer) -> list[str]:
    field = "all" if layer.receptive_field == WHOLE else str(int(layer.receptive_field))
    return [
        layer.name,
        layer.kind,
        "x".join("?" if size is None else str(size) for size in layer.shape),
        f"{layer.parameters:,}",
        f"{layer.non_trainable:,}",
        "?" if layer.multiply_adds is None else f"{layer.multiply_adds:,}",
        str(layer.stride),
        field,
        ", ".join(layer.inputs),
    ]


def _as_json(layer: Layer) -> dict:
    values = dataclasses.asdict(layer)
    if layer.receptive_field == math.inf:
        values["receptive_field"] = None
    return values


def _cut(name: str, depth: int) -> str:
    return "/".join(name.split(":")[0].split("/")[: depth + 1])


def _together(name: str, group: Sequence[Layer], depth: int) -> Layer:
    last = group[-1]
    inside = {layer.name for layer in group}
    outside = [n for layer in group for n in layer.inputs if n not in inside]
    counts = [layer.multiply_adds for layer in group]
    return Layer(
        name,
        last.kind if len(group) == 1 else f"{len(group)} layers",
        last.shape,
        sum(layer.trainable for layer in group),
        sum(layer.non_trainable for layer in group),
        None if None in counts else sum(counts),
        last.stride,
        last.receptive_field,
        tuple(dict.fromkeys(_cut(n, depth) for n in outside)),
    )


def _common_scope(names: Sequence[str]) -> str:
    """The first scope of all names but those of inputs, with its slash."""
    scopes = {name.partition("/")[0] for name in names if "/" in name}
    return scopes.pop() + "/" if len(scopes) == 1 else ""


def _fitted(rows: list[list[str]], width: int | None) -> list[list[str]]:
    """Leaves out columns, and cuts names, until the rows fit."""

    def total(rows):
        columns = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return sum(columns) + 2 * (len(columns) - 1)

    if width is None or total(rows) <= width:
        return rows
    # What matters least to most: connections, what is not trained, field, stride.
    for heading in ("connected to", "not trained", "field", "stride", "kind"):
        index = rows[0].index(heading)
        rows = [row[:index] + row[index + 1 :] for row in rows]
        if total(rows) <= width:
            return rows
    rest = width - total([row[1:] for row in rows]) - 2
    return [
        [c if len(c) <= rest else "…" + c[1 - rest :], *row]
        for c, *row in (list(row) for row in rows)
    ]
