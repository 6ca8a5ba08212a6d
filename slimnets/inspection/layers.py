"""A graph as layers: which operation makes a layer, what feeds it, what it sees.

One layer stands for each operation that has weights, pools, normalizes or joins
branches; padding, biases, activations, reshapes and the like belong to the layer that
they follow. Strides and receptive fields follow from the operations' attributes.
"""

from __future__ import annotations

import collections
import functools
from collections.abc import Iterator

import tensorflow as tf

from slimnets.inspection.counts import count_multiply_adds
from slimnets.inspection.layer_tables import Layer
from slimnets.inspection.nodes import VARIABLES, is_gradient, without_branch
from slimnets.units.views import NORMS, WHOLE, View, is_over_space, view_of

# What operations are called in a table; those that are not here belong to the layer
# whose output they take.
KINDS = {
    "Conv2D": "Conv",
    "DepthwiseConv2dNative": "DepthwiseConv",
    "Conv2DBackpropInput": "ConvTranspose",
    "MatMul": "Dense",
    "BatchMatMulV2": "MatMul",
    **dict.fromkeys(NORMS, "BatchNorm"),
    "LRN": "LocalResponseNorm",
    "MaxPool": "MaxPool",
    "AvgPool": "AvgPool",
    "Max": "GlobalMax",
    "Mean": "GlobalMean",
    "Softmax": "Softmax",
    "Sigmoid": "Sigmoid",
}
_JOINS = {"AddV2": "Add", "Add": "Add", "Mul": "Multiply", "ConcatV2": "Concat"}
_REDUCTIONS = ("Max", "Mean")
_BRANCHES = ("If", "StatelessIf")
# What reads a size, or writes a variable, passes no activations on.
_PASSES_NOTHING = (
    "Shape", "ShapeN", "Size", "Rank", "Assign", "AssignAdd", "AssignSub",
)  # fmt: skip
_DROPS = ("Identity", "SelectV2", "Select")


def layers_of(graph: tf.Graph) -> list[Layer]:
    """Returns a graph's layers in the order in which they were made.

    Gradients are none; a variable belongs to the first layer that reads it.
    """
    return _Reader(graph).layers()


class _Reader:
    def __init__(self, graph: tf.Graph):
        self.graph = graph
        self.sizes = _sizes(graph)
        self.variable_scopes = {_scope(name) for name in self.sizes}
        self.found: dict[str, Layer] = {}
        self.scopes: dict[str, str] = {}
        # By operation: the layers that feed it; what it sees; of one that depends on
        # variables alone, which these are.
        self.producers: dict[str, tuple[str, ...]] = {}
        self.views: dict[str, View] = {}
        self.variables: dict[str, tuple[str, ...]] = {}
        # By the scope of variables: the layer that reads them.
        self.holders: dict[str, Layer] = {}
        self.seen: collections.Counter = collections.Counter()

    def layers(self) -> list[Layer]:
        for op in _ordered(self.graph):
            passes = op.outputs and op.type not in _PASSES_NOTHING
            if passes and not is_gradient(op.name):
                self._read(op)
        # What no operation reads, as moving averages in training.
        for name in list(self.sizes):
            scope = _scope(name)
            layer = self.holders.get(scope) or self.found.get(scope)
            if layer is not None:
                self._own((name,), layer)
        return list(self.found.values())

    def _read(self, op: tf.Operation) -> None:
        if op.type in VARIABLES:
            self.variables[op.name] = (op.name,)
            return
        if op.type.startswith("Placeholder"):
            name = self._unique(op.name)
            self.found[name] = Layer(name, "Input", _shape(op))
            self.producers[op.name], self.views[op.name] = (name,), View()
            return
        tensors = _data_inputs(op)
        names = [tensor.op.name for tensor in tensors]
        variables = _united(self.variables.get(name, ()) for name in names)
        sources = [
            name
            for name, tensor in zip(names, tensors, strict=True)
            if name in self.producers and not _is_statistic(tensor)
        ]
        if not sources:
            if variables:
                self.variables[op.name] = variables
            return
        feeding = _united(self.producers[name] for name in sources)
        view = view_of(op, [self.views[name] for name in sources])
        kind, name = self._kind(op, sources, variables)
        same = self.found.get(name)
        if kind is None:
            self._follow(op, feeding, view)
        elif same and (same.kind, same.inputs) == (kind, feeding):
            # Another branch, or group, of the same layer.
            same.multiply_adds = _sum(same.multiply_adds, _multiply_adds(op))
            feeding = (name,)
        else:
            layer = self._layer(op, kind, name, feeding, view)
            self.found[layer.name], self.scopes[layer.name] = layer, name
            feeding = (layer.name,)
        self._own(variables, self.found[feeding[-1]])
        self.producers[op.name], self.views[op.name] = feeding, view

    def _follow(self, op: tf.Operation, feeding: tuple[str, ...], view: View) -> None:
        """A layer's outputs are those of the last operation in its own scope."""
        if len(feeding) == 1 and feeding[0] in self.scopes:
            home = self.scopes[feeding[0]]
            # Not in a scope inside it that has variables of its own.
            inner = _scope(op.name)
            while inner != home and inner and inner not in self.variable_scopes:
                inner = _scope(inner)
            if inner == home and inner:
                layer = self.found[feeding[0]]
                layer.shape = _shape(op)
                layer.stride, layer.receptive_field = _seen(view)

    def _own(self, variables: tuple[str, ...], layer: Layer) -> None:
        """Counts variables that no layer has yet as this layer's."""
        for name in variables:
            if name in self.sizes:
                size, trainable = self.sizes.pop(name)
                layer.trainable += size * trainable
                layer.non_trainable += size * (not trainable)
                self.holders.setdefault(_scope(name), layer)

    def _kind(self, op, sources, variables) -> tuple[str | None, str]:
        """What layer an operation makes, if any, and its name."""
        scope = _scope(op.name)
        if op.type in _REDUCTIONS:
            return (KINDS[op.type] if is_over_space(op) else None), op.name
        home = without_branch(scope) or op.name
        if op.type in _JOINS and len({self.producers[name] for name in sources}) > 1:
            # A concatenation has no scope of its own.
            return _JOINS[op.type], op.name if op.type == "ConcatV2" else home
        if op.type in KINDS:
            return KINDS[op.type], home
        if op.type in _BRANCHES:
            return self._kind_of_branches(op), home
        if op.type in _DROPS and _is_dropout(scope):
            outer = _scope(scope)
            return "Dropout", outer if _is_dropout(outer) else scope
        # A variable in a scope that is none of the layers so far, as group norm's.
        for name in variables:
            if name in self.sizes and _scope(name) not in self.holders:
                kind = "Norm" if name.endswith(("/gamma", "/beta")) else op.type
                return kind, _scope(name) or op.name
        return None, scope

    @functools.cached_property
    def _bodies(self) -> dict[str, list[str]]:
        """The types of the operations in each of the graph's functions."""
        return {
            function.signature.name: [node.op for node in function.node_def]
            for function in self.graph.as_graph_def().library.function
        }

    def _kind_of_branches(self, op: tf.Operation) -> str | None:
        """The kind of a layer that has a branch for training."""
        types = self._bodies.get(op.get_attr("then_branch").name, ())
        if any("RandomUniform" in name for name in types):
            return "Dropout"
        kinds = (KINDS.get(name) for name in types if name not in _REDUCTIONS)
        return next(filter(None, kinds), None)

    def _layer(self, op, kind, name, feeding, view) -> Layer:
        stride, field = _seen(view)
        return Layer(
            self._unique(name),
            kind,
            _shape(op),
            multiply_adds=_multiply_adds(op),
            stride=stride,
            receptive_field=field,
            inputs=feeding,
        )

    def _unique(self, name: str) -> str:
        self.seen[name] += 1
        count = self.seen[name]
        return name if count == 1 else f"{name}:{count}"


