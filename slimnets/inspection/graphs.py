"""Networks as new graphs, and their summaries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import factory
from slimnets.inspection.layers import layers_of
from slimnets.inspection.summary import Summary
from slimnets.model import Model


def summarize(
    network: str | Callable | tf.Graph | Model,
    *,
    num_classes: int | None = 1000,
    input_shape: Any = None,
    **kwargs: Any,
) -> Summary:
    """Returns the summary of a network, a graph or a Model.

    Args:
        network: a registered name; a network function; a graph; or a Model.
        num_classes: of a name or a function; 1000 by default.
        input_shape: `[batch, height, width, channels]`, or a structure of shapes for
            several inputs; by default one image, or cloud of points in space, of the
            network's default size.
        **kwargs: further arguments of the network's function.

    Raises:
        ValueError: for an unknown name, or inputs whose shape must be given.
    """
    if isinstance(network, tf.Graph):
        return Summary("graph", tuple(layers_of(network)))
    name, graph = graph_of(network, num_classes, input_shape, **kwargs)
    return Summary(name, tuple(layers_of(graph)))


def graph_of(
    network: str | Callable | Model,
    num_classes: int | None = 1000,
    input_shape: Any = None,
    *,
    with_training: bool = False,
    **kwargs: Any,
) -> tuple[str, tf.Graph]:
    """Returns a network's name and a new graph of it; the rest is as of `summarize`.

    Args:
        with_training: whether a placeholder `is_training` chooses between training and
            inference; without, the graph is for inference.
    """
    if isinstance(network, Model):
        name, size = network.network_name, network.default_image_size
    elif isinstance(network, str):
        name, size = network, factory.network_info(network).default_image_size
    else:
        name = getattr(network, "__name__", "network")
        size = getattr(network, "default_image_size", None)
    if input_shape is None:
        input_shape = _default_shape(name, size)
    with tf.Graph().as_default() as graph:
        inputs = placeholders(input_shape)
        training = False
        if with_training:
            training = tf.compat.v1.placeholder(tf.bool, [], name="is_training")
        if isinstance(network, Model):
            network.build_in_graph(inputs, training, **kwargs)
        elif isinstance(network, str):
            function = factory.get_network_fn(network, num_classes, 0.0, training)
            function(inputs, **kwargs)
        else:
            network(inputs, num_classes=num_classes, is_training=training, **kwargs)
    return name, graph


def _default_shape(name: str, size: int | None) -> list[int]:
    if not size:
        raise ValueError(
            f"{name} has no default size of its inputs: give input_shape, as "
            '[1, 224, 224, 3], or of several inputs as {"clouds": [[1, 100, 3]]}.'
        )
    known = name in factory.list_networks() and factory.network_info(name).family
    # Of clouds the size is a number of points.
    return [1, size, 3] if known == "point_cloud" else [1, size, size, 3]


def placeholders(shapes: Any, name: str = "inputs") -> Any:
    """Returns a placeholder for each shape in a structure of lists and dicts.

    Raises:
        ValueError: for anything else.
    """
    if isinstance(shapes, dict):
        return {key: placeholders(value, key) for key, value in shapes.items()}
    sizes = shapes if isinstance(shapes, (list, tuple, tf.TensorShape)) else "?"
    if sizes and isinstance(sizes[0], (list, tuple)):
        return [
            placeholders(value, f"{name}_{index}")
            for index, value in enumerate(sizes, start=1)
        ]
    if not all(size is None or isinstance(size, int) for size in sizes):
        raise ValueError(
            f"{name} of the shape {shapes!r}; allowed is a list of integers, or None "
            "where unknown, or a list or dict of such lists."
        )
    return tf.compat.v1.placeholder(tf.float32, shapes, name=name)
