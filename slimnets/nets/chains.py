"""Chains: networks of named layers in a row, as data, and how they are built.

TF-Slim's networks beside the ResNets are such rows: a convolution, a pool, or several
branches side by side. Each layer of a chain is an end point, and may be the last one
that is built.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import tensorflow as tf

from slimnets.end_points import EndPoints
from slimnets.nets.chain_layers import Depth
from slimnets.scopes import Scope


class Known(NamedTuple):
    """What is known of a layer's activation without building it."""

    key: str
    stride: int
    channels: int
    receptive_field: int
    sees_whole_image: bool
    activated: bool


@dataclasses.dataclass(frozen=True)
class Chain:
    """A named network of layers in a row, as data.

    Attributes:
        name: of the network.
        layers: what it is made of, from the images to its last whole images. A layer
            that is `hidden` is no end point; one that `has_inner` has further ones.
        arg_scope: gives the family's arg scope.
        tail: further layers, after an average over the image.
        image_size: the side of the images it is made for, in pixels.
        depth_multiplier: scales the depths by default.
        min_depth: what a depth is never scaled below.
        divisor: of which scaled depths are multiples; 0 for any depth.
        scoped: whether keys of end points begin with the network's scope.
        strides: the output strides that atrous convolution may keep; empty for none.
        normalized: whether its activations come behind normalization.
        no_levels: why it has no levels; empty if it has.
        fixed_size: whether its dense layers need the size of the images.
        weights: whose weights load into it.
        sources: the mappings of names that each kind of file may have.
        root: its first variable, relative to its scope.
        logits: its logits' last variable, whose size is the number of classes.
    """

    name: str
    layers: tuple[Any, ...]
    arg_scope: Callable[..., Scope]
    tail: tuple[Any, ...] = ()
    image_size: int = 224
    depth_multiplier: float = 1.0
    min_depth: int = 0
    divisor: int = 0
    scoped: bool = False
    strides: tuple[int, ...] = ()
    normalized: bool = True
    no_levels: str = ""
    fixed_size: bool = False
    weights: str = "tf-slim"
    sources: tuple[tuple[str, tuple[str, ...]], ...] = ()
    root: str = ""
    logits: str = ""

    def of(self, layers: tuple[Any, ...], tail: tuple[Any, ...] = ()) -> Chain:
        """Returns the same network of other layers."""
        return dataclasses.replace(self, layers=layers, tail=tail)

    def depth(
        self, depth_multiplier: float | None = None, min_depth: int | None = None
    ) -> Depth:
        """Returns the function that scales depths.

        Raises:
            ValueError: for a multiplier that is not positive.
        """
        factor = self.depth_multiplier if depth_multiplier is None else depth_multiplier
        least = self.min_depth if min_depth is None else min_depth
        if not factor > 0:
            raise ValueError(f"depth_multiplier={factor!r}; allowed is more than 0.")
        if self.divisor:
            return lambda depth: divisible(depth * factor, self.divisor, least)
        return lambda depth: max(int(depth * factor), least)

    def planned(self, output_stride: int | None = None) -> Iterator[tuple]:
        """Yields each layer with its stride, its rate, and the stride so far.

        Raises:
            ValueError: for an output stride that cannot be had.
        """
        if output_stride is not None and output_stride not in self.strides:
            allowed = ", ".join([*map(str, self.strides), "None"])
            raise ValueError(
                f"{self.name}: output_stride={output_stride!r}; allowed: {allowed}."
            )
        total = rate = 1
        for layer in self.layers:
            if total == output_stride:
                yield layer, 1, rate, total
                rate *= layer.stride
            else:
                total *= layer.stride
                yield layer, layer.stride, 1, total

    def known(self, depth: Depth, output_stride: int | None = None) -> Iterator[Known]:
        """Yields what is known of each layer's activation; see `planned`."""
        channels, field, jump, whole = 0, 1, 1, False
        for layer, stride, rate, total in self.planned(output_stride):
            fields = []
            for path in layer.paths():
                seen, reached = field, jump
                for kernel, step in path:
                    seen += (kernel - 1) * rate * reached
                    reached *= step if stride == layer.stride else 1
                fields.append(seen)
            field, jump = max(fields), total
            channels = layer.depth_of(channels, depth)
            whole = whole or layer.sees_whole_image
            key = _key(layer)
            key = f"{self.name}/{key}" if self.scoped else key
            yield Known(key, total, channels, field, whole, layer.activated)

    def build(
        self,
        net: tf.Tensor,
        end_points: EndPoints,
        scope_name: str,
        depth: Depth,
        final_endpoint: str | None = None,
        output_stride: int | None = None,
    ) -> tf.Tensor:
        """Builds the layers, up to and with one of them, and records them.

        Args:
            net: `[batch, height, width, channels]`.
            end_points: where the outputs are recorded.
            scope_name: full name of the network's scope.
            depth: gives the number of channels for that of the row.
            final_endpoint: the last layer that is built; None for all.
            output_stride: None for the layers' own strides.

        Raises:
            ValueError: for an unknown end point or output stride.
        """
        every = (*self.layers, *self.tail)
        keys = [_key(layer) for layer in every if not getattr(layer, "hidden", False)]
        if final_endpoint is not None and final_endpoint not in keys:
            raise ValueError(
                f"{self.name}: unknown final endpoint {final_endpoint!r}; allowed are "
                f"{', '.join(keys)}."
            )
        inner: dict[str, tf.Tensor] = {}
        tail = ((layer, 1, 1, None) for layer in self.tail)
        for layer, stride, rate, total in (*self.planned(output_stride), *tail):
            if getattr(layer, "has_inner", False):
                net = layer.build(net, depth, stride, rate, inner)
            else:
                net = layer.build(net, depth, stride, rate)
            if getattr(layer, "hidden", False):
                continue
            key = _key(layer)
            if self.scoped:
                end_points.add(f"{scope_name}/{key}", net)
            else:
                end_points[key] = net
            if total and not self.no_levels:
                end_points.mark_stride(net, total)
            if key == final_endpoint:
                break
        end_points.update(inner)
        return net


def _key(layer: Any) -> str:
    return layer.key or layer.name


def divisible(value: float, divisor: int = 8, least: int = 0) -> int:
    """Returns the nearest multiple of `divisor`, no less than nine tenths of `value`.

    Source: `_make_divisible` of the MobileNets in research/slim.
    """
    rounded = max(least or divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded
