"""Lint's rules on what reads what: shared tensors, unused variables, duplicates."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

from slimnets.inspection.findings import Finding
from slimnets.inspection.nodes import (
    ASSIGNS,
    READS,
    Node,
    Nodes,
    is_initial,
)
from slimnets.listing import listed
from slimnets.units.views import CONVOLUTIONS, NORMS

_PRODUCTS = (*CONVOLUTIONS, "MatMul")
_LAYERS = (*NORMS, *_PRODUCTS)
_BOOKKEEPING = ("VarIsInitializedOp", "IsVariableInitialized", "SaveV2", "RestoreV2")


def _layer_scopes(nodes: Nodes) -> set[str]:
    made = [node for node in nodes if not node.is_gradient]
    layers = {nodes.home(node) for node in made if _is_layer(node, nodes)}
    owners = {nodes.home(node) for node in made if node.is_variable}
    # A unit with a variable of its own, as of layer scale, is made of layers.
    units = {
        owner
        for owner in owners - layers
        if sum(scope.startswith(owner + "/") for scope in layers) > 1
    }
    return (layers | owners) - units - {""}


def _is_layer(node: Node, nodes: Nodes) -> bool:
    """Whether a node makes a layer, itself or in one of its branches.

    A norm in a branch may be made of parts, and divides by a root.
    """
    if node.op == "Rsqrt":
        return nodes.home(node) != node.scope
    return node.op in _LAYERS or any(
        inner.op == "Rsqrt" or _is_layer(inner, branch)
        for branch in nodes.branches(node)
        for inner in branch
    )


def _layer_of(name: str, scopes: set[str]) -> str | None:
    """The innermost layer scope that a node is in."""
    while name:
        name = name.rpartition("/")[0]
        if name in scopes:
            return name
    return None


def _nested(a: str, b: str) -> bool:
    return a == b or a.startswith(b + "/") or b.startswith(a + "/")


def shared_tensors(nodes: Nodes) -> Iterator[Finding]:
    scopes = _layer_scopes(nodes)
    layer = {node.name: _layer_of(node.name, scopes) for node in nodes}

    @functools.cache
    def is_setting(name: str, home: str) -> bool:
        """Whether a node depends on nothing but constants made in `home`."""
        waiting, seen = [name], {name}
        while waiting:
            node = nodes.by_name.get(waiting.pop())
            if node is None or node.is_variable:
                return False
            if not node.name.startswith(home + "/"):
                return False
            waiting.extend(source for source in node.inputs if source not in seen)
            seen.update(node.inputs)
        return True

    def readers_elsewhere(node: Node, home: str) -> list[Node]:
        return [
            reader
            for reader in nodes.readers[node.name]
            if layer[reader.name] and not _nested(layer[reader.name], home)
            if not reader.is_gradient
        ]

    for node in nodes:
        home = layer[node.name]
        if home is None or node.is_variable or node.is_gradient:
            continue
        elsewhere = readers_elsewhere(node, home)
        if not elsewhere:
            continue
        if not (is_setting(node.name, home) or _goes_on(node, home, nodes, layer)):
            continue
        others = _outermost({layer[reader.name] for reader in elsewhere})
        yield Finding(
            "shared tensor",
            node.name,
            f"{node.name} ({node.op}) is made inside the layer {home}, whose output it "
            f"is not, and read by {_listed(others)}. Make it outside of every layer "
            "and pass it in.",
            others,
        )


def _outermost(scopes: set[str]) -> tuple[str, ...]:
    """The scopes that lie in none of the others, in order."""
    return tuple(
        sorted(
            scope
            for scope in scopes
            if not any(scope.startswith(other + "/") for other in scopes)
        )
    )


def _listed(layers: Sequence[str]) -> str:
    count = f"{len(layers)} other layer{'s' * (len(layers) > 1)}"
    return f"{count}: {listed(layers, 3)}"


def _goes_on(node: Node, home: str, nodes: Nodes, layer) -> bool:
    """Whether the layer computes from this tensor what it gives to others."""

    def computes(reader: Node) -> bool:
        return not (reader.is_gradient or reader.op == "Shape")

    def is_inside(reader: Node) -> bool:
        scope = layer[reader.name]
        return scope is not None and _nested(scope, home)

    after = nodes.reached(
        [node.name],
        lambda reader: (
            computes(reader) and is_inside(reader) and reader.op not in ASSIGNS
        ),
    )
    readers = [reader for name in after for reader in nodes.readers[name]]
    return any(computes(reader) and not is_inside(reader) for reader in readers)


def unused_variables(nodes: Nodes) -> Iterator[Finding]:
    for node in nodes:
        if not node.is_variable:
            continue
        used = any(
            reader.op not in (*_BOOKKEEPING, *ASSIGNS)
            and (reader.op not in READS or _is_used(reader, nodes))
            for reader in nodes.readers[node.name]
        )
        updated = any(
            reader.op in ASSIGNS and not is_initial(reader, nodes)
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


def duplicates(nodes: Nodes) -> Iterator[Finding]:
    """Convolutions and products of the same inputs and the same variable."""
    first: dict[tuple, Node] = {}
    for node in nodes:
        if node.op not in _PRODUCTS or node.is_gradient:
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
    node, seen = nodes.by_name.get(name), set()
    while node is not None and node.op in READS and len(node.inputs) == 1:
        if name in seen:
            return name  # A circle, as in no graph that runs.
        seen.add(name)
        name = node.inputs[0]
        node = nodes.by_name.get(name)
    return name
