"""Graphs as plain nodes: one form for what tf.Graph, files and functions hold."""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
import math
import os
import pathlib
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import text_format

VARIABLES = ("VarHandleOp", "VariableV2", "Variable")
READS = ("ReadVariableOp", "Identity")
ASSIGNS = ("AssignVariableOp", "AssignSubVariableOp", "AssignAddVariableOp")
ASSIGNS += ("Assign", "AssignSub", "AssignAdd")
# How often one value may stand in for many.
_MOST_REPEATED = 2**26
_BRANCH = re.compile(r"(^|/)cond(_\d+)?(/.*)?$")
BRANCHES = ("If", "StatelessIf", "Case", "StatelessCase")
# What tf.cond of TensorFlow 1 makes first in the scope of its branches.
_PREDICATE = "/pred_id"


@dataclasses.dataclass(frozen=True)
class Node:
    """An operation.

    Attributes:
        name: with its scopes.
        op: its type.
        inputs: names of the nodes whose outputs it reads.
        controls: names of the nodes that must run before it.
        attributes: as in a NodeDef.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    controls: tuple[str, ...]
    attributes: Any

    @property
    def is_variable(self) -> bool:
        return self.op in VARIABLES

    @property
    def is_gradient(self) -> bool:
        return is_gradient(self.name)

    @property
    def scope(self) -> str:
        return self.name.rpartition("/")[0]


def without_branch(scope: str) -> str:
    """The scope of a layer, of a scope that tf.cond may have made for its branches."""
    return _BRANCH.sub("", scope)


def is_gradient(name: str) -> bool:
    """Whether an operation computes gradients, by the name that tf.gradients gives."""
    return "_grad/" in name or name.startswith("gradients")


class Nodes:
    """The nodes of one graph or function, and who reads whom.

    Attributes:
        node_defs: what they were made of.
        inference: whether the graph is known to be for inference.
        functions: the node_defs of the graph's functions by name.
    """

    def __init__(
        self,
        node_defs: Iterable[Any],
        inference: bool = False,
        functions: Mapping[str, Sequence[Any]] | None = None,
    ):
        self.node_defs = list(node_defs)
        self.by_name = {d.name: _node(d) for d in self.node_defs}
        self.inference = inference
        self.functions = functions or {}

    def __iter__(self) -> Iterator[Node]:
        return iter(self.by_name.values())

    def op_of(self, name: str) -> str:
        """The type of a node; nothing for a function's argument."""
        return self.by_name[name].op if name in self.by_name else ""

    def home(self, node: Node) -> str:
        """The scope of the layer that a node is of, whatever branch it is in."""
        scope = without_branch(node.scope)
        for branch in self._branch_scopes:
            if f"{scope}/".startswith(f"{branch}/"):
                return branch.rpartition("/")[0]
        return scope

    @functools.cached_property
    def _branch_scopes(self) -> list[str]:
        """The scopes of conditions of TensorFlow 1, outer ones first."""
        ends = [name for name in self.by_name if name.endswith(_PREDICATE)]
        return sorted(name.removesuffix(_PREDICATE) for name in ends)

    def branches(self, node: Node) -> Iterator[Nodes]:
        """The branches of an If or Case that may run, as nodes without its scope.

        Of a predicate that is a constant, or that is one by default, one may.
        """
        if node.op not in BRANCHES:
            return
        attributes = node.attributes
        names = [
            attributes[key].func.name
            for key in ("else_branch", "then_branch")
            if key in attributes
        ]
        if "branches" in attributes:
            names = [function.name for function in attributes["branches"].list.func]
        chosen = self._constant(node.inputs[0]) if node.inputs else None
        for index, name in enumerate(names):
            if chosen in (None, index) and name in self.functions:
                # None runs itself.
                others = {n: f for n, f in self.functions.items() if n != name}
                yield Nodes(self.functions[name], self.inference, others)

    def _constant(self, name: str) -> int | None:
        """The value of a scalar that is constant if nobody feeds another."""
        seen = set()
        while name in self.by_name and name not in seen:
            seen.add(name)
            node = self.by_name[name]
            if node.op == "Const":
                value = constant_value(name, node.attributes["value"].tensor)
                whole = value.dtype.kind in "biu" and value.size == 1
                return int(value.reshape(-1)[0]) if whole else None
            if node.op not in ("Identity", "PlaceholderWithDefault") or not node.inputs:
                return None
            name = node.inputs[0]
        return None

    @functools.cached_property
    def of_inputs(self) -> set[str]:
        """Names of the nodes that depend on placeholders or on arguments."""
        arguments = self.readers.keys() - self.by_name.keys()
        placeholders = {n.name for n in self if n.op.startswith("Placeholder")}
        # In functions, variables are arguments too.
        return self.reached(
            arguments | placeholders, lambda node: node.op != "ReadVariableOp"
        )

    def reached(
        self, names: Iterable[str], passes: Callable[[Node], bool] = lambda node: True
    ) -> set[str]:
        """Names of the nodes that read these, directly or by way of one another, as far
        as they pass."""
        waiting, found = list(names), set()
        while waiting:
            for reader in self.readers[waiting.pop()]:
                if reader.name not in found and passes(reader):
                    found.add(reader.name)
                    waiting.append(reader.name)
        return found

    @functools.cached_property
    def readers(self) -> dict[str, list[Node]]:
        """For each name the nodes that read its outputs."""
        return self._inverse("inputs")

    @functools.cached_property
    def successors(self) -> dict[str, list[Node]]:
        """For each name the nodes that read it or wait for it."""
        found = self._inverse("inputs")
        for name, nodes in self._inverse("controls").items():
            found[name] += nodes
        return found

    def _inverse(self, attribute: str) -> dict[str, list[Node]]:
        found = collections.defaultdict(list)
        for node in self:
            for name in getattr(node, attribute):
                found[name].append(node)
        return found


