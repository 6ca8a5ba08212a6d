"""A registered network as the backbone of a head."""

from __future__ import annotations

import inspect
from typing import Any

import tensorflow as tf

from slimnets import factory
from slimnets.end_points import EndPoints


def build_backbone(
    name: str, images: tf.Tensor, is_training: bool | tf.Tensor, **options: Any
) -> EndPoints:
    """Builds a network without its head, and returns its end points.

    Args:
        name: a registered network.
        images: `[batch, height, width, channels]`.
        is_training: as the network takes it.
        **options: further arguments of the network's function.

    Raises:
        ValueError: for an unknown network, or an option that it does not have.
    """
    taken = inspect.signature(factory.network_info(name).network).parameters
    unknown = [option for option in options if option not in taken]
    if unknown:
        raise ValueError(
            f"{name} does not take {', '.join(unknown)}; allowed are "
            f"{', '.join(list(taken)[1:])}."
        )
    if "global_pool" in taken:
        options["global_pool"] = False
    _, end_points = factory.build(name, images, is_training=is_training, **options)
    return end_points