def _ordered(graph: tf.Graph) -> Iterator[tf.Operation]:
    """The operations, each behind those that it reads, else as they were made.

    TensorFlow 1's control flow makes some before their inputs, and even loops.
    """
    done, waiting = set(), set()
    for operation in graph.get_operations():
        stack = [operation]
        while stack:
            op = stack[-1]
            waiting.add(op.name)
            before = [t.op for t in op.inputs if t.op.name not in waiting]
            stack.extend(before)
            if not before:
                stack.pop()
                if op.name not in done:
                    done.add(op.name)
                    yield op


def _is_statistic(tensor: tf.Tensor) -> bool:
    """Whether a norm gives this besides its activations."""
    op = tensor.op
    norm = KINDS.get(op.type) == "BatchNorm" or op.type in _BRANCHES
    return norm and tensor.value_index > 0


def _data_inputs(op: tf.Operation) -> list[tf.Tensor]:
    """An operation's inputs but for what chooses between branches."""
    if op.type in _BRANCHES:
        return op.inputs[1:]
    return op.inputs[:1] if op.type in ("Switch", "RefSwitch") else op.inputs


def _multiply_adds(op: tf.Operation) -> int | None:
    try:
        return count_multiply_adds([op])
    except (ValueError, TypeError):
        return None


def _sum(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a + b


def _seen(view: View) -> tuple[int, float]:
    """The stride and receptive field along the longer side."""
    field = max(view.fields)
    stride = max(1, round(max(view.strides)))
    return stride, field if field == WHOLE else round(field)


def _scope(name: str) -> str:
    return name.rpartition("/")[0]


def _is_dropout(scope: str) -> bool:
    return scope.rpartition("/")[2].lower().startswith(("dropout", "drop_path"))


def _sizes(graph: tf.Graph) -> dict[str, tuple[int, bool]]:
    """Number of values in each variable, and whether it is trained."""
    with graph.as_default():
        trainable = {v.op.name for v in tf.compat.v1.trainable_variables()}
        return {
            v.op.name: (v.shape.num_elements() or 0, v.op.name in trainable)
            for v in tf.compat.v1.global_variables()
        }


def _united(groups) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for group in groups for name in group))


def _shape(op: tf.Operation) -> tuple[int | None, ...]:
    shape = op.outputs[0].shape
    return tuple(shape.as_list()) if shape.rank is not None else ()
