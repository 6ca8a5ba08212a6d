"""Lint's rules on training: what a step forgets, and what inference must not do."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from slimnets.inspection.findings import Finding
from slimnets.inspection.nodes import (
    ASSIGNS,
    READS,
    Node,
    Nodes,
    constant_value,
    is_initial,
)
from slimnets.units.views import NORMS


def _is_training_step(node: Node) -> bool:
    return "Apply" in node.op and not node.op.startswith("Scatter")


def _trains(nodes: Nodes) -> bool:
    return any(_is_training_step(node) for node in nodes)


def lost_updates(nodes: Nodes) -> Iterator[Finding]:
    if not _trains(nodes):
        return
    for node in nodes:
        target = node.inputs[0] if node.inputs else ""
        moving = target.rpartition("/")[2] in ("moving_mean", "moving_variance")
        assigned = node.op in ASSIGNS and moving and not is_initial(node, nodes)
        if assigned and not _is_run(node, nodes):
            yield Finding(
                "lost update",
                node.name,
                f"{node.name} updates {target}, but nothing runs it: let the training "
                "operation depend on the collection UPDATE_OPS.",
            )


def _is_run(update: Node, nodes: Nodes) -> bool:
    """Whether more depends on an update than reading the variable again."""
    return any(
        node.op not in READS or nodes.successors[node.name]
        for node in nodes.successors[update.name]
    )


def lost_regularizers(nodes: Nodes) -> Iterator[Finding]:
    if not _trains(nodes):
        return
    differentiated = _differentiated(nodes)
    for node in nodes:
        if node.is_gradient or "/Regularizer/" not in node.name:
            continue
        successors = nodes.successors[node.name]
        if any("/Regularizer/" in reader.name for reader in successors):
            continue  # Not yet the loss itself.
        if differentiated:
            lost = not differentiated & {node.name, *nodes.reached([node.name])}
        else:
            lost = not successors
        if lost:
            yield Finding(
                "lost regularizer",
                node.name,
                f"{node.name} is a regularization loss that no loss includes: add the "
                "collection REGULARIZATION_LOSSES to the loss.",
            )


def _differentiated(nodes: Nodes) -> set[str]:
    """Names of operations that have gradients, which are called SCOPE/NAME_grad."""
    found = set()
    for name in nodes.by_name:
        scope, marked, _ = name.partition("_grad/")
        while marked and scope:
            found.add(scope)
            scope = scope.partition("/")[2]
    return found


def training_mode(nodes: Nodes) -> Iterator[Finding]:
    if not nodes.inference:
        return
    for node in nodes:
        for branch in nodes.branches(node):
            for inner in training_mode(branch):
                name = f"{node.name}/{inner.name}"
                message = inner.message.replace(inner.name, name, 1)
                yield dataclasses.replace(inner, name=name, message=message)
        if _normalizes_by_the_batch(node, nodes):
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


def _normalizes_by_the_batch(node: Node, nodes: Nodes) -> bool:
    if node.op in NORMS:
        # The operation's default, which files leave out, is True.
        attributes = node.attributes
        return "is_training" not in attributes or attributes["is_training"].b
    # A variance over the batch, of activations and not of weights.
    return (
        node.op == "Mean"
        and len(node.inputs) > 1
        and 0 in _constant(node.inputs[1], nodes)
        and any(nodes.op_of(name) == "SquaredDifference" for name in node.inputs[:1])
        and node.name in nodes.of_inputs
    )


def _constant(name: str, nodes: Nodes) -> list[int]:
    """A constant's values; none if it is not a constant."""
    if nodes.op_of(name) != "Const":
        return []
    tensor = nodes.by_name[name].attributes["value"].tensor
    return constant_value(name, tensor).reshape(-1).tolist()
