"""The convolutions of MobileNets, as functions of research/slim's names.

Source: Sandler et al., arXiv:1801.04381; Howard et al., arXiv:1905.02244; names and
layout of research/slim's nets/mobilenet/conv_blocks.py.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.blocks.same import even_sides
from slimnets.layers.building import channels_of
from slimnets.scopes import add_arg_scope, arg_scope
from slimnets.units.inverted import divisible

__all__ = [
    "expand_input_by_factor",
    "expanded_conv",
    "split_conv",
    "split_separable_conv2d",
    "squeeze_excite",
]
v1 = tf.compat.v1


def fixed_padding(
    inputs: tf.Tensor, kernel_size: Sequence[int], rate: int = 1
) -> tf.Tensor:
    """Pads both sides alike, by what `SAME` pads at stride 1."""
    sides = [even_sides(size, rate) for size in kernel_size]
    return tf.pad(inputs, [[0, 0], *sides, [0, 0]])


def expand_input_by_factor(n: float, divisible_by: int = 8) -> Callable[..., int]:
    """Returns the function of `num_inputs` that is `n` times that, divisible."""
    return lambda num_inputs, **_: divisible(num_inputs * n, divisible_by)


def split_divisible(num: int, num_ways: int, divisible_by: int = 8) -> list[int]:
    """Returns `num` in parts, each divisible and as large as the others if possible.

    Raises:
        ValueError: if that cannot be.
    """
    if num % divisible_by or num / num_ways < divisible_by:
        raise ValueError(
            f"{num} cannot be split in {num_ways} parts divisible by {divisible_by}."
        )
    parts: list[int] = []
    for i in range(num_ways):
        wanted = num * (i + 1) / num_ways - sum(parts)
        least = num // num_ways // divisible_by * divisible_by
        steps = max(0, -(-(wanted - least) // divisible_by))
        parts.append(int(least + steps * divisible_by))
    return parts


def split_conv(
    input_tensor: tf.Tensor,
    num_outputs: int,
    num_ways: int,
    scope: str,
    divisible_by: int = 8,
    **kwargs: Any,
) -> tf.Tensor:
    """A 1x1 convolution of parts of the channels, each of which sees its own.

    Args:
        input_tensor: `[batch, height, width, channels]`.
        num_outputs: number of output channels.
        num_ways: number of parts; one where parts had less than `divisible_by`.
        scope: of the convolution, or the beginning of each part's.
        divisible_by: of which parts are multiples.
        **kwargs: further arguments of `conv2d`.
    """
    channels = channels_of(input_tensor)
    least = min(channels // num_ways, num_outputs // num_ways)
    if num_ways == 1 or least < divisible_by:
        return layers.conv2d(input_tensor, num_outputs, [1, 1], scope=scope, **kwargs)
    sizes = split_divisible(channels, num_ways, divisible_by)
    depths = split_divisible(num_outputs, num_ways, divisible_by)
    parts = tf.split(input_tensor, sizes, 3, name=f"split_{scope}")
    outputs = []
    for i, (part, depth) in enumerate(zip(parts, depths, strict=True)):
        name = f"{scope}_part_{i}"
        net = layers.conv2d(part, depth, [1, 1], scope=name, **kwargs)
        outputs.append(tf.identity(net, f"{name}_output"))
    return tf.concat(outputs, 3, name=f"{name}_concat")


@add_arg_scope
def split_separable_conv2d(
    input_tensor: tf.Tensor,
    num_outputs: int,
    scope: str | None = None,
    normalizer_fn: Callable | None = None,
    stride: int = 1,
    rate: int = 1,
    endpoints: dict[str, tf.Tensor] | None = None,
    use_explicit_padding: bool = False,
) -> tf.Tensor:
    """MobileNet v1's pair: a depthwise convolution and a 1x1, each normalized.

    Args:
        input_tensor: `[batch, height, width, channels]`.
        num_outputs: number of output channels.
        scope: the beginning of both scopes; None for a new one around them.
        normalizer_fn: of both.
        stride: of the depthwise convolution.
        rate: of atrous convolution.
        endpoints: a dict for both outputs.
        use_explicit_padding: whether both sides of images are padded alike.
    """
    endpoints = {} if endpoints is None else endpoints
    with _prefix(scope) as prefix:
        padding = "SAME"
        if use_explicit_padding:
            padding = "VALID"
            input_tensor = fixed_padding(input_tensor, [3, 3], rate)
        net = layers.separable_conv2d(
            input_tensor,
            None,
            [3, 3],
            depth_multiplier=1,
            stride=stride,
            rate=rate,
            normalizer_fn=normalizer_fn,
            padding=padding,
            scope=f"{prefix}depthwise",
        )
        endpoints[f"{prefix}depthwise"] = net
        net = layers.conv2d(
            net,
            num_outputs,
            [1, 1],
            stride=1,
            normalizer_fn=normalizer_fn,
            scope=f"{prefix}pointwise",
        )
        endpoints[f"{prefix}pointwise"] = net
    return net


@contextlib.contextmanager
def _prefix(scope: str | None) -> Iterator[str]:
    if scope is not None:
        yield f"{scope}_"
        return
    with (
        v1.variable_scope(None, default_name="separable") as sc,
        v1.name_scope(sc.original_name_scope),
    ):
        yield ""


_BY_SIX = expand_input_by_factor(6)
_PLACES = (None, "input", "output", "expansion")


@add_arg_scope
def expanded_conv(
    input_tensor: tf.Tensor,
    num_outputs: int,
    expansion_size: int | Callable[..., int] = _BY_SIX,
    stride: int = 1,
    rate: int = 1,
    kernel_size: Sequence[int] = (3, 3),
    residual: bool | Callable[..., tf.Tensor] = True,
    normalizer_fn: Callable | None = None,
    split_projection: int = 1,
    split_expansion: int = 1,
    split_divisible_by: int = 8,
    expansion_transform: Callable[..., tf.Tensor] | None = None,
    depthwise_location: str | None = "expansion",
    depthwise_channel_multiplier: int = 1,
    endpoints: dict[str, tf.Tensor] | None = None,
    use_explicit_padding: bool = False,
    padding: str = "SAME",
    inner_activation_fn: Callable | None = None,
    depthwise_activation_fn: Callable | None = None,
    project_activation_fn: Callable | None = tf.identity,
    depthwise_fn: Callable[..., tf.Tensor] = layers.separable_conv2d,
    expansion_fn: Callable[..., tf.Tensor] = split_conv,
    projection_fn: Callable[..., tf.Tensor] = split_conv,
    scope: str | None = None,
) -> tf.Tensor:
    """An inverted residual: 1x1 up, depthwise, 1x1 down.

    Args:
        input_tensor: `[batch, height, width, channels]`.
        num_outputs: number of output channels.
        expansion_size: inner channels, or a function of `num_inputs` that gives them.
        stride, rate, kernel_size: of the depthwise convolution.
        residual: whether there is a shortcut where nothing changes size or depth; or a
            function of `input_tensor` and `output_tensor`.
        normalizer_fn: of all convolutions.
        split_projection, split_expansion: number of parts of the 1x1 convolutions.
        split_divisible_by: of which parts are multiples.
        expansion_transform: applied before the projection, to `expansion_tensor` and
            `input_tensor`.
        depthwise_location: where the depthwise convolution is: at the `input`, the
            `expansion` or the `output`, or None for nowhere.
        depthwise_channel_multiplier: depthwise outputs of each channel.
        endpoints: a dict for what is inside.
        use_explicit_padding: whether both sides of images are padded alike.
        padding: of the depthwise convolution.
        inner_activation_fn: of the inner convolutions; None for what the scopes say.
        depthwise_activation_fn: of the depthwise one alone.
        project_activation_fn: of the last one.
        depthwise_fn, expansion_fn, projection_fn: make them.
        scope: name of the variable scope.

    Raises:
        TypeError: for a place or a padding that are not these.
    """
    if depthwise_location not in _PLACES:
        raise TypeError(
            f"{depthwise_location!r} is unknown value for depthwise_location; allowed "
            f"are {', '.join(map(repr, _PLACES))}."
        )
    if use_explicit_padding and padding != "SAME":
        raise TypeError(
            '`use_explicit_padding` should only be used with "SAME" padding.'
        )
    endpoints = {} if endpoints is None else endpoints
    inner, own = (
        {} if activation_fn is None else {"activation_fn": activation_fn}
        for activation_fn in (
            inner_activation_fn,
            depthwise_activation_fn or inner_activation_fn,
        )
    )

    def kept(net: tf.Tensor, name: str) -> tf.Tensor:
        endpoints[name] = tf.identity(net, name)
        return endpoints[name]

    def depthwise(net: tf.Tensor, place: str, **options: Any) -> tf.Tensor:
        if depthwise_location != place:
            return net
        if use_explicit_padding:
            net = fixed_padding(net, kernel_size, rate)
        net = depthwise_fn(
            net,
            num_outputs=None,
            kernel_size=kernel_size,
            depth_multiplier=depthwise_channel_multiplier,
            stride=stride,
            rate=rate,
            normalizer_fn=normalizer_fn,
            padding="VALID" if use_explicit_padding else padding,
            scope="depthwise",
            **options,
        )
        return kept(net, "depthwise_output")

    def one_by_one(function: Callable, num_ways: int) -> Callable:
        if function is not split_conv:
            return function
        return functools.partial(
            split_conv, num_ways=num_ways, divisible_by=split_divisible_by, stride=1
        )

    with (
        v1.variable_scope(scope, default_name="expanded_conv") as sc,
        v1.name_scope(sc.original_name_scope),
        arg_scope([layers.conv2d], **inner),
        arg_scope([layers.separable_conv2d], **own),
    ):
        inputs = tf.identity(input_tensor, "input")
        net = depthwise(inputs, "input", activation_fn=None)
        size = expansion_size
        if callable(size):
            size = size(num_inputs=channels_of(inputs))
        if size > channels_of(net):
            widen = one_by_one(expansion_fn, split_expansion)
            net = widen(net, size, scope="expand", normalizer_fn=normalizer_fn)
            net = kept(net, "expansion_output")
        net = depthwise(net, "expansion")
        if expansion_transform:
            net = expansion_transform(expansion_tensor=net, input_tensor=inputs)
        net = one_by_one(projection_fn, split_projection)(
            net,
            num_outputs,
            scope="project",
            normalizer_fn=normalizer_fn,
            activation_fn=project_activation_fn,
        )
        endpoints["projection_output"] = net
        net = depthwise(net, "output", activation_fn=None)
        if callable(residual):
            net = residual(input_tensor=inputs, output_tensor=net)
        elif residual and stride == 1 and channels_of(net) == channels_of(inputs):
            net += inputs
        return tf.identity(net, name="output")


@add_arg_scope
def squeeze_excite(
    input_tensor: tf.Tensor,
    divisible_by: int = 8,
    squeeze_factor: float = 3,
    inner_activation_fn: Callable = tf.nn.relu,
    gating_fn: Callable = tf.sigmoid,
    squeeze_input_tensor: tf.Tensor | None = None,
    pool: int | None = None,
) -> tf.Tensor:
    """Scales channels by what two 1x1 convolutions make of their means.

    Args:
        input_tensor: `[batch, height, width, channels]`.
        divisible_by: of which the channels between are a multiple.
        squeeze_factor: channels for one of those between.
        inner_activation_fn: between the convolutions.
        gating_fn: after them.
        squeeze_input_tensor: what the means are of; None for the inputs.
        pool: if given, means are of windows of this size, and the gate is resized.
    """
    with v1.variable_scope("squeeze_excite"):
        seen = input_tensor if squeeze_input_tensor is None else squeeze_input_tensor
        depth = channels_of(input_tensor)
        size = input_tensor.shape.as_list()[1:3]
        if pool is None:
            means = tf.reduce_mean(seen, [1, 2], keepdims=True)
        else:
            kernel, step = seen.shape.as_list()[1:3], 1
            if kernel[0] >= pool:
                kernel, step = [pool, pool], pool
            means = tf.nn.avg_pool2d(seen, kernel, step, "VALID")
        squeezed = divisible(channels_of(seen) / squeeze_factor, divisible_by)
        plain = {"kernel_size": [1, 1], "normalizer_fn": None}
        net = layers.conv2d(means, squeezed, activation_fn=inner_activation_fn, **plain)
        gate = layers.conv2d(net, depth, activation_fn=gating_fn, **plain)
        if pool is not None:
            gate = v1.image.resize_bilinear(gate, size, align_corners=True)
        return input_tensor * gate
