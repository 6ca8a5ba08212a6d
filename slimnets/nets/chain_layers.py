"""Layers of chains, as data: convolutions, pools, and branches of them side by side.

Each builds itself, and knows without being built what it does to stride, channels and
receptive field.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import layers

Depth = Callable[[int], int]
Path = list[tuple[int, int]]  # Kernel and stride of what is passed, in order.


@dataclasses.dataclass(frozen=True)
class Conv:
    """A convolution; a separable one if `multiplier` is given.

    Attributes:
        name: of its scope.
        depth: number of outputs; None for the depthwise part of a separable one alone.
        kernel: an int, or height and width.
        stride: of the convolution.
        padding: `SAME`, `VALID`, or None for what the arg scopes say.
        options: further arguments of the layer.
        multiplier: gives the depthwise outputs of each channel of a separable one.
        key: of its end point; the name if empty.
        before: applied to the inputs first, a normalization without variables.
        scaled: whether the depth is scaled with the others.
    """

    name: str
    depth: int | None
    kernel: int | tuple[int, int] = 3
    stride: int = 1
    padding: str | None = "SAME"
    options: tuple[tuple[str, Any], ...] = ()
    multiplier: Callable[[Depth], int] | None = None
    key: str = ""
    before: Callable[[tf.Tensor], tf.Tensor] | None = None
    scaled: bool = True
    activated = True
    sees_whole_image = False

    def build(self, net: tf.Tensor, depth: Depth, stride: int, rate: int) -> tf.Tensor:
        """Returns the outputs for `net`."""
        net = self.before(net) if self.before else net
        options = dict(self.options)
        if self.padding is not None:
            options["padding"] = self.padding
        if rate > 1:
            options["rate"] = rate
        outputs = None if self.depth is None else self.depth_of(0, depth)
        conv = layers.conv2d
        if self.multiplier is not None:
            conv = layers.separable_conv2d
            options["depth_multiplier"] = self.multiplier(depth)
        return conv(
            net, outputs, self.kernel, stride=stride, scope=self.name, **options
        )

    def depth_of(self, inputs: int, depth: Depth) -> int:
        """Returns the number of channels of the outputs."""
        if self.depth is None:
            return inputs
        return depth(self.depth) if self.scaled else self.depth

    def paths(self) -> list[Path]:
        """Returns what each way through passes."""
        kernel = self.kernel if isinstance(self.kernel, int) else max(self.kernel)
        return [[(kernel, self.stride)]]


@dataclasses.dataclass(frozen=True)
class Pool:
    """A pool: `max` or `avg`. Other attributes as of `Conv`."""

    name: str
    kernel: int = 3
    stride: int = 2
    padding: str | None = "SAME"
    kind: str = "max"
    key: str = ""
    before: Callable[[tf.Tensor], tf.Tensor] | None = None
    activated = True
    sees_whole_image = False

    def build(self, net: tf.Tensor, depth: Depth, stride: int, rate: int) -> tf.Tensor:
        """Returns the outputs for `net`."""
        net = self.before(net) if self.before else net
        pool = {"max": layers.max_pool2d, "avg": layers.avg_pool2d}[self.kind]
        options = {} if self.padding is None else {"padding": self.padding}
        return pool(net, self.kernel, stride=stride, scope=self.name, **options)

    def depth_of(self, inputs: int, depth: Depth) -> int:
        """Returns the number of channels of the outputs."""
        return inputs

    def paths(self) -> list[Path]:
        """Returns what each way through passes."""
        return [[(self.kernel, self.stride)]]


@dataclasses.dataclass(frozen=True)
class Mixed:
    """Branches side by side, whose outputs are concatenated.

    Attributes:
        name: of its scope and end point.
        branches: each a sequence of layers, in the scopes `Branch_0`, `Branch_1` ...; a
            tuple among them are layers side by side once more.
    """

    name: str
    branches: tuple[tuple[Any, ...], ...]
    key: str = ""
    activated = True
    sees_whole_image = False

    @property
    def stride(self) -> int:
        stride = 1
        for _, step in self.paths()[0]:
            stride *= step
        return stride

    def build(self, net: tf.Tensor, depth: Depth, stride: int, rate: int) -> tf.Tensor:
        """Returns the outputs for `net`."""
        with tf.compat.v1.variable_scope(self.name):
            return self.concatenated(net, depth, rate)

    def concatenated(self, net: tf.Tensor, depth: Depth, rate: int) -> tf.Tensor:
        """Returns the branches' outputs, in the scope that is open."""
        outputs = []
        for index, branch in enumerate(self.branches):
            with tf.compat.v1.variable_scope(f"Branch_{index}"):
                end = net
                for layer in branch:
                    parts = [
                        part.build(end, depth, part.stride, rate)
                        for part in _side_by_side(layer)
                    ]
                    end = tf.concat(parts, 3) if len(parts) > 1 else parts[0]
                outputs.append(end)
        return tf.concat(outputs, 3)

    def depth_of(self, inputs: int, depth: Depth) -> int:
        """Returns the number of channels of the outputs."""
        total = 0
        for branch in self.branches:
            channels = inputs
            for layer in branch:
                parts = _side_by_side(layer)
                channels = sum(part.depth_of(channels, depth) for part in parts)
            total += channels
        return total

    def paths(self) -> list[Path]:
        """Returns what each way through passes."""
        found = []
        for branch in self.branches:
            ways: list[Path] = [[]]
            for layer in branch:
                parts = _side_by_side(layer)
                steps = [step for part in parts for step in part.paths()]
                ways = [way + step for way in ways for step in steps]
            found.extend(ways)
        return found


def _side_by_side(layer: Any) -> tuple[Any, ...]:
    return layer if isinstance(layer, tuple) else (layer,)
