"""Channels second, for networks that take a data format: all is built channels last."""

from __future__ import annotations

import tensorflow as tf

from slimnets.end_points import EndPoints
from slimnets.layers import building


def second(net: tf.Tensor, end_points: EndPoints) -> tuple[tf.Tensor, EndPoints]:
    """Returns an output and end points with the channels second."""
    made = {}

    def moved(value: tf.Tensor) -> tf.Tensor:
        if value.shape.rank == 4 and id(value) not in made:
            made[id(value)] = building.channels_second(value)
        return made.get(id(value), value)

    values = {**end_points, **end_points.further}
    return moved(net), end_points.with_values({k: moved(v) for k, v in values.items()})
