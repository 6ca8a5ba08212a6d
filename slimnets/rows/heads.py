"""Heads, as data: what follows on a network's stages, up to predictions.

What a head is made of is in `head_layers`. A layer there is told more than its input:
`Head.build` hands it the network's arguments and end points. `Conv` and `Norm` are
those of stages; here they are end points if they have a key.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets.end_points import EndPoints, full_name
from slimnets.units import Conv, Norm
from slimnets.units.single import scaled


class Reached(Exception):
    """The final end point has been built; `net` is its activation."""

    def __init__(self, net: tf.Tensor):
        super().__init__("the final end point")
        self.net = net


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of a network.

    Attributes:
        end_points: where everything is recorded.
        scope_name: full name of the network's scope.
        image_size: the side of the images that the network is made for.
        options: its arguments by name.
        outer_names: the name scope where it was called.
    """

    end_points: EndPoints
    scope_name: str
    image_size: int
    options: dict[str, Any]
    outer_names: str = ""

    def record(self, key: str, net: tf.Tensor) -> tf.Tensor:
        """Records an activation of the network's scope; none without a key."""
        if key:
            self.end_points.add(full_name(key, self.scope_name), net)
        return net

    def stop_at_final(self) -> None:
        """Raises `Reached` where the final end point is there."""
        final = self.options["final_endpoint"]
        if final is not None and final in self.end_points:
            raise Reached(self.end_points[final])

    @property
    def num_classes(self) -> int:
        return self.options["num_classes"]

    @property
    def features_only(self) -> bool:
        return not self.options["num_classes"]


@dataclasses.dataclass(frozen=True)
class Head:
    """What follows on a network's stages.

    Attributes:
        features: what makes the features.
        logits: what makes the logits of them, with classes only.
        end: what follows on the logits outside of the scope.
        scope: of features and logits; none if empty.
        tail: what comes before them, and belongs to the network without its head.
    """

    features: tuple[Any, ...] = ()
    logits: tuple[Any, ...] = ()
    end: tuple[Any, ...] = ()
    scope: str = ""
    tail: tuple[Any, ...] = ()

    def build(self, net: tf.Tensor, call: Call) -> tf.Tensor:
        """Returns the logits, or the features without classes."""
        net = _along(self.tail, net, call)
        if call.options.get("base_only"):
            return net
        scope = contextlib.nullcontext()
        if self.scope:
            scope = tf.compat.v1.variable_scope(self.scope)
        with scope:
            net = _along(self.features, net, call)
            if call.features_only:
                return net
            net = _along(self.logits, net, call)
        return _along(self.end, net, call)

    def scaled_by(self, scale: Callable[[int], int]) -> Head:
        """Returns the same head of other depths."""
        return dataclasses.replace(
            self,
            features=scaled(self.features, scale),
            tail=scaled(self.tail, scale),
        )


@dataclasses.dataclass(frozen=True)
class Auxiliary:
    """Logits for a second loss: the end point `AuxLogits`.

    Attributes:
        after: the end point that they are made of.
        layers: what makes them.
        scope: of these.
        end: what follows outside of the scope.
        scaled: whether depths are scaled with the network's.
        in_place: whether they are built when the end point is, and not after all
            stages.
    """

    after: str
    layers: tuple[Any, ...]
    scope: str = "AuxLogits"
    end: tuple[Any, ...] = ()
    scaled: bool = False
    in_place: bool = False

    def build(self, net: tf.Tensor, call: Call) -> None:
        """Records the logits."""
        with tf.compat.v1.variable_scope(self.scope):
            net = _along(self.layers, net, call)
        call.record("AuxLogits", _along(self.end, net, call))

    def scaled_by(self, scale: Callable[[int], int]) -> Auxiliary:
        """Returns the same of other depths, if they are scaled."""
        if not self.scaled:
            return self
        return dataclasses.replace(self, layers=scaled(self.layers, scale))


def _along(parts: tuple[Any, ...], net: tf.Tensor, call: Call) -> tf.Tensor:
    for part in parts:
        if isinstance(part, (Conv, Norm)):
            net = call.record(part.key, part.build(net, 1, 1, 1))
        else:
            net = part.build(net, call)
        call.stop_at_final()
    return net
