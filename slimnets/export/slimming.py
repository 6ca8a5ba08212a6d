"""Smaller networks: of fewer channels, those that are worth the most.

    small = slimnets.export.slimmed(model, [1, 224, 224, 3], multiply_adds=0.5)
    small.model.save("small/model.ckpt")

The smaller network is the same one with rules by path, which say how many outputs its
layers have: `layer_rules(small.rules)` gives it in graph code. What goes is what batch
norms have made small, by an L1 loss of their gammas in training; sums of residual
units, and whatever else more than one layer gives, keep their channels. A channel that
has one value whatever the image is passes into the biases behind it.

Source: Liu et al., Network Slimming, arXiv:1708.06519.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from slimnets.export.agreement import largest_difference, sample_inputs
from slimnets.export.channels import Channels, Layer, Network
from slimnets.export.frozen import as_function, freeze, outputs_of
from slimnets.model import Model

# Of the channels of each layer: what stays in any case where others may go instead.
_LEAST_SHARE = 0.1


@dataclasses.dataclass(frozen=True)
class Slimmed:
    """A smaller network.

    Attributes:
        model: it, with its weights.
        rules: what makes it of the network function; pairs of pattern and values.
        multiply_adds: before and after, of convolutions and dense layers.
        channels: their number before and after, of sets that may be cut.
        difference: of its outputs for random images, of the largest output.
    """

    model: Model
    rules: list[tuple[str, dict[str, Any]]]
    multiply_adds: tuple[int, int]
    channels: tuple[int, int]
    difference: float

    def __str__(self) -> str:
        before, after = self.multiply_adds
        return (
            f"{after / 1e6:.2f} M of {before / 1e6:.2f} M multiply-adds "
            f"({100 * after / before:.1f} %), {self.channels[1]} are left of the "
            f"{self.channels[0]} channels that may go, outputs differ by "
            f"{self.difference:.1e} before it is trained on"
        )


def slimmed(
    model: Model,
    input_shape: Sequence[int | None],
    *,
    multiply_adds: float | None = None,
    threshold: float | None = None,
) -> Slimmed:
    """Returns a network of fewer channels.

    Args:
        model: a Model with variables, of images.
        input_shape: `[batch, height, width, channels]`.
        multiply_adds: the largest share of those of the network, 0 to 1; a tenth of
            the channels of each layer stays;
        threshold: or else the largest worth, a gamma's absolute value, of what goes.

    Raises:
        ValueError: for neither or both of them, or a share that cannot be reached;
            for a network that has no channels that may go, or that would be wired
            otherwise if these went.
    """
    if (multiply_adds is None) == (threshold is None):
        raise ValueError(
            f"multiply_adds={multiply_adds!r}, threshold={threshold!r}: give one of "
            "them."
        )
    frozen = freeze(model, [1, *input_shape[1:]], levels=[])
    network = Network(frozen)
    if not network.sets:
        raise ValueError(
            f"{model.network_name} has no channels that may go: all are added to "
            "others, or no batch norm tells their worth."
        )
    kept = _chosen(network, multiply_adds, threshold)
    values = {n: v.numpy() for n, v in model.variables_by_name.items()}
    rules = _rules(network, kept)
    function = model.network_function
    if model.rules:  # Which it would open, and no others.
        function = vars(function)["__wrapped__"]
    small = Model(
        function,
        num_classes=model.num_classes,
        rules=[*model.rules.pairs, *rules],
        **model.network_options,
    )
    small.build(input_shape)
    for name, value in _cut(network, kept, values).items():
        variable = small.variable_by_name(name)
        if variable.shape != value.shape:
            raise ValueError(
                f"{name} is of shape {variable.shape} in the smaller network, where "
                f"{value.shape} is left: give another share."
            )
        variable.assign(value)
    own = freeze(small, [1, *input_shape[1:]], levels=[])
    if _kinds(own.graph_def) != _kinds(frozen.graph_def):
        raise ValueError(
            "The smaller network would be wired otherwise, as some of its units have "
            "as many outputs as inputs now: give another share."
        )
    samples = sample_inputs(own.inputs)
    found, wanted = (
        outputs_of(as_function(each, input_shape, levels=[]), samples)
        for each in (small, model)
    )
    everything = {each: np.ones(each.size, bool) for each in network.sets}
    return Slimmed(
        small,
        rules,
        (_multiply_adds(network, everything), _multiply_adds(network, kept)),
        tuple(sum(m.sum() for m in masks.values()) for masks in (everything, kept)),
        largest_difference(found, wanted),
    )


_Masks = Mapping[Channels, np.ndarray]


def _chosen(
    network: Network, multiply_adds: float | None, threshold: float | None
) -> dict[Channels, np.ndarray]:
    """Returns which channels stay, of each set that may be cut; at least one, and for a
    share of multiply-adds a tenth: worth is hardly one measure for all layers, and what
    has three channels left lets nothing through."""
    sets = network.sets
    least_share = 0.0 if multiply_adds is None else _LEAST_SHARE
    worth = np.concatenate([each.worth for each in sets])
    best = np.concatenate([_best(each.worth, least_share) for each in sets])
    order = np.argsort(np.where(best, np.inf, worth), kind="stable")
    most = len(worth) - int(best.sum())
    ends = np.cumsum([each.size for each in sets])[:-1]

    def without(number: int) -> dict[Channels, np.ndarray]:
        mask = np.ones(len(worth), bool)
        mask[order[:number]] = False
        return dict(zip(sets, np.split(mask, ends), strict=True))

    if multiply_adds is None:
        return without(min(most, int((worth[order] <= threshold).sum())))
    whole = _multiply_adds(network, without(0))
    least = _multiply_adds(network, without(most)) / whole
    if least > multiply_adds:
        raise ValueError(
            f"multiply_adds={multiply_adds} cannot be reached: with a tenth of the "
            f"channels of each layer that may be cut, {least:.3f} are left."
        )
    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        if _multiply_adds(network, without(middle)) <= multiply_adds * whole:
            high = middle
        else:
            low = middle + 1
    return without(low)


def _best(worth: np.ndarray, share: float) -> np.ndarray:
    """Marks that share of the channels, at least one; the first of those alike."""
    best = np.zeros(len(worth), bool)
    number = max(1, math.ceil(share * len(worth)))
    best[np.argsort(-worth, kind="stable")[:number]] = True
    return best


def _mask(sets: Sequence[Channels], kept: _Masks) -> np.ndarray:
    """Which channels stay, of several sets side by side."""
    masks = [kept.get(each.root, np.ones(each.size, bool)) for each in sets]
    return np.concatenate(masks)


def _multiply_adds(network: Network, kept: _Masks) -> int:
    total = 0
    for layer in network.layers:
        inputs, outputs = (
            int(_mask(sets, kept).sum()) for sets in (layer.inputs, layer.outputs)
        )
        total += layer.positions * outputs * (1 if layer.depthwise else inputs)
    return total


def _rules(network: Network, kept: _Masks) -> list[tuple[str, dict[str, Any]]]:
    """How many outputs layers have, where what they are given or give has changed."""
    rules = []
    for layer in network.layers:
        masks = [_mask(sets, kept) for sets in (layer.inputs, layer.outputs)]
        if not (layer.depthwise or all(mask.all() for mask in masks)):
            rules.append((re.escape(layer.scope), {"num_outputs": int(masks[1].sum())}))
    return rules


def _cut(
    network: Network, kept: _Masks, values: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Returns the variables of the smaller network."""
    values = dict(values)
    for layer in network.layers:
        _absorb(layer, ~_mask(layer.inputs, kept), values)
    for layer in network.layers:
        inputs, outputs = (_mask(sets, kept) for sets in (layer.inputs, layer.outputs))
        weights = values[layer.weights][..., inputs, :]
        values[layer.weights] = weights if layer.depthwise else weights[..., outputs]
    for name, sets in network.vectors.items():
        values[name] = values[name][_mask(sets, kept)]
    return values


def _absorb(layer: Layer, gone: np.ndarray, values: dict[str, np.ndarray]) -> None:
    """Lets what shifts a layer's outputs have the part of inputs of one value."""
    if layer.depthwise or not (gone & (layer.constants != 0)).any():
        return
    weights = values[layer.weights]
    weights = weights.sum(tuple(range(weights.ndim - 2)))
    part = (layer.constants * gone) @ weights
    if layer.bias:
        values[layer.bias] = (values[layer.bias] + part).astype(np.float32)
    elif layer.mean:
        values[layer.mean] = (values[layer.mean] - part).astype(np.float32)


def _kinds(graph_def: Any) -> list[str]:
    return sorted(node.op for node in graph_def.node)
