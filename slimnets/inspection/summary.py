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
from slimnets.inspection.layers import Layer, layers_of
from slimnets.inspection.tables import HEADINGS, cells_of, text_table
from slimnets.model import Model

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
        be: what matters least is left out; see `slimnets.inspection.tables`."""
        table = text_table(self.layers, self.common_scope, width)
        return "\n".join([table, *self._end()])

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
        rows = [HEADINGS, *map(cells_of, self.layers)]
        if format == "markdown":
            counts = cells_of(_together("total", self.layers, 0))[3:6]
            total = ["total", "", "", *counts, "", "", ""]
            lines = ["| " + " | ".join(row) + " |" for row in [*rows, total]]
            return "\n".join([lines[0], "|" + " --- |" * len(HEADINGS), *lines[1:]])
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
            several inputs; by default one image, or cloud of points in space, of the
            network's default size.
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
        input_shape = _default_shape(name, size)
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


def _default_shape(name: str, size: int | None) -> list[int]:
    if not size:
        raise ValueError(
            f"{name} has no default size of its inputs: give input_shape, as "
            '[1, 224, 224, 3], or of several inputs as {"clouds": [[1, 100, 3]]}.'
        )
    known = name in factory.list_networks() and factory.network_info(name).family
    # Of clouds the size is a number of points.
    return [1, size, 3] if known == "point_cloud" else [1, size, size, 3]


def placeholders(shapes: Any, name: str = "inputs") -> Any:
    """Returns a placeholder for each shape in a structure of lists and dicts.

    Raises:
        ValueError: for anything else.
    """
    if isinstance(shapes, dict):
        return {key: placeholders(value, key) for key, value in shapes.items()}
    sizes = shapes if isinstance(shapes, (list, tuple, tf.TensorShape)) else "?"
    if sizes and isinstance(sizes[0], (list, tuple)):
        return [
            placeholders(value, f"{name}_{index}")
            for index, value in enumerate(sizes, start=1)
        ]
    if not all(size is None or isinstance(size, int) for size in sizes):
        raise ValueError(
            f"{name} of the shape {shapes!r}; allowed is a list of integers, or None "
            "where unknown, or a list or dict of such lists."
        )
    return tf.compat.v1.placeholder(tf.float32, shapes, name=name)


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
