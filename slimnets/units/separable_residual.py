"""Xception's unit as its paper has it: separable convolutions, then a pool.

Source: [1] Chollet, Xception, arXiv:1610.02357, figure 5; names of keras.applications'
xception (Apache 2.0).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from slimnets import end_points, layers
from slimnets.layers.building import channels_of
from slimnets.scopes import add_arg_scope
from slimnets.units.inverted import one_each
from slimnets.units.shortcuts import add
from slimnets.units.single import Conv, Pool
from slimnets.units.traits import Traits, describes


def _traits(channels, depths, stride=1, rate=1, next_rate=None, **_) -> Traits:
    path = tuple((3, 1, rate) for _ in depths)
    pool = () if depths[-1] == channels else ((3, stride, rate),)
    key = "separable_residual"
    return Traits(depths[-1], ((*path, *pool),), activated=False, key=key)


@describes(_traits)
@add_arg_scope(default_scope="separable_residual")
def separable_residual(
    inputs: tf.Tensor,
    depths: Sequence[int],
    stride: int = 1,
    rate: int = 1,
    outputs_collections: Any = None,
    scope: str | None = None,
    *,
    next_rate: int | None = None,
    drop_path_rate: float = 0.0,
    activation_fn: Callable = tf.nn.relu,
) -> tf.Tensor:
    """Activation and separable 3x3 convolution, a few times; a max pool; a shortcut.

    Where the depth stays, no pool, and the input as the shortcut.

    Other arguments as of `bottleneck_v1`.

    Args:
        depths: channels of each convolution's output.
        stride: of the pool and the shortcut's convolution.
        activation_fn: before each convolution.

    Returns:
        `[batch, ceil(height / stride), ceil(width / stride), depths[-1]]`.
    """
    with tf.compat.v1.variable_scope(scope, "separable_residual", [inputs]) as sc:
        net, shortcut = inputs, inputs
        linear = (("activation_fn", None),)
        for i, depth in enumerate(depths, start=1):
            name = f"separable_conv{i}"
            conv = Conv(name, depth, options=linear, multiplier=one_each)
            net = conv.build(activation_fn(net), 1, rate, rate)
        if depths[-1] != channels_of(inputs):
            net = Pool("pool").build(net, stride, rate, rate)
            conv = Conv("shortcut", depths[-1], 1, options=linear)
            shortcut = conv.build(inputs, stride, 1, 1)
        net = add(shortcut, layers.drop_path(net, drop_path_rate), sc.name)
        return end_points.collect(outputs_collections, sc.name, net)
