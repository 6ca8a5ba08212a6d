"""A frozen graph as nodes that can be changed: what the transforms work on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

GraphDef: TypeAlias = tf.compat.v1.GraphDef
NodeDef: TypeAlias = tf.compat.v1.NodeDef
AttrValue: TypeAlias = tf.compat.v1.AttrValue

_LARGE = 4096  # Bytes. Shapes, sizes and paddings are smaller.


class NodeGraph:
    """The nodes of a GraphDef by name, in an order in which they can be computed.

    An input is the name of a node for its first output, `name:1` for another one; the
    two forms that a GraphDef may have for the first are one here.

    Args:
        graph_def: a graph without functions and control flow; it is not changed.
        outputs: names of the nodes that are asked for, which keep their names.

    Attributes:
        nodes: the nodes by name.
        consumers: for each name the names of those that read it.
    """

    def __init__(self, graph_def: GraphDef, outputs: Iterable[str]):
        self.outputs = tuple(outputs)
        self._versions = graph_def.versions
        self._values: dict[str, np.ndarray] = {}
        self.nodes: dict[str, NodeDef] = {}
        for node in graph_def.node:
            own = NodeDef()
            own.CopyFrom(node)
            own.input[:] = [name.removesuffix(":0") for name in own.input]
            self.nodes[own.name] = own
        self.prune()

    def prune(self) -> None:
        """Drops what no output needs, and sorts the rest."""
        ordered: dict[str, NodeDef] = {}
        waiting = [(name, False) for name in reversed(self.outputs)]
        while waiting:
            name, ready = waiting.pop()
            if ready:
                ordered[name] = self.nodes[name]
            elif name not in ordered:
                waiting.append((name, True))
                sources = [node_of(source) for source in self.nodes[name].input]
                waiting += [(s, False) for s in reversed(sources) if s not in ordered]
        self.nodes = ordered
        self.consumers: dict[str, list[str]] = {name: [] for name in ordered}
        for node in ordered.values():
            for source in node.input:
                self.consumers[node_of(source)].append(node.name)

    def of(self, *ops: str) -> list[NodeDef]:
        """Returns the nodes of some operations; the graph may change meanwhile."""
        return [node for node in self.nodes.values() if node.op in ops]

    def value(self, name: str) -> np.ndarray | Any:
        """Returns the value of a Const; None for any other node."""
        node = self.nodes.get(name)
        if node is None or node.op != "Const":
            return None
        if name not in self._values:
            self._values[name] = tf.make_ndarray(node.attr["value"].tensor)
        return self._values[name]

    def source(self, node: NodeDef, index: int = 0) -> NodeDef:
        """Returns the node that gives an input of `node`."""
        return self.nodes[node_of(node.input[index])]

    def sources_of(self, names: Iterable[str]) -> set[str]:
        """Returns the names of these nodes and of all that they are computed from."""
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += map(node_of, self.nodes[name].input)
        return found

    def is_private(self, name: str) -> bool:
        """Whether one node reads `name`, and nobody outside of the graph."""
        return len(self.consumers[name]) == 1 and name not in self.outputs

    def add(
        self, op: str, name: str, inputs: Sequence[str], **attributes: AttrValue
    ) -> str:
        """Adds a node under `name`, or one like it that is free, and returns that."""
        node = NodeDef(op=op, name=self._free(name), input=list(inputs))
        for key, value in attributes.items():
            node.attr[key].CopyFrom(value)
        self.nodes[node.name] = node
        self.consumers[node.name] = []
        for source in inputs:
            self.consumers[node_of(source)].append(node.name)
        return node.name

    def constant(self, name: str, value: np.ndarray) -> str:
        """Adds a Const and returns its name."""
        added = self.add("Const", name, ())
        set_constant(self.nodes[added], value)
        self._values[added] = value
        return added

    def with_constant(
        self, op: str, name: str, inputs: str, value: np.ndarray, dtype: tf.DType,
        **attributes: AttrValue,
    ) -> str:  # fmt: skip
        """Adds an operation of `inputs` and a constant, and returns its name."""
        constant = self.constant(f"{name}/value", value.astype(dtype.as_numpy_dtype))
        kind = type_attribute(dtype)
        return self.add(op, name, (inputs, constant), T=kind, **attributes)

    def set_input(self, node: NodeDef, index: int, name: str) -> None:
        """Lets an input of `node` come from elsewhere."""
        self.consumers[node_of(node.input[index])].remove(node.name)
        node.input[index] = name
        self.consumers[node_of(name)].append(node.name)

    def set_value(self, node: NodeDef, value: np.ndarray) -> None:
        """Gives a node another constant as its second input, in the type of its own."""
        old = self.value(node.input[1])
        name = self.constant(f"{node.name}/folded", value.astype(old.dtype))
        self.set_input(node, 1, name)

    def redirect(self, old: str, new: str) -> None:
        """Lets all readers of the first output of `old` read `new`, but for `new`."""
        for reader in set(self.consumers[old]) - {new}:
            node = self.nodes[reader]
            for index, name in enumerate(node.input):
                if name == old:
                    self.set_input(node, index, new)

    def bypass(self, name: str, new: str) -> None:
        """Lets all readers of a node read `new`, and takes the node away."""
        self.redirect(name, new)
        for source in self.nodes[name].input:
            self.consumers[node_of(source)].remove(name)
        del self.nodes[name], self.consumers[name]

    def shapes(self) -> dict[str, tf.TensorShape]:
        """Returns what is known of the shape of each node's first output."""
        with tf.Graph().as_default() as graph:
            tf.graph_util.import_graph_def(self.sketch(), name="")
            return {op.name: op.outputs[0].shape for op in graph.get_operations()}

    def dtype(self, node: NodeDef) -> tf.DType:
        """Returns the type in which a node of one type computes."""
        return tf.as_dtype(node.attr["T"].type)

    def is_large(self, name: str) -> bool:
        """Whether a node is a constant that nobody needs to know a shape."""
        node = self.nodes[name]
        return (
            node.op == "Const"
            and len(node.attr["value"].tensor.tensor_content) > _LARGE
        )

    def sketch(self) -> GraphDef:
        """Returns the nodes as a GraphDef with placeholders for large constants."""
        graph_def = GraphDef(versions=self._versions)
        for name, node in self.nodes.items():
            if self.is_large(name):
                given = graph_def.node.add(op="Placeholder", name=name)
                given.attr["dtype"].CopyFrom(node.attr["dtype"])
                shape = node.attr["value"].tensor.tensor_shape
                given.attr["shape"].shape.CopyFrom(shape)
            else:
                graph_def.node.append(node)
        return graph_def

    def to_graph_def(self) -> GraphDef:
        """Returns the nodes as a GraphDef, without the names of devices."""
        graph_def = GraphDef(versions=self._versions)
        for node in self.nodes.values():
            graph_def.node.append(node)
            added = graph_def.node[-1]
            added.device = ""
            # Merely asking for an attribute leaves an empty one.
            for key in [k for k, v in added.attr.items() if not v.WhichOneof("value")]:
                del added.attr[key]
        return graph_def

    def _free(self, name: str) -> str:
        number, free = 0, name
        while free in self.nodes:
            number += 1
            free = f"{name}_{number}"
        return free


def set_constant(node: NodeDef, value: np.ndarray) -> None:
    """Makes a Const of a node without inputs."""
    dtype = tf.as_dtype(value.dtype)
    node.op = "Const"
    node.attr.clear()
    node.attr["dtype"].type = dtype.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, dtype))


def node_of(name: str) -> str:
    """The node that an input's name means."""
    return name.removeprefix("^").partition(":")[0]


def is_channels_last(node: NodeDef) -> bool:
    """Whether a convolution, pool or norm is in NHWC."""
    return node.attr["data_format"].s in (b"", b"NHWC")


def type_attribute(dtype: tf.DType) -> Any:
    """Returns a type as the value of a node's attribute."""
    return AttrValue(type=dtype.as_datatype_enum)
