"""Branches whose outputs, concatenated and scaled, are added to what comes in.

Source: Szegedy et al., Inception-v4, Inception-ResNet and the Impact of Residual
Connections on Learning, arXiv:1602.07261, figures 16, 17 and 19.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import end_points, layers
from slimnets.layers.building import channels_of
from slimnets.scopes import add_arg_scope
from slimnets.units.mixed import Mixed, concatenated
from slimnets.units.shortcuts import add
from slimnets.units.traits import Traits, describes


def _traits(
    channels, branches, stride=1, rate=1, next_rate=None, key="", scope="",
    activation_fn=tf.nn.relu, **_,
) -> Traits:  # fmt: skip
    inner = Mixed("", branches).traits(channels, stride, rate, next_rate or rate)
    return inner._replace(
        depth=channels, activated=activation_fn is not None, key=key or scope
    )


@describes(_traits)
@add_arg_scope(default_scope="mixed_residual")
def mixed_residual(
    inputs: tf.Tensor,
    branches: tuple[tuple[Any, ...], ...],
    scale: float,
    stride: int = 1,
    rate: int = 1,
    outputs_collections: Any = None,
    scope: str | None = None,
    *,
    activation_fn: Callable | None = tf.nn.relu,
    drop_path_rate: float = 0.0,
    key: str = "",
) -> tf.Tensor:
    """One block of Inception-ResNet.

    Other arguments as of `bottleneck_v1`.

    Args:
        branches: as of `Mixed`.
        scale: of the 1x1 convolution of the branches, before it is added.
        stride: 1.
        activation_fn: of the sum; None for none.
        key: of the end point. Without one it is a further end point, of its scope.

    Returns:
        The sum, of the inputs' shape.
    """
    with tf.compat.v1.variable_scope(scope, "mixed_residual", [inputs]) as sc:
        net = mixed_sum(
            inputs,
            branches,
            scale,
            rate=rate,
            activation_fn=activation_fn,
            drop_path_rate=drop_path_rate,
        )
    name = end_points.full_name(key) if key else sc.name
    return end_points.collect(outputs_collections, name, net, further=not key)


def mixed_sum(
    inputs: tf.Tensor,
    branches: tuple[tuple[Any, ...], ...],
    scale: float,
    rate: int = 1,
    activation_fn: Callable | None = tf.nn.relu,
    drop_path_rate: float = 0.0,
) -> tf.Tensor:
    """`mixed_residual` in the scope that is open, without an end point.

    Where the activation is ReLU6, what is added stays between -6 and 6 too.
    """
    mixed = concatenated(inputs, branches, 1, rate, rate)
    residual = layers.conv2d(
        mixed,
        channels_of(inputs),
        1,
        normalizer_fn=None,
        activation_fn=None,
        scope="Conv2d_1x1",
    )
    residual = scale * layers.drop_path(residual, drop_path_rate)
    if activation_fn is tf.nn.relu6:
        residual = tf.clip_by_value(residual, -6.0, 6.0)
    return add(inputs, residual, "mixed_residual", activation_fn)
