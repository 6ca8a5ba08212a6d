"""A graph as layers: which operation makes a layer, what feeds it, what it sees.

One layer stands for each operation that has weights, pools, normalizes or joins
branches; padding, biases, activations, reshapes and the like belong to the layer that
they follow. Strides and receptive fields follow from the operations' attributes.

Source of the receptive field's arithmetic: Araujo et al., Computing Receptive Fields of
Convolutional Neural Networks, Distill 2019.
"""

from __future__ import annotations

import collections
import dataclasses
import math

import tensorflow as tf

from slimnets.inspection.counts import count_multiply_adds

# What operations are called in a table; those that are not here belong to the layer
# whose output they take.
KINDS = {
    "Conv2D": "Conv",
    "DepthwiseConv2dNative": "DepthwiseConv",
    "MatMul": "Dense",
    "BatchMatMulV2": "MatMul",
    "FusedBatchNorm": "BatchNorm",
    "FusedBatchNormV2": "BatchNorm",
    "FusedBatchNormV3": "BatchNorm",
    "MaxPool": "MaxPool",
    "AvgPool": "AvgPool",
    "Max": "GlobalMax",
    "Mean": "GlobalMean",
    "ConcatV2": "Concat",
    "Softmax": "Softmax",
    "Sigmoid": "Sigmoid",
}
_JOINS = {"AddV2": "Add", "Add": "Add", "Mul": "Multiply"}
_VARIABLES = ("VarHandleOp", "VariableV2", "Variable")
WHOLE = math.inf


@dataclasses.dataclass
class Layer:
    """A layer of a graph.

    Attributes:
        name: its scope.
        kind: what it does, `Conv` for example.
        shape: of its outputs, None where unknown.
        trainable: number of trainable parameters.
        non_trainable: number of other parameters.
        multiply_adds: see `count_multiply_adds`; None where a shape is not known.
        stride: pixels of the input between neighbouring outputs.
        receptive_field: side of the square of input pixels that an output sees;
            infinite where it sees the whole input.
        inputs: names of the layers that feed it.
    """

    name: str
    kind: str
    shape: tuple[int | None, ...]
    trainable: int = 0
    non_trainable: int = 0
    multiply_adds: int | None = 0
    stride: int = 1
    receptive_field: float = 1
    inputs: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        return self.trainable + self.non_trainable


def layers_of(graph: tf.Graph) -> list[Layer]:
    """Returns a graph's layers in the order in which they were made."""
    return _Reader(graph).layers()


@dataclasses.dataclass(frozen=True)
class _View:
    """What a tensor sees of the input."""

    stride: int = 1
    field: float = 1


