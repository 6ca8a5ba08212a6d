"""Inverted residuals: 1x1 up, depthwise, 1x1 down to a linear end.

Source: [1] Sandler et al., MobileNetV2, arXiv:1801.04381, figure 4d; [2] Howard et al.,
Searching for MobileNetV3, arXiv:1905.02244, figure 4; [3] Tan & Le, EfficientNet,
arXiv:1905.11946; [4] Qin et al., MobileNetV4, arXiv:2404.10518, figure 4; [5] Tan & Le,
EfficientNetV2, arXiv:2104.00298, figure 2; names and layout of research/slim's
nets/mobilenet.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import end_points, layers
from slimnets.layers.building import channels_of
from slimnets.scopes import add_arg_scope
from slimnets.units.shortcuts import add
from slimnets.units.single import Conv
from slimnets.units.traits import Traits, describes


def hard_swish(x: tf.Tensor) -> tf.Tensor:
    """Section 5.2 of [2]."""
    with tf.name_scope("hard_swish"):
        return x * tf.nn.relu6(x + 3.0) * (1.0 / 6.0)


def hard_gate(inputs: tf.Tensor) -> tf.Tensor:
    """Figure 4 of [2]; as rounded in research/slim, whose checkpoints have it so."""
    return tf.nn.relu6(inputs + 3.0) * 0.16667


def divisible(
    value: float, divisor: int = 8, least: int = 0, keeps: float = 0.9
) -> int:
    """Returns the nearest multiple of `divisor`, no less than `keeps` of `value`.

    Source: `_make_divisible` of the MobileNets in research/slim.
    """
    rounded = max(least or divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < keeps * value else rounded


def _traits(
    channels, depth, kernel=3, stride=1, rate=1, next_rate=1, start_kernel=0,
    squeeze_ratio=None, expansion=6, divisor=8, fused=False, key="",
    scope="inverted_residual", **_,
) -> Traits:  # fmt: skip
    if fused and divisible(channels * expansion, divisor) <= channels:
        kernel = 1
    first = (start_kernel, 1 if kernel else stride, rate)
    path = tuple(step for step in (first, (kernel, stride, rate)) if step[0])
    return Traits(
        depth,
        (path,),
        sees_whole_image=squeeze_ratio is not None,
        activated=False,
        key=key or scope,
    )


@describes(_traits)
@add_arg_scope(default_scope="inverted_residual")
def inverted_residual(
    inputs: tf.Tensor,
    depth: int,
    stride: int = 1,
    rate: int = 1,
    outputs_collections: Any = None,
    scope: str | None = None,
    *,
    next_rate: int | None = None,
    expansion: float = 6,
    kernel: int = 3,
    start_kernel: int = 0,
    divisor: int = 8,
    padding: str = "SAME",
    fused: bool = False,
    residual: bool = True,
    squeeze_ratio: float | None = None,
    squeeze_input: bool = False,
    gate_fn: Callable = hard_gate,
    squeeze_activation_fn: Callable | None = None,
    drop_path_rate: float = 0.0,
    activation_fn: Callable | None = None,
    key: str = "",
    named_outputs: bool = False,
) -> tf.Tensor:
    """An inverted residual, with its shortcut where nothing changes size or depth.

    Other arguments as of `bottleneck_v1`.

    Args:
        depth: channels of the output.
        stride: of the last depthwise convolution.
        outputs_collections: collections for the output and the inner layers'.
        expansion: channels of the depthwise convolution for one of the inputs.
        kernel: of the depthwise convolution; 0 for none.
        start_kernel: of another one, linear and before all else [4]; 0 for none.
        divisor: of which the inner depth is a multiple.
        padding: of depthwise convolutions: `SAME`, or `EVEN` as `conv2d_same`.
        fused: whether the convolution that expands has the kernel and the stride, and
            no depthwise one follows.
        residual: whether there is a shortcut.
        squeeze_ratio: if given, squeeze-and-excitation with this part of the channels
            follows on the depthwise convolution,
        squeeze_input: namely of the unit's input, as in [3], and not of the inner ones.
        gate_fn: of squeeze-and-excitation.
        squeeze_activation_fn: between its convolutions; None for its own.
        activation_fn: of the inner layers; None for what the arg scopes say.
        key: of the end point; the scope's if empty. Inner layers have it before theirs.
        named_outputs: whether end points are operations of their own, under the names
            that TF-Slim gave them.

    Returns:
        `[batch, ceil(height / stride), ceil(width / stride), depth]`.
    """
    options = {} if activation_fn is None else {"activation_fn": activation_fn}
    path = end_points.full_name(key) if key else ""

    def kept(net, name):
        ending = f"/{name}" if name else ""
        if name and named_outputs:
            net = tf.identity(net, name)
        return end_points.collect(outputs_collections, (path or sc.name) + ending, net)

    with tf.compat.v1.variable_scope(scope, "inverted_residual", [inputs]) as sc:
        net, channels = inputs, channels_of(inputs)
        width = divisible(channels * expansion, divisor)
        if start_kernel:
            first = 1 if kernel else stride
            linear = {"scope": "depthwise_start", "activation_fn": None}
            net = depthwise(net, start_kernel, first, rate, padding, None, **linear)
        if width > channels:
            widen = Conv("expand", width, 1, options=tuple(options.items()))
            if fused:
                widen = dataclasses.replace(widen, kernel=kernel, padding=padding)
            net = widen.build(net, stride if fused else 1, rate, rate)
            net = kept(net, "expansion_output")
        if kernel and not fused:
            net = depthwise(
                net, kernel, stride, rate, padding, None, scope="depthwise", **options
            )
            net = kept(net, "depthwise_output")
        if squeeze_ratio is not None:
            of = channels if squeeze_input else width
            squeezed = of * squeeze_ratio
            between = {}
            if squeeze_activation_fn is not None:
                between["activation_fn"] = squeeze_activation_fn
            net = layers.squeeze_excite(
                net,
                gate_fn=gate_fn,
                **between,
                squeezed_depth=round(squeezed)
                if squeeze_input
                else divisible(squeezed),
                names=("Conv", "Conv_1"),
                scope="squeeze_excite",
            )
        # Nothing has taken the stride of a fused unit that does not expand.
        left = stride if fused and width <= channels else 1
        plain = {"activation_fn": None, "scope": "project"}
        net = layers.conv2d(net, depth, 1, left, **plain)
        keeps_size = stride == 1 and (next_rate or rate) == rate
        if residual and keeps_size and channels_of(net) == channels:
            net = add(layers.drop_path(net, drop_path_rate), inputs, sc.name)
        net = kept(net, "output")
    return kept(net, "")


def _fused_traits(
    channels, depth, kernel=3, stride=1, rate=1, expansion=4, **_
) -> Traits:
    path = ((kernel, stride, rate),)
    key = "fused_inverted_residual"
    # What is added to the input is a sum, not activated.
    alone = expansion == 1 and (channels != depth or stride > 1)
    return Traits(depth, (path,), activated=alone, key=key)


@describes(_fused_traits)
@add_arg_scope(default_scope="fused_inverted_residual")
def fused_inverted_residual(
    inputs: tf.Tensor,
    depth: int,
    stride: int = 1,
    rate: int = 1,
    outputs_collections: Any = None,
    scope: str | None = None,
    *,
    next_rate: int | None = None,
    expansion: float = 4,
    kernel: int = 3,
    padding: str = "SAME",
    drop_path_rate: float = 0.0,
) -> tf.Tensor:
    """An inverted residual whose first two convolutions are one, not depthwise [5].

    Where nothing is expanded, that one alone, activated.

    Other arguments as of `bottleneck_v1`.

    Args:
        depth: channels of the output.
        stride: of the first convolution.
        expansion: channels between for one of the inputs.
        kernel: of the first convolution.
        padding: of it: `SAME`, or `EVEN` as `conv2d_same`.

    Returns:
        `[batch, ceil(height / stride), ceil(width / stride), depth]`.
    """
    with tf.compat.v1.variable_scope(scope, "fused_inverted_residual", [inputs]) as sc:
        channels = channels_of(inputs)
        wide = expansion != 1
        name, width = "conv", depth
        if wide:
            name, width = "expand", divisible(channels * expansion)
        conv = Conv(name, width, kernel, stride, padding)
        net = conv.build(inputs, stride, rate, next_rate or rate)
        if wide:
            net = layers.conv2d(net, depth, 1, activation_fn=None, scope="project")
        keeps_size = stride == 1 and (next_rate or rate) == rate
        if keeps_size and channels == depth:
            net = add(layers.drop_path(net, drop_path_rate), inputs, sc.name)
        return end_points.collect(outputs_collections, sc.name, net)


def depthwise(
    net: tf.Tensor,
    kernel: int,
    stride: int,
    rate: int,
    padding: str = "SAME",
    depth: int | None = None,
    **options: Any,
) -> tf.Tensor:
    """A depthwise convolution that may be strided and atrous at once.

    Args:
        net: `[batch, height, width, channels]`.
        kernel: height and width.
        stride: of the outputs.
        rate: of atrous convolution.
        padding: `SAME` or `VALID`; `EVEN` pads both sides alike at every stride.
        depth: channels of a pointwise convolution behind it, as in `separable_conv2d`;
            None for none.
        **options: further arguments of `separable_conv2d`.
    """
    name = options.pop("scope")
    conv = Conv(name, depth, kernel, stride, padding, tuple(options.items()), one_each)
    return conv.build(net, stride, rate, rate)


def one_each(_: Any) -> int:
    """One depthwise output for each channel."""
    return 1
