"""Branches of single layers side by side, as data: Inception's blocks."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.units.single import Scale, scaled
from slimnets.units.traits import Path, Traits


@dataclasses.dataclass(frozen=True)
class Mixed:
    """Branches side by side, whose outputs are concatenated.

    Attributes:
        name: of its scope and end point.
        branches: each a sequence of layers, in the scopes `Branch_0`, `Branch_1` ...; a
            tuple among them are layers side by side once more.
        key: of its end point; the name if empty.
    """

    name: str
    branches: tuple[tuple[Any, ...], ...]
    key: str = ""

    @property
    def stride(self) -> int:
        stride = 1
        for layer in self.branches[0]:
            stride *= _side_by_side(layer)[0].stride
        return stride

    def build(self, net: tf.Tensor, stride: int, rate: int, next_rate: int):
        """Returns the outputs for `net`."""
        with tf.compat.v1.variable_scope(self.name):
            return concatenated(net, self.branches, stride, rate, next_rate)

    def traits(self, channels: int, stride: int, rate: int, next_rate: int) -> Traits:
        """Returns what it does."""
        ends = [
            _along(branch, channels, stride, rate, next_rate)
            for branch in self.branches
        ]
        return Traits(
            sum(end.depth for end in ends),
            tuple(path for end in ends for path in end.paths),
            exact=all(end.exact for end in ends),
            key=self.key or self.name,
        )

    def scaled_by(self, scale: Scale) -> Mixed:
        """Returns the same branches of other depths."""
        return dataclasses.replace(self, branches=scaled(self.branches, scale))


def concatenated(
    net: tf.Tensor,
    branches: tuple[tuple[Any, ...], ...],
    stride: int,
    rate: int,
    next_rate: int,
) -> tf.Tensor:
    """Returns the branches' outputs, in the scope that is open."""
    outputs = []
    for index, branch in enumerate(branches):
        with tf.compat.v1.variable_scope(f"Branch_{index}"):
            end = net
            for layer, *step in _steps(branch, stride, rate, next_rate):
                parts = [part.build(end, *step) for part in _side_by_side(layer)]
                end = tf.concat(parts, 3) if len(parts) > 1 else parts[0]
            outputs.append(end)
    return layers.activations(tf.concat(outputs, 3), scope="concat")


def _steps(branch: tuple[Any, ...], stride: int, rate: int, next_rate: int):
    """Each layer with its stride and rates; those of the layers, or none at all."""
    for layer in branch:
        own = _side_by_side(layer)[0].stride
        if own > 1 and stride == 1:
            yield layer, 1, rate, next_rate
            rate = next_rate
        else:
            yield layer, own, rate, rate


def _along(
    branch: tuple[Any, ...], channels: int, stride: int, rate: int, next_rate: int
) -> Traits:
    """What all of a branch does."""
    paths: list[Path] = [()]
    exact = True
    for layer, *step in _steps(branch, stride, rate, next_rate):
        parts = [part.traits(channels, *step) for part in _side_by_side(layer)]
        channels = sum(part.depth for part in parts)
        exact = exact and all(part.exact for part in parts)
        steps = [step for part in parts for step in part.paths]
        paths = [path + step for path in paths for step in steps]
    return Traits(channels, tuple(paths), exact=exact)


def _side_by_side(layer: Any) -> tuple[Any, ...]:
    return layer if isinstance(layer, tuple) else (layer,)
