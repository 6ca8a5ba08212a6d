"""What two things that `diff` compares have in common: layers, variables, values."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets import factory
from slimnets.checkpoints import WeightsReader
from slimnets.checkpoints.matching import Chosen, Renaming
from slimnets.inspection.graphs import graph_of
from slimnets.inspection.layer_tables import Layer
from slimnets.inspection.layers import KINDS, layers_of
from slimnets.inspection.nodes import (
    VARIABLES,
    Nodes,
    constant_shape,
    constant_value,
    read_nodes,
)
from slimnets.listing import common_scope, nearest
from slimnets.model import Model
from slimnets.trained import open_weights

# For operations that are not known here, and for what is no graph at all.
_NOT_IMPORTED = (ValueError, TypeError, KeyError, tf.errors.OpError)
_GRAPH_FILES = (".pb", ".pbtxt", ".txt")


@dataclasses.dataclass(frozen=True)
class Subject:
    """A network, graph or checkpoint as `diff` sees it.

    Attributes:
        name: how it was asked for.
        layers: by name; None where there are none to see, as in a checkpoint.
        variables: shapes by name; None where these are not known.
        value: a function from a variable's name to its value; None without values.
        reader: the file of weights, if it is one.
        network: the network and its options, as far as these are known.
    """

    name: str
    layers: dict[str, Layer] | None = None
    variables: dict[str, tuple[int | None, ...]] | None = None
    value: Callable[[str], np.ndarray] | None = None
    reader: WeightsReader | None = None
    network: tuple[Any, Mapping[str, Any]] | None = None

    def without_scope(self) -> Subject:
        """Returns it with all names relative to their one common first scope."""
        names = {*(self.layers or ()), *(self.variables or ())}
        scope = common_scope(names)

        def short(name: str) -> str:
            # An input may be called as a layer is inside of the scope.
            rest = name.removeprefix(scope)
            return name if rest in names else rest

        value = self.value
        longer = {short(name): name for name in self.variables or ()}
        return Subject(
            self.name,
            self.layers
            and {
                short(name): dataclasses.replace(
                    layer, name=short(name), inputs=tuple(map(short, layer.inputs))
                )
                for name, layer in self.layers.items()
            },
            self.variables
            and {short(name): shape for name, shape in self.variables.items()},
            value and (lambda name: value(longer[name])),
        )


@dataclasses.dataclass
class Opening:
    """How files of weights are opened; see `diff`."""

    averages: bool | None = None
    rename: tuple[tuple[str, str], ...] = ()
    exclude: tuple[str, ...] = ()
    tell: Callable[[str], None] = lambda line: None

    def __post_init__(self) -> None:
        self._chosen = Chosen(self.exclude, None)
        self._renaming = Renaming(self.rename)
        self._seen: list[str] = []

    @property
    def changes_names(self) -> bool:
        """Whether `names` does anything."""
        return bool(self.rename or self.exclude)

    def names(self, weights: WeightsReader) -> dict[str, str]:
        """Maps names as they are compared to a file's own.

        Raises:
            ValueError: if two tensors would have one name.
        """
        known = [name for name in weights if name not in weights.bookkeeping]
        self._seen += known
        kept = [name for name in known if name in self._chosen]
        return self._renaming.names(weights, kept)

    def check_used(self) -> None:
        """Raises ValueError for a pattern that no name on either side matched."""
        self._chosen.check_used(self._seen)
        self._renaming.check_used("either of the two")


def subject_of(
    source: Any, *, num_classes: int | None = 1000, opening: Opening | None = None
) -> Subject:
    """Returns what `diff` compares.

    Args:
        source: a registered name, a network function, a Model, a tf.Graph, a GraphDef,
            a checkpoint's reader, or the path of a graph (as of `lint_graph`) or of
            weights (as of `open_weights`). A train_dir is its checkpoint.
        num_classes: of a name or a function.
        opening: how files of weights are opened.

    Raises:
        FileNotFoundError, ValueError: if there is no such thing.
    """
    opening = opening or Opening()
    if isinstance(source, WeightsReader):
        return _of_weights(source, source.prefix, opening)
    if isinstance(source, tf.Graph):
        return _of_graph(source, "graph")
    if isinstance(source, tf.compat.v1.GraphDef):
        return _of_nodes(read_nodes(source), "graph")
    if isinstance(source, str) and source in factory.list_networks():
        subject = _of_graph(graph_of(source, num_classes)[1], source)
        return dataclasses.replace(subject, network=(source, {}))
    if isinstance(source, Model):
        return _of_model(source, graph_of(source)[1])
    if callable(source):
        name, graph = graph_of(source, num_classes)
        return _of_graph(graph, name)
    return _of_path(os.fspath(source), opening)


def _of_path(path: str, opening: Opening) -> Subject:
    file = pathlib.Path(path)
    is_log = "tfevents" in file.name
    if file.is_dir() and not (file / "checkpoint").exists():
        if (file / "saved_model.pb").exists():
            graph = _of_nodes(read_nodes(file), path)
            weights = _of_weights(path, path, opening)
            return dataclasses.replace(weights, layers=graph.layers)
        is_log = any(file.glob("**/*tfevents*"))
    if is_log or (file.is_file() and file.suffix in _GRAPH_FILES):
        return _of_nodes(read_nodes(file), path)
    try:
        return _of_weights(path, path, opening)
    except FileNotFoundError as error:
        near = nearest(path, factory.list_networks())
        if os.sep in path or not near:
            raise
        raise ValueError(
            f"{path} is no network, and no file. Nearest: {near}."
        ) from error


def _of_weights(path: str | WeightsReader, name: str, opening: Opening) -> Subject:
    """What only training needs is left out, as far as the file tells."""
    weights = open_weights(path, opening.averages)
    opening.tell(weights.source)
    names = opening.names(weights)
    shapes = {name: weights.shapes[tensor] for name, tensor in names.items()}
    known = weights.metadata.get("model_name")
    # Of a head, the name and its options are not of one function.
    is_head = "task" in weights.metadata
    network = (known, weights.metadata.get("network_options", {}))
    network = network if known and not is_head else None
    reader = _Named(weights, names) if opening.changes_names else weights
    return Subject(name, None, shapes, reader.__getitem__, reader, network)


class _Named(WeightsReader):
    """Weights under the names that they are compared by."""

    def __init__(self, weights: WeightsReader, names: Mapping[str, str]):
        self._weights, self._names = weights, names
        self.kind, self.object_based = weights.kind, weights.object_based
        super().__init__(
            weights.prefix, {name: weights.shapes[names[name]] for name in names}
        )

    def read(self, name: str) -> np.ndarray:
        return self._weights[self._names[name]]


def _of_model(model: Model, graph: tf.Graph) -> Subject:
    subject = dataclasses.replace(
        _of_graph(graph, model.network_name),
        network=(model.network_function, model.network_options),
    )
    values = model.variables_by_name
    if not values:
        return subject
    return dataclasses.replace(subject, value=lambda name: values[name].numpy())


def _of_graph(graph: tf.Graph, name: str) -> Subject:
    layers = {layer.name: layer for layer in layers_of(graph)}
    shapes = {
        op.name: _variable_shape(op.node_def)
        for op in graph.get_operations()
        if op.type in VARIABLES
    }
    if shapes:
        return Subject(name, layers, shapes)
    constants = _constants(op.node_def for op in graph.get_operations())
    found = {key: constant_shape(tensor) for key, tensor in constants.items()}
    return Subject(
        name, layers, found or None, lambda key: constant_value(key, constants[key])
    )


def _of_nodes(graphs: list[Nodes], name: str) -> Subject:
    """A graph from a file: with shapes where TensorFlow can infer them."""
    graph_def = tf.compat.v1.GraphDef(node=graphs[0].node_defs)
    if len(graphs) == 1:
        with tf.Graph().as_default() as graph, contextlib.suppress(*_NOT_IMPORTED):
            tf.graph_util.import_graph_def(graph_def, name="")
            return _of_graph(graph, name)
    layers = {
        node.scope or node.name: Layer(node.scope or node.name, KINDS[node.op], ())
        for nodes in graphs
        for node in nodes
        if node.op in KINDS
    }
    return Subject(name, layers)


def _variable_shape(node_def: Any) -> tuple[int | None, ...]:
    dims = node_def.attr["shape"].shape.dim
    return tuple(None if dim.size < 0 else dim.size for dim in dims)


def _constants(node_defs: Iterable[Any]) -> dict[str, Any]:
    """A frozen graph's weights: its constants of rank 1 and more, of floats."""
    return {
        node.name: node.attr["value"].tensor
        for node in node_defs
        if node.op == "Const"
        and tf.as_dtype(node.attr["dtype"].type).is_floating
        and constant_shape(node.attr["value"].tensor)
    }
