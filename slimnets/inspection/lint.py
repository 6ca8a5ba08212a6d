"""Lint: wiring in a graph that people did not mean.

Most prominent: a tensor made inside one layer that other layers read though it is not
that layer's output. Keras of TensorFlow 1 made its learning phase inside its first
batch norm, so that in TensorBoard every batch norm hung on the first.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from slimnets.inspection.nodes import Node, Nodes, read_nodes

_NORMS = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
_LAYERS = (*_NORMS, "Conv2D", "DepthwiseConv2dNative", "MatMul")
_SOURCES = ("Const", "NoOp")
_READS = ("ReadVariableOp", "Identity")
_ASSIGNS = ("AssignVariableOp", "AssignSubVariableOp", "AssignAddVariableOp")
_ASSIGNS += ("Assign", "AssignSub", "AssignAdd")
_BOOKKEEPING = ("VarIsInitializedOp", "IsVariableInitialized", "SaveV2", "RestoreV2")


@dataclasses.dataclass(frozen=True)
class Finding:
    """One fault.

    Attributes:
        kind: `shared tensor`, `lost update`, `lost regularizer`, `training mode`,
            `unused variable` or `duplicate`.
        name: the tensor, operation or variable.
        message: who made it, who reads it, and how to mend it.
    """

    kind: str
    name: str
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


class Report(Sequence):
    """The findings in a graph: a sequence, empty when it is clean."""

    def __init__(self, findings: Sequence[Finding]):
        self.findings = tuple(findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __getitem__(self, index):
        return self.findings[index]

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings)) or "nothing found"


def lint_graph(graph: Any, *, inference: bool | None = None) -> Report:
    """Looks for wiring that was not meant.

    Args:
        graph: a tf.Graph, a GraphDef, or the path of a GraphDef, a SavedModel or a
            TensorBoard log.
        inference: whether the graph is for inference, in which norms in training mode
            and dropout are faults; None takes a SavedModel's functions and a graph
            without variables for such.

    Returns:
        A report: iterable, empty when clean; its text names every finding.

    Raises:
        FileNotFoundError, ValueError: see `read_nodes`.
    """
    findings = []
    for nodes in read_nodes(graph):
        nodes.inference = nodes.inference if inference is None else inference
        for rule in _RULES:
            findings.extend(rule(nodes))
    return Report(list(dict.fromkeys(findings)))


def _layer_scopes(nodes: Nodes) -> set[str]:
    return {
        node.scope
        for node in nodes
        if node.scope and (node.is_variable or node.op in _LAYERS)
        if not _is_gradient(node)
    }


def _is_gradient(node: Node) -> bool:
    return "_grad/" in node.name or node.name.startswith("gradients")


def _layer_of(name: str, scopes: set[str]) -> str | None:
    """The innermost layer scope that a node is in."""
    while name:
        name = name.rpartition("/")[0]
        if name in scopes:
            return name
    return None


def _nested(a: str, b: str) -> bool:
    return a == b or a.startswith(b + "/") or b.startswith(a + "/")


def _shared_tensors(nodes: Nodes) -> Iterator[Finding]:
    scopes = _layer_scopes(nodes)
    layer = {node.name: _layer_of(node.name, scopes) for node in nodes}

    @functools.cache
    def is_setting(name: str, home: str) -> bool:
        """Whether a node depends on nothing but constants made in `home`."""
        node = nodes.by_name.get(name)
        if node is None or node.is_variable or not name.startswith(home + "/"):
            return False
        return all(is_setting(source, home) for source in node.inputs)

    def readers_elsewhere(node: Node, home: str) -> list[Node]:
        return [
            reader
            for reader in nodes.readers[node.name]
            if layer[reader.name] and not _nested(layer[reader.name], home)
            if not _is_gradient(reader)
        ]

    for node in nodes:
        home = layer[node.name]
        if home is None or node.is_variable or _is_gradient(node):
            continue
        elsewhere = readers_elsewhere(node, home)
        if not elsewhere:
            continue
        if not (is_setting(node.name, home) or _goes_on(node, home, nodes, layer)):
            continue
        others = sorted({layer[reader.name] for reader in elsewhere})
        shown = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
        yield Finding(
            "shared tensor",
            node.name,
            f"{node.name} ({node.op}) is made inside the layer {home}, whose output it "
            f"is not, and read by {len(others)} other layers: {shown}. Make it outside "
            "of every layer and pass it in.",
        )


def _goes_on(node: Node, home: str, nodes: Nodes, layer) -> bool:
    """Whether the layer computes from this tensor what it gives to others."""
    waiting, seen = [node.name], set()
    while waiting:
        for reader in nodes.readers[waiting.pop()]:
            if reader.name in seen or _is_gradient(reader) or reader.op == "Shape":
                continue
            seen.add(reader.name)
            inside = layer[reader.name]
            if inside is not None and _nested(inside, home):
                if reader.op not in _ASSIGNS:
                    waiting.append(reader.name)
            elif _reads_inside(reader, node, seen):
                return True
    return False


def _reads_inside(reader: Node, node: Node, seen: set[str]) -> bool:
    """Whether a node outside reads something made inside after `node`."""
    return any(name in seen and name != node.name for name in reader.inputs)


def _is_training_step(node: Node) -> bool:
    return "Apply" in node.op and not node.op.startswith("Scatter")


def _trains(nodes: Nodes) -> bool:
    return any(_is_training_step(node) for node in nodes)


def _lost_updates(nodes: Nodes) -> Iterator[Finding]:
    if not _trains(nodes):
        return
    for node in nodes:
        target = node.inputs[0] if node.inputs else ""
        moving = target.rpartition("/")[2] in ("moving_mean", "moving_variance")
        assigned = node.op in _ASSIGNS and moving and not _is_initial(node, nodes)
        if assigned and not nodes.successors[node.name]:
            yield Finding(
                "lost update",
                node.name,
                f"{node.name} updates {target}, but nothing runs it: let the training "
                "operation depend on the collection UPDATE_OPS.",
            )


def _is_initial(node: Node, nodes: Nodes) -> bool:
    """Whether an assignment is a variable's initialization or restoring."""
    if node.name == node.inputs[0] + "/Assign":
        return True
    sources = (nodes.by_name.get(name) for name in node.inputs[1:])
    return any(s is not None and s.op in ("RestoreV2", "Identity") for s in sources)


