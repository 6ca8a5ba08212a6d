"""What a unit does to depth, stride and receptive field, without building it.

A unit function says it by an attribute, which `describes` sets; one that says nothing
is traced once, in a graph that is thrown away.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from slimnets.units.views import WHOLE, View, view_of

Kernel = int | tuple[int, int]
# What one way through a unit passes, in order: kernel, stride and rate of each.
Path = tuple[tuple[Kernel, int, int], ...]
_TRACED_SIZE = 64


class Traits(NamedTuple):
    """What is known of a unit's output.

    Attributes:
        depth: its channels.
        paths: every way from the input to it that may see furthest.
        sees_whole_image: whether each position depends on all of the image.
        normalized: whether it comes behind normalization,
        activated: and behind an activation function.
        exact: whether its size is the input's by the stride, rounded up.
        key: its end point, relative to the scope that the unit is built in; None if
            it has none.
        preact: the end point of the input, normalized and activated; None likewise.
        before_stride: of the last activation at the stride of the input; None if the
            unit has none of its own.
    """

    depth: int
    paths: tuple[Path, ...] = ((),)
    sees_whole_image: bool = False
    normalized: bool = True
    activated: bool = True
    exact: bool = True
    key: str | None = None
    preact: str | None = None
    before_stride: Traits | None = None


def describes(traits: Callable[..., Traits]) -> Callable[[Callable], Callable]:
    """A decorator that tells a unit function's traits.

    Args:
        traits: called with the channels of the unit's input, and by name with stride,
            rate, next_rate and whatever else the unit is built with.
    """

    def mark(unit_fn: Callable) -> Callable:
        vars(unit_fn)["traits"] = traits
        return unit_fn

    return mark


def traits_of(unit_fn: Callable, channels: int, **kwargs: Any) -> Traits:
    """Returns a unit's traits.

    Args:
        unit_fn: the unit function.
        channels: of its input.
        **kwargs: what it is built with: `stride`, `rate`, `next_rate` and its own.
    """
    described = getattr(unit_fn, "traits", None)
    if described is not None:
        return described(channels, **kwargs)
    return _traced(unit_fn, channels, tuple(sorted(kwargs.items())))


@functools.cache
def _traced(unit_fn: Callable, channels: int, items: tuple) -> Traits:
    kwargs = dict(items)
    if "next_rate" not in inspect.signature(unit_fn).parameters:
        kwargs.pop("next_rate", None)
    with tf.Graph().as_default() as graph:
        shape = [1, _TRACED_SIZE, _TRACED_SIZE, channels]
        images = tf.compat.v1.placeholder(tf.float32, shape)
        outputs = unit_fn(images, **kwargs)
        view = _views(graph)[outputs.name]
    whole = WHOLE in view.fields
    height, width = view.fields
    kernel = 1 if whole else (int(height), int(width))
    stride = int(view.strides[0])
    size = outputs.shape.as_list()[1]
    return Traits(
        outputs.shape.as_list()[-1],
        (((kernel, stride, 1),),),
        whole,
        exact=size in (None, -(-_TRACED_SIZE // stride)),
        key=getattr(unit_fn, "__name__", "unit"),
    )


def _views(graph: tf.Graph) -> Mapping[str, View]:
    """What each tensor of a graph sees of its one placeholder."""
    views: dict[str, View] = {}
    for op in graph.get_operations():
        seen = [views[tensor.name] for tensor in op.inputs if tensor.name in views]
        if op.type == "Placeholder":
            seen = [View()]
        if seen:
            view = view_of(op, seen)
            views.update({tensor.name: view for tensor in op.outputs})
    return views