def constant_shape(tensor: Any) -> tuple[int, ...]:
    """The shape of the values in a TensorProto."""
    return tuple(dim.size for dim in tensor.tensor_shape.dim)


def constant_value(name: str, tensor: Any) -> np.ndarray:
    """The values in a TensorProto, whose last one stands for those that it lacks.

    Raises:
        ValueError: if it is damaged, or made to fill the memory.
    """
    shape = constant_shape(tensor)
    most = max(_MOST_REPEATED, tensor.ByteSize())
    if min(shape, default=0) < 0 or math.prod(shape) > most:
        raise ValueError(f"The constant {name} is damaged: its shape is {shape}.")
    try:
        return tf.make_ndarray(tensor)
    except (TypeError, ValueError) as error:
        raise ValueError(f"The constant {name} is damaged: {error}") from None


def is_initial(node: Node, nodes: Nodes) -> bool:
    """Whether an assignment is a variable's initialization or restoring."""
    if not node.inputs or node.name == node.inputs[0] + "/Assign":
        return True
    sources = (nodes.by_name.get(name) for name in node.inputs[1:])
    return any(s is not None and s.op in ("RestoreV2", "Identity") for s in sources)


def _node(node_def: Any) -> Node:
    inputs = [name for name in node_def.input if not name.startswith("^")]
    controls = [name[1:] for name in node_def.input if name.startswith("^")]
    # In a graph an input is NODE:INDEX, in a function NODE:OUTPUT:INDEX.
    return Node(
        node_def.name,
        node_def.op,
        tuple(name.partition(":")[0] for name in inputs),
        tuple(controls),
        node_def.attr,
    )


def read_nodes(source: Any) -> list[Nodes]:
    """Returns the graphs of a tf.Graph, a GraphDef, or a file.

    Args:
        source: a tf.Graph; a GraphDef; or the path of a GraphDef (.pb or .pbtxt), a
            SavedModel's folder, or a TensorBoard log or its folder.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is none of these.
    """
    if isinstance(source, tf.Graph):
        return [_of_graph(source.as_graph_def())]
    if isinstance(source, tf.compat.v1.GraphDef):
        return [_of_graph(source)]
    path = pathlib.Path(os.fspath(source))
    if not path.exists():
        raise FileNotFoundError(f"There is no {path}.")
    if path.is_dir():
        if (path / "saved_model.pb").exists():
            return _saved_model(path)
        logs = sorted(path.glob("**/*tfevents*"))
        if not logs:
            raise ValueError(
                f"{path} is neither a SavedModel nor a folder of TensorBoard logs."
            )
        return _logs(path, logs)
    if "tfevents" in path.name:
        return _logs(path, [path])
    return [_graph_file(path)]


def _of_graph(graph: Any, inference: bool = False) -> Nodes:
    return Nodes(graph.node, inference, _functions(graph))


def _functions(graph: Any) -> dict[str, Sequence[Any]]:
    return {f.signature.name: f.node_def for f in graph.library.function}


def _graph_file(path: pathlib.Path) -> Nodes:
    graph = tf.compat.v1.GraphDef()
    if path.suffix in (".pbtxt", ".txt"):
        try:
            text_format.Parse(path.read_text(), graph)
        except (text_format.ParseError, ValueError, RecursionError) as error:
            raise ValueError(f"{path} is not a GraphDef: {error}") from None
    else:
        _parsed(graph, path.read_bytes(), path)
    if not graph.node:
        raise ValueError(f"{path} is not a GraphDef, or an empty one.")
    frozen = not any(node.op in VARIABLES for node in graph.node)
    return _of_graph(graph, inference=frozen)


def _saved_model(path: pathlib.Path) -> list[Nodes]:
    from tensorflow.core.protobuf import saved_model_pb2

    content = (path / "saved_model.pb").read_bytes()
    saved = _parsed(saved_model_pb2.SavedModel(), content, path)
    found = []
    for meta in saved.meta_graphs:
        found.append(_of_graph(meta.graph_def))
        functions = _functions(meta.graph_def)
        for name in _called(functions, meta.graph_def.node):
            found.append(Nodes(functions[name], True, functions))
    return found


def _called(functions: dict[str, Any], node_defs: Sequence[Any]) -> list[str]:
    """Names of the functions that a graph calls, and those that they call."""
    waiting, found = list(node_defs), []
    while waiting:
        node = waiting.pop()
        name = node.attr["f"].func.name if "PartitionedCall" in node.op else ""
        if name in functions and name not in found:
            found.append(name)
            waiting.extend(functions[name])
    return found


def _logs(path: pathlib.Path, logs: Iterable[pathlib.Path]) -> list[Nodes]:
    found = []
    for record in itertools.chain.from_iterable(map(_records, logs)):
        event = _parsed(tf.compat.v1.Event(), record, path)
        if event.graph_def:
            graph = _parsed(tf.compat.v1.GraphDef(), event.graph_def, path)
            found.append(_of_graph(graph))
    if not found:
        raise ValueError(f"{path} has no graph in it.")
    return found


def _parsed(message: Any, content: bytes, path: pathlib.Path) -> Any:
    try:
        message.ParseFromString(content)
    except Exception as error:  # protobuf's errors have no common public type.
        kind = type(message).__name__
        raise ValueError(f"{path} is not a {kind}: {error}") from None
    return message


def _records(path: pathlib.Path) -> Iterator[bytes]:
    """The records of a log that may still be written: each between 12 and 4 bytes."""
    with path.open("rb") as file:
        while len(header := file.read(12)) == 12:
            (size,) = struct.unpack("<Q", header[:8])
            record = file.read(min(size, path.stat().st_size))
            if len(record) < size or len(file.read(4)) < 4:
                return
            yield record