def _lost_regularizers(nodes: Nodes) -> Iterator[Finding]:
    if not _trains(nodes):
        return
    for node in nodes:
        if _is_gradient(node) or "/Regularizer/" not in node.name:
            continue
        if not nodes.successors[node.name]:
            yield Finding(
                "lost regularizer",
                node.name,
                f"{node.name} is a regularization loss that no loss includes: add the "
                "collection REGULARIZATION_LOSSES to the loss.",
            )


def _training_mode(nodes: Nodes) -> Iterator[Finding]:
    if not nodes.inference:
        return
    for node in nodes:
        if node.op in _NORMS and _normalizes_by_the_batch(node):
            yield Finding(
                "training mode",
                node.name,
                f"{node.name} normalizes by the batch's own statistics in a graph for "
                "inference: build the network with is_training=False.",
            )
        if "RandomUniform" in node.op and "/Initializer/" not in node.name:
            yield Finding(
                "training mode",
                node.name,
                f"{node.name} draws random numbers, as dropout does, in a graph for "
                "inference: build the network with is_training=False.",
            )


def _normalizes_by_the_batch(node: Node) -> bool:
    # The operation's default, which files leave out, is True.
    attributes = node.attributes
    return "is_training" not in attributes or attributes["is_training"].b


def _unused_variables(nodes: Nodes) -> Iterator[Finding]:
    for node in nodes:
        if not node.is_variable:
            continue
        used = any(
            reader.op not in (*_BOOKKEEPING, *_ASSIGNS)
            and (reader.op not in _READS or _is_used(reader, nodes))
            for reader in nodes.readers[node.name]
        )
        updated = any(
            reader.op in _ASSIGNS and not _is_initial(reader, nodes)
            for reader in nodes.readers[node.name]
        )
        if not used and not updated:
            yield Finding(
                "unused variable",
                node.name,
                f"{node.name} is a variable that nothing reads: it takes memory and "
                "space in checkpoints. Remove the layer that makes it, or use it.",
            )


def _is_used(read: Node, nodes: Nodes) -> bool:
    """Whether more than saving depends on what a read gives."""
    return any(node.op not in _BOOKKEEPING for node in nodes.successors[read.name])


def _duplicates(nodes: Nodes) -> Iterator[Finding]:
    """Convolutions and products of the same inputs and the same variable."""
    first: dict[tuple, Node] = {}
    for node in nodes:
        if node.op not in ("Conv2D", "MatMul", "DepthwiseConv2dNative"):
            continue
        if _is_gradient(node):
            continue
        attributes = tuple(
            (key, node.attributes[key].SerializeToString())
            for key in sorted(node.attributes)
            if not key.startswith("_")
        )
        inputs = tuple(_variable_behind(name, nodes) for name in node.inputs)
        key = (node.op, inputs, attributes)
        if key in first:
            yield Finding(
                "duplicate",
                node.name,
                f"{node.name} computes again what {first[key].name} does, from the "
                "same inputs and weights: build it once and use its outputs twice.",
            )
        else:
            first[key] = node


def _variable_behind(name: str, nodes: Nodes) -> str:
    """The variable that a read gives, else the node's own name."""
    node = nodes.by_name.get(name)
    while node is not None and node.op in _READS and len(node.inputs) == 1:
        name = node.inputs[0]
        node = nodes.by_name.get(name)
    return name


_RULES: tuple[Callable[[Nodes], Iterator[Finding]], ...] = (
    _shared_tensors,
    _lost_updates,
    _lost_regularizers,
    _training_mode,
    _unused_variables,
    _duplicates,
)
