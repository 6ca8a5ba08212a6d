"""Which tensor of an object-based checkpoint is what, by the graph of its objects.

tf.train.Checkpoint and SavedModels store tensors by the path through Python objects
that leads to each first. The graph beside them tells what a path cannot: which objects
are optimizers, what a Model or Keras itself called a variable, what lies where.

Source: tensorflow/core/protobuf/trackable_object_graph.proto (Apache 2.0).
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping

import tensorflow as tf

# The dict in which a Model keeps its variables by name, and Keras lists of variables.
_VARIABLES = "_variables"
_VALUE = "VARIABLE_VALUE"
# Optimizers of Keras 3 count their steps so; earlier ones have slots.
_STEPS = "_iterations"
# What a SavedModel of Keras's `export` lists twice, beside `variables`.
_LISTED = "variables"
_KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")


@dataclasses.dataclass(frozen=True)
class Objects:
    """The tensors of an object-based checkpoint.

    Attributes:
        keys: the checkpoint's keys by name: a Model's variable has its own, one of
            Keras's is `LAYER/VARIABLE`; others, and those whose names are not their
            own alone, are named by their path.
        bookkeeping: names of what only training needs: optimizers, and counters and
            sums that lie outside of networks.
        of_keras: whether the names are Keras's.
    """

    keys: Mapping[str, str]
    bookkeeping: frozenset[str]
    of_keras: bool


class ObjectGraph:
    """The objects of a checkpoint, as numbers.

    Args:
        serialized: the graph, as it is stored.
        shapes: of the checkpoint's tensors by key.
        dtypes: of these.

    Raises:
        ValueError: if it is damaged.
    """

    def __init__(
        self,
        serialized: bytes,
        shapes: Mapping[str, Iterable[int]],
        dtypes: Mapping[str, tf.DType],
    ):
        self._nodes = _parsed(serialized)
        self._shapes, self._dtypes = shapes, dtypes
        # The key and full name of each object that is a variable.
        self._variables = {
            number: (attribute.checkpoint_key, attribute.full_name)
            for number, node in enumerate(self._nodes)
            for attribute in node.attributes
            if attribute.name == _VALUE and attribute.checkpoint_key in shapes
        }

    def read(self) -> Objects:
        """Returns what the checkpoint's tensors are."""
        own = self._names_in_models()
        outside = set(self._variables) - set(own)
        of_optimizers = outside - self._reached_without_optimizers()
        copies = self._copies() if not own else set()
        loose = self._loose(outside, bool(own))
        aside = (of_optimizers | loose) - copies
        weights = outside - aside - copies
        full = {number: self._variables[number][1] for number in weights}
        of_keras = not own and any(
            name.rpartition("/")[2] in _KERNELS for name in full.values()
        )
        counts = Counter(full.values())
        keys = {name: self._variables[number][0] for number, name in own.items()}
        bookkeeping = set()
        for number in sorted(outside - copies):
            key, name = self._variables[number]
            named = of_keras and number in weights and counts[name] == 1 and "/" in name
            name = name if named else path_of(key)
            keys[name] = key
            if number in aside:
                bookkeeping.add(name)
        return Objects(keys, frozenset(bookkeeping), of_keras)

    def _names_in_models(self) -> dict[int, str]:
        """The names of Models' variables, but for those that two Models share."""
        names = {
            variable.node_id: variable.local_name
            for node in self._nodes
            for child in node.children
            if child.local_name == _VARIABLES
            for variable in self._nodes[child.node_id].children
            if variable.node_id in self._variables and not variable.local_name.isdigit()
        }
        counts = Counter(names.values())
        return {number: name for number, name in names.items() if counts[name] == 1}

    def _reached_without_optimizers(self) -> set[int]:
        """The objects that the first leads to, if not by an optimizer.

        An optimizer of Keras 3 lists the variables of the network too.
        """
        waiting, found = [0], {0}
        while waiting:
            node = self._nodes[waiting.pop()]
            names = {child.local_name for child in node.children}
            if not node.slot_variables and _STEPS not in names:
                new = {child.node_id for child in node.children} - found
                found |= new
                waiting += new
        return found

    def _loose(self, outside: set[int], beside_models: bool) -> set[int]:
        """Counters and sums: `step`, `epoch`, the state of a metric or of a generator.

        Whole numbers are none of a network's weights; a scalar is none that lies
        beside no weights, nor is, beside Models, what an object without a matrix has.
        """
        weights = set()
        for node in self._nodes:
            own = {child.node_id for child in node.children} & outside
            ranks = {number: len(self._shape(number)) for number in own}
            largest = max(ranks.values(), default=0)
            weights |= {
                number
                for number, rank in ranks.items()
                if (largest > 1 if beside_models else rank or largest)
                and self._is_floating(number)
            }
        if not weights and not beside_models:  # Scalars may be all there is.
            weights = set(filter(self._is_floating, outside))
        return outside - weights

    def _copies(self) -> set[int]:
        """What Keras's `export` stores once more, beside the list `variables`."""
        children = {c.local_name: c.node_id for c in self._nodes[0].children}
        listed = children.get(_LISTED)
        if listed is None or f"_all_{_LISTED}" not in children:
            return set()
        return set(self._variables) - {c.node_id for c in self._nodes[listed].children}

    def _shape(self, number: int) -> tuple[int, ...]:
        return tuple(self._shapes[self._variables[number][0]])

    def _is_floating(self, number: int) -> bool:
        return self._dtypes[self._variables[number][0]].is_floating


def path_of(key: str) -> str:
    """The path through Python objects that a key is."""
    path = key.partition("/.ATTRIBUTES/")[0]
    return "/".join(
        part.replace(".S", "/").replace("..", ".") for part in path.split("/")
    )


def _parsed(serialized: bytes) -> list:
    from tensorflow.core.protobuf import trackable_object_graph_pb2

    graph = trackable_object_graph_pb2.TrackableObjectGraph()
    try:
        graph.ParseFromString(serialized)
    except Exception:  # protobuf's errors have no common public type.
        raise ValueError("its graph of objects is damaged") from None
    nodes = list(graph.nodes)
    if not nodes or any(
        not 0 <= child.node_id < len(nodes) for node in nodes for child in node.children
    ):
        raise ValueError("its graph of objects is damaged")
    return nodes