class _Reader:
    def __init__(self, graph: tf.Graph):
        self.graph = graph
        self.producers: dict[str, tuple[str, ...]] = {}
        self.views: dict[str, _View] = {}
        self.parameters = _parameters_by_scope(graph)
        self.made: dict[str, tuple[str, Layer]] = {}
        self.seen: collections.Counter = collections.Counter()

    def layers(self) -> list[Layer]:
        found = []
        for op in self.graph.get_operations():
            if not op.outputs or op.type in _VARIABLES:
                continue
            if op.type.startswith("Placeholder"):
                self._set(op, (), _View())
                found.append(self._input(op))
                continue
            sources = [t for t in op.inputs if t.op.name in self.producers]
            if not sources:
                continue  # Computed from constants and variables alone.
            feeding = _united(self.producers[t.op.name] for t in sources)
            view = self._view(op, [self.views[t.op.name] for t in sources])
            kind = self._kind(op, sources, feeding)
            if kind is None:
                self._follow(op, feeding)
                self._set(op, feeding, view)
                continue
            layer = self._layer(op, kind, feeding, view)
            found.append(layer)
            self.made[layer.name] = (op.name.rpartition("/")[0], layer)
            self._set(op, (layer.name,), view)
        return found

    def _follow(self, op, feeding):
        """A layer's outputs are those of the last operation in its own scope."""
        if len(feeding) == 1 and feeding[0] in self.made:
            scope, layer = self.made[feeding[0]]
            if scope and op.name.startswith(scope + "/"):
                layer.shape = _shape(op)

    def _set(self, op, names, view):
        self.producers[op.name] = names or (op.name,)
        self.views[op.name] = view

    def _input(self, op) -> Layer:
        return Layer(op.name, "Input", _shape(op))

    def _kind(self, op, sources, feeding) -> str | None:
        if op.type in ("Mean", "Max") and not is_over_space(op):
            return None
        if op.type in _JOINS:
            branches = {self.producers[t.op.name] for t in sources}
            return _JOINS[op.type] if len(branches) > 1 else None
        return KINDS.get(op.type)

    def _layer(self, op, kind, feeding, view) -> Layer:
        scope = op.name.rpartition("/")[0]
        # The operation's own name is its layer's where no scope is the layer's own.
        named = kind in ("GlobalMean", "GlobalMax", "Concat") or not scope
        name = self._unique(op.name if named else scope)
        trainable, rest = self.parameters.pop(scope, (0, 0))
        try:
            multiply_adds = count_multiply_adds([op])
        except (ValueError, TypeError):
            multiply_adds = None
        return Layer(
            name,
            kind,
            _shape(op),
            trainable,
            rest,
            multiply_adds,
            view.stride,
            view.field,
            feeding,
        )

    def _unique(self, name: str) -> str:
        self.seen[name] += 1
        count = self.seen[name]
        return name if count == 1 else f"{name}:{count}"

    def _view(self, op, views: list[_View]) -> _View:
        stride = max(view.stride for view in views)
        field = max(view.field for view in views)
        if op.type in ("Mean", "Max") and is_over_space(op):
            return _View(stride, WHOLE)
        size, step, rate = window_of(op)
        return _View(stride * step, field + (size - 1) * rate * stride)


def window_of(op: tf.Operation, axis: int | None = None) -> tuple[int, int, int]:
    """Returns an operation's kernel size, stride and rate.

    Args:
        op: of any type; most have the window 1.
        axis: 0 for the height, 1 for the width; None for the height of an image, and
            the width of a row.
    """
    if op.type in ("Conv2D", "DepthwiseConv2dNative"):
        sizes = [size or 1 for size in op.inputs[1].shape[:2]]
        if axis is None:
            axis = int(sizes[0] == 1 and sizes[1] > 1)
        place = axis + place_of_height(op)
        strides, rates = op.get_attr("strides"), op.get_attr("dilations")
        return sizes[axis], strides[place], rates[place]
    if op.type in ("MaxPool", "AvgPool"):
        place = (axis or 0) + place_of_height(op)
        return op.get_attr("ksize")[place], op.get_attr("strides")[place], 1
    return 1, 1, 1


def place_of_height(op: tf.Operation) -> int:
    """The place of the height in the shapes of a convolution or pool."""
    return 2 if op.get_attr("data_format") == b"NCHW" else 1


def is_over_space(op: tf.Operation) -> bool:
    """Whether a reduction leaves out positions, and not the batch or channels."""
    axes = tf.get_static_value(op.inputs[1])
    rank = op.inputs[0].shape.rank
    if axes is None or rank is None or rank < 3:
        return False
    reduced = {int(axis) % rank for axis in axes.reshape(-1)}
    return bool(reduced) and 0 not in reduced and rank - 1 not in reduced


def _parameters_by_scope(graph: tf.Graph) -> dict[str, tuple[int, int]]:
    with graph.as_default():
        variables = tf.compat.v1.global_variables()
        trainable = {v.op.name for v in tf.compat.v1.trainable_variables()}
    counts: dict[str, tuple[int, int]] = {}
    for variable in variables:
        scope = variable.op.name.rpartition("/")[0]
        size = variable.shape.num_elements() or 0
        trains, rest = counts.get(scope, (0, 0))
        if variable.op.name in trainable:
            counts[scope] = trains + size, rest
        else:
            counts[scope] = trains, rest + size
    return counts


def _united(groups) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for group in groups for name in group))


def _shape(op: tf.Operation) -> tuple[int | None, ...]:
    shape = op.outputs[0].shape
    return tuple(shape) if shape.rank is not None else ()
