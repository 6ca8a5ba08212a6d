"""Which channels of a network belong together, and what they are worth.

A convolution begins a set of channels; norms, activations, pools and depthwise
convolutions hand it on; convolutions and dense layers end it. Where two sets are added,
or something else is done with them, they stay whole.

Source: the worth of a channel is the gamma of its batch norm, Liu et al., Network
Slimming, arXiv:1708.06519; of several on its way the smallest.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from slimnets.export.fold import fold_constants, remove_identities
from slimnets.export.frozen import Frozen
from slimnets.export.graph import NodeDef, NodeGraph
from slimnets.units.views import CONVOLUTIONS, NORMS

# Each channel's values are those of the same channel of what comes in; what a channel
# of one value becomes.
_ALONE = {
    "Relu": lambda x: np.maximum(x, 0),
    "Relu6": lambda x: np.clip(x, 0, 6),
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Tanh": np.tanh,
    **dict.fromkeys(
        ("AvgPool", "BatchToSpaceND", "MaxPool", "Mean", "Pad", "SpaceToBatchND",
         "Squeeze"),
        lambda x: x,
    ),
}  # fmt: skip
_WITH_NUMBER = {"AddV2": np.add, "Mul": np.multiply, "Sub": np.subtract}


@dataclasses.dataclass(eq=False)
class Channels:
    """A set of channels.

    Attributes:
        size: their number.
        whole: whether none may go.
        worth: of each, `[size]`.
        same: the set that this one has become a part of, if it has.
    """

    size: int
    whole: bool = False
    worth: np.ndarray = dataclasses.field(init=False)
    same: Channels | None = None

    def __post_init__(self) -> None:
        self.worth = np.zeros(self.size)

    @property
    def root(self) -> Channels:
        return self if self.same is None else self.same.root


@dataclasses.dataclass
class Layer:
    """A layer with weights.

    Attributes:
        weights: its variable.
        depthwise: whether each channel is its own.
        inputs, outputs: its channels, set by set.
        positions: multiply-adds for each pair of an input and an output.
        constants: what its inputs are where they are one value each, else 0.
        mean, bias: variables behind it that shift its outputs.
    """

    weights: str
    depthwise: bool
    inputs: list[Channels]
    outputs: list[Channels]
    positions: int
    constants: np.ndarray
    mean: str = ""
    bias: str = ""

    @property
    def scope(self) -> str:
        return self.weights.rpartition("/")[0]


@dataclasses.dataclass
class _Tensor:
    """Channels on their way: their sets, worth, and values where they have but one."""

    sets: list[Channels]
    worth: np.ndarray
    constants: np.ndarray
    layer: Layer | None = None


class Network:
    """A network's layers and sets of channels.

    Args:
        frozen: for inference, with sizes that are known.

    Attributes:
        layers: in the network's order.
        vectors: the sets of variables of one value for each channel, by their names.
    """

    def __init__(self, frozen: Frozen):
        self._graph = NodeGraph(frozen.graph_def, frozen.outputs)
        remove_identities(self._graph)
        fold_constants(self._graph)
        self._variables = frozen.variables
        self._shapes = self._graph.shapes()
        self._tensors: dict[str, _Tensor] = {}
        self.layers: list[Layer] = []
        self.vectors: dict[str, list[Channels]] = {}
        for node in self._graph.nodes.values():
            if node.op != "Const":
                self._tensors[node.name] = self._follow(node)
        for name in self._graph.outputs:
            _keep_whole(self._tensors[name])
        self._keep_units_as_they_are()

    @property
    def sets(self) -> list[Channels]:
        """Those of which some may go."""
        found = [each.root for layer in self.layers for each in layer.outputs]
        return [
            each
            for each in dict.fromkeys(found)
            if not each.whole and np.isfinite(each.worth).all()
        ]

    def _keep_units_as_they_are(self) -> None:
        """Keeps what a unit begins with a depthwise convolution of: whether it widens
        that first depends on its number."""
        made_in = {}
        for layer in self.layers:
            unit = layer.scope.rpartition("/")[0]
            for each in layer.inputs if layer.depthwise else ():
                each.root.whole |= made_in.get(each.root, unit) != unit
            for each in () if layer.depthwise else layer.outputs:
                made_in.setdefault(each.root, unit)

    def _follow(self, node: NodeDef) -> _Tensor:
        given = [self._tensors[n] for n in node.input if n in self._tensors]
        values = [self._graph.value(n) for n in node.input]
        first = given[0] if given else None
        if node.op in CONVOLUTIONS or node.op == "MatMul":
            layer = self._layer(node, first)
            if layer is not None:
                return self._behind(layer, first)
        elif node.op in NORMS:
            return self._normalized(node, first)
        elif node.op in ("BiasAdd", "AddV2") and node.input[-1] in self._variables:
            name = self._variables[node.input[-1]]
            self.vectors[name] = first.sets
            if first.layer is not None:
                first.layer.bias = name
            constants = first.constants + values[-1]
            return dataclasses.replace(first, constants=constants)
        elif node.op in _ALONE and self._keeps_channels(node, first):
            constants = _ALONE[node.op](first.constants)
            return _Tensor(first.sets, first.worth, constants)
        elif node.op == "ConcatV2" and self._is_of_channels(node):
            return _Tensor(
                [each for tensor in given for each in tensor.sets],
                np.concatenate([tensor.worth for tensor in given]),
                np.concatenate([tensor.constants for tensor in given]),
            )
        elif node.op in _WITH_NUMBER and len(given) == 1 and _has_number(values):
            parts = [first.constants if v is None else v.ravel() for v in values]
            constants = _WITH_NUMBER[node.op](*parts)
            return _Tensor(first.sets, first.worth, constants)
        elif node.op == "Mul" and len(given) == 2:
            product = _product(*given)
            if product is not None:
                return product
        for tensor in given:
            _keep_whole(tensor)
        return self._unknown(node)

    def _keeps_channels(self, node: NodeDef, given: _Tensor | None) -> bool:
        shape = self._shapes[node.name]
        return bool(given and shape.rank and shape[-1] == len(given.worth))

    def _unknown(self, node: NodeDef) -> _Tensor:
        shape = self._shapes[node.name]
        size = shape.as_list()[-1] if shape.rank else 1
        sets = [Channels(size or 1, whole=True)]
        return _Tensor(sets, np.full(size or 1, np.inf), np.full(size or 1, np.nan))

    def _is_of_channels(self, node: NodeDef) -> bool:
        axis = self._graph.value(node.input[-1])
        rank = self._shapes[node.name].rank
        return axis is not None and int(axis) % rank == rank - 1

    def _layer(self, node: NodeDef, given: _Tensor | None) -> Layer | None:
        """The layer of a node; None if its weights are no variable as it is."""
        name, value = node.input[1], self._graph.value(node.input[1])
        turned = node.attr["transpose_a"].b or node.attr["transpose_b"].b
        if name not in self._variables or given is None or turned:
            return None
        depthwise = node.op == "DepthwiseConv2dNative"
        if value.shape[-2] != len(given.worth) or (depthwise and value.shape[-1] != 1):
            return None  # Of groups, or with several outputs of each channel.
        layer = Layer(
            self._variables[name],
            depthwise,
            given.sets,
            given.sets if depthwise else [Channels(value.shape[-1])],
            math.prod([*self._shapes[node.name].as_list()[1:-1], *value.shape[:-2]]),
            np.nan_to_num(given.constants),
        )
        self.layers.append(layer)
        return layer

    def _behind(self, layer: Layer, given: _Tensor) -> _Tensor:
        if layer.depthwise:
            value = self._value(layer.weights)
            constants = given.constants * value.sum((0, 1))[:, 0]
            return _Tensor(given.sets, given.worth, constants, layer)
        start = 0
        for each in given.sets:
            end = start + each.size
            each = each.root
            each.worth = np.maximum(each.worth, given.worth[start:end])
            start = end
        size = layer.outputs[0].size
        return _Tensor(
            layer.outputs, np.full(size, np.inf), np.full(size, np.nan), layer
        )

    def _normalized(self, node: NodeDef, given: _Tensor) -> _Tensor:
        gamma, beta, mean, variance = (self._graph.value(n) for n in node.input[1:5])
        for name in node.input[1:5]:
            if name in self._variables:
                self.vectors[self._variables[name]] = given.sets
        if given.layer is not None and node.input[3] in self._variables:
            given.layer.mean = self._variables[node.input[3]]
        scale = gamma / np.sqrt(variance + node.attr["epsilon"].f)
        constants = scale * (given.constants - mean) + beta
        worth = given.worth
        if node.input[1] in self._variables:
            smaller = np.abs(gamma) <= worth
            constants = np.where(smaller, beta, constants)
            worth = np.minimum(worth, np.abs(gamma))
        return _Tensor(given.sets, worth, constants)

    def _value(self, variable: str) -> np.ndarray:
        constant = next(k for k, name in self._variables.items() if name == variable)
        return self._graph.value(constant)


def _keep_whole(tensor: _Tensor) -> None:
    for each in tensor.sets:
        each.root.whole = True


def _has_number(values: Sequence[np.ndarray | None]) -> bool:
    return any(value is not None and value.size == 1 for value in values)


def _product(first: _Tensor, second: _Tensor) -> _Tensor | None:
    """The product of two tensors whose channels become the same ones; None if they
    cannot."""
    sizes = [[each.size for each in tensor.sets] for tensor in (first, second)]
    if sizes[0] != sizes[1]:
        return None
    worth = np.minimum(first.worth, second.worth)
    pairs = [
        (one.root, other.root)
        for one, other in zip(first.sets, second.sets, strict=True)
    ]
    if all(one is other for one, other in pairs):  # As x * sigmoid(x).
        return _Tensor(first.sets, worth, first.constants * second.constants)
    for one, other in pairs:
        if one is not other:
            one.whole |= other.whole
            one.worth = np.maximum(one.worth, other.worth)
            other.same = one
    # Of one value times what varies, only nothing is nothing.
    sizes = [np.abs(np.nan_to_num(t.constants)) for t in (first, second)]
    return _Tensor(
        first.sets, np.maximum(worth, np.maximum(*sizes)), np.zeros(len(worth))
    )
