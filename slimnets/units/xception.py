"""Xception's unit: three separable convolutions beside a shortcut.

Source: [1] Chollet, Xception, arXiv:1610.02357, figure 5; [2] Chen et al.,
Encoder-Decoder with Atrous Separable Convolution, arXiv:1802.02611, figure 4; names and
layout of DeepLab's core/xception.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from slimnets import end_points, layers
from slimnets.scopes import add_arg_scope
from slimnets.units.inverted import depthwise
from slimnets.units.shortcuts import add
from slimnets.units.traits import Traits, describes


def _traits(
    channels, depths, stride=1, rate=1, next_rate=None, shortcut="conv",
    activate_within=False, unit_rates=(1, 1, 1), whole=False, **_,
) -> Traits:  # fmt: skip
    strides = (1, 1, stride)
    steps = tuple((3, s, rate * f) for s, f in zip(strides, unit_rates, strict=True))
    within = f"{_NAME}/separable_conv2{'' if whole else '_pointwise'}"
    return Traits(
        depths[-1],
        (steps,),
        activated=activate_within and shortcut == "none",
        key=_NAME,
        before_stride=Traits(
            depths[1], (steps[:2],), activated=activate_within, key=within
        ),
    )


_NAME = "xception_module"
# Of bounded activations, which quantize well.
_CAP = 6.0


@describes(_traits)
@add_arg_scope(default_scope=_NAME)
def xception_module(
    inputs: tf.Tensor,
    depths: tuple[int, int, int],
    stride: int = 1,
    rate: int = 1,
    outputs_collections: Any = None,
    scope: str | None = None,
    *,
    shortcut: str = "conv",
    activate_within: bool = False,
    unit_rates: Sequence[int] = (1, 1, 1),
    whole: bool = False,
    bounded: bool = False,
    drop_path_rate: float = 0.0,
    activation_fn: Callable = tf.nn.relu,
) -> tf.Tensor:
    """Three separable convolutions; a level's last activation is the second's.

    Other arguments as of `bottleneck_v1`.

    Args:
        depths: channels of the three.
        stride: of the last one, and of the shortcut.
        shortcut: `conv` for a 1x1 convolution, `sum` for the inputs, or `none`.
        activate_within: whether activations follow on each convolution, of the
            separable ones too, and not come before each separable one.
        unit_rates: factors of the three's rates.
        whole: whether norms and activations follow on whole separable convolutions,
            and not on their depthwise parts too.
        bounded: whether values stay between -6 and 6 (6 is the largest activation), and
            strided convolutions pad as `SAME`.
        activation_fn: the activation; ReLU6 where `bounded`.

    Returns:
        `[batch, ceil(height / stride), ceil(width / stride), depths[-1]]`.

    Raises:
        ValueError: for another kind of shortcut, or one that cannot be added.
    """
    if shortcut not in ("conv", "sum", "none"):
        raise ValueError(
            f"shortcut={shortcut!r}; allowed are 'conv', 'sum' and 'none'."
        )
    clipped = _clipped if bounded else tf.identity
    activation_fn = tf.nn.relu6 if bounded else activation_fn
    inner = {"activation_fn": activation_fn}
    if not activate_within:
        inner = {"activation_fn": _clipped if bounded else None}
    padding = "SAME" if bounded else "EVEN"
    with tf.compat.v1.variable_scope(scope, _NAME, [inputs]) as sc:
        net = inputs
        for i, (depth, factor) in enumerate(zip(depths, unit_rates, strict=True), 1):
            if i == 3 and stride > 1:
                end_points.mark_before_stride(outputs_collections, inputs, net)
            net = net if activate_within else activation_fn(net)
            step = stride if i == 3 else 1
            name = f"separable_conv{i}"
            inner |= {"scope": name if whole else f"{name}_depthwise"}
            of = depth if whole else None
            net = depthwise(net, 3, step, rate * factor, padding, of, **inner)
            if not whole:
                inner |= {"scope": f"{name}_pointwise"}
                net = layers.conv2d(net, depth, 1, **inner)
        if shortcut != "none":
            net = layers.drop_path(net, drop_path_rate)
            if shortcut == "conv":
                inputs = layers.conv2d(
                    *(inputs, depths[-1], 1, stride),
                    activation_fn=None,
                    scope="shortcut",
                )
            net = add(clipped(inputs), clipped(net), sc.name)
            net = activation_fn(net) if bounded else net
        return end_points.collect(outputs_collections, sc.name, net)


def _clipped(net: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(net, -_CAP, _CAP)
