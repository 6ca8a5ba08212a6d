"""Necks: what stands between a backbone's features and a head.

    net, end_points = slimnets.build("resnet50", images)
    levels = slimnets.features(end_points, ("C3", "C4", "C5"))
    pyramid = slimnets.feature_pyramid(levels, 128)        # P3 to P7
    pyramid = necks.path_aggregation(pyramid)              # PANet

All are arg-scoped, and their convolutions take the open scopes of `conv2d`; only
activations are their own, as the papers have them.

Source: [1] Lin et al., Feature Pyramid Networks, arXiv:1612.03144; [2] Lin et al.,
RetinaNet, arXiv:1708.02002 (P6 and P7); [3] Liu et al., PANet, arXiv:1803.01534;
[4] Chen et al., DeepLabv3, arXiv:1706.05587 (ASPP); [5] Liu et al., SSD,
arXiv:1512.02325.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from slimnets import end_points, layers
from slimnets.blocks import conv2d_same, subsample
from slimnets.layers.building import channels_of
from slimnets.scopes import add_arg_scope, arg_scope

_LEVEL = re.compile(r"[CP]([0-9]+)")
_EXTRA_LEVELS = ("conv", "pool")


@add_arg_scope(default_scope="feature_pyramid")
def feature_pyramid(
    features: Mapping[str, tf.Tensor],
    depth: int = 256,
    max_level: int = 7,
    extra_levels: str = "conv",
    outputs_collections: Any = None,
    scope: str | None = None,
) -> dict[str, tf.Tensor]:
    """The feature pyramid of [1]: a top-down path with lateral connections.

    Args:
        features: `{"C3": [batch, height, width, channels], ...}`: consecutive levels,
            each half as high and wide, rounded up, as the one before.
        depth: channels of every level of the pyramid.
        max_level: the coarsest level.
        extra_levels: what gives the levels beyond the coarsest feature: `conv`, 3x3
            convolutions of stride 2 on the level before, with a ReLU between [2]; or
            `pool`, subsampling [1].
        outputs_collections: collections for the levels.
        scope: name of the variable scope.

    Returns:
        `{"P3": [batch, height, width, depth], ...}` up to max_level, finest first.

    Raises:
        ValueError: if the levels are not consecutive, or max_level is below them, or
            an argument is not allowed.
    """
    numbers = _numbers_up_to(max_level, features)
    if extra_levels not in _EXTRA_LEVELS:
        raise ValueError(
            f"extra_levels={extra_levels!r}; allowed are {', '.join(_EXTRA_LEVELS)}."
        )
    inputs = list(features.values())
    with tf.compat.v1.variable_scope(scope, "feature_pyramid", inputs) as sc:
        merged: dict[int, tf.Tensor] = {}
        for number in reversed(numbers):
            lateral = layers.conv2d(
                features[f"C{number}"],
                depth,
                1,
                activation_fn=None,
                scope=f"lateral{number}",
            )
            if number + 1 in merged:
                lateral += upsample_like(merged[number + 1], lateral)
            merged[number] = lateral
        pyramid = {
            f"P{number}": layers.conv2d(
                merged[number], depth, 3, activation_fn=None, scope=f"output{number}"
            )
            for number in numbers
        }
        for number in range(numbers[-1] + 1, max_level + 1):
            net = pyramid[f"P{number - 1}"]
            if extra_levels == "pool":
                net = subsample(net, 2)
            else:
                if number > numbers[-1] + 1:
                    net = tf.nn.relu(net)
                net = conv2d_same(
                    net, depth, 3, 2, activation_fn=None, scope=f"output{number}"
                )
            pyramid[f"P{number}"] = net
        return _collected(pyramid, outputs_collections, sc.name)


@add_arg_scope(default_scope="smaller_levels")
def smaller_levels(
    features: Mapping[str, tf.Tensor],
    depth: int = 512,
    max_level: int = 9,
    outputs_collections: Any = None,
    scope: str | None = None,
) -> dict[str, tf.Tensor]:
    """The levels of SSD [5]: features as they are, and smaller ones after the last.

    Each of these is a 1x1 convolution of half the depth and a 3x3 one of stride 2, both
    with batch norm, on the level before.

    Args:
        features: `{"C4": [batch, height, width, channels], ...}`: consecutive levels.
        depth: channels of the levels beyond them.
        max_level: the coarsest level.
        outputs_collections: collections for the levels.
        scope: name of the variable scope.

    Returns:
        `{"P4": ..., ...}` up to max_level, finest first.

    Raises:
        ValueError: if the levels are not consecutive, or max_level is below them.
    """
    numbers = _numbers_up_to(max_level, features)
    inputs = list(features.values())
    with (
        tf.compat.v1.variable_scope(scope, "smaller_levels", inputs) as sc,
        arg_scope([layers.conv2d], normalizer_fn=layers.batch_norm),
    ):
        levels = {f"P{number}": features[f"C{number}"] for number in numbers}
        for number in range(numbers[-1] + 1, max_level + 1):
            net = levels[f"P{number - 1}"]
            net = layers.conv2d(net, max(depth // 2, 1), 1, scope=f"narrow{number}")
            net = conv2d_same(net, depth, 3, 2, scope=f"output{number}")
            levels[f"P{number}"] = net
        return _collected(levels, outputs_collections, sc.name)


@add_arg_scope(default_scope="path_aggregation")
def path_aggregation(
    pyramid: Mapping[str, tf.Tensor],
    depth: int | None = None,
    activation_fn: Callable | None = tf.nn.relu,
    outputs_collections: Any = None,
    scope: str | None = None,
) -> dict[str, tf.Tensor]:
    """The bottom-up path of [3], from the finest level of a pyramid to the coarsest.

    Args:
        pyramid: `{"P2": ..., ...}`: consecutive levels of the same channels, as
            `feature_pyramid` gives them.
        depth: channels of every output; those of the inputs by default.
        activation_fn: of its convolutions.
        outputs_collections: collections for the levels.
        scope: name of the variable scope.

    Returns:
        `{"N2": ..., ...}`, of the same heights and widths; the finest is the input's
        own.

    Raises:
        ValueError: if the levels are not consecutive, or differ from `depth`.
    """
    numbers = _numbers(pyramid, "P")
    inputs = list(pyramid.values())
    depths = {level: channels_of(net) for level, net in pyramid.items()}
    depth = depth or depths[f"P{numbers[0]}"]
    if any(other != depth for other in depths.values()):
        raise ValueError(
            f"path_aggregation adds levels of {depth} channels; got {depths}."
        )
    with tf.compat.v1.variable_scope(scope, "path_aggregation", inputs) as sc:
        net = pyramid[f"P{numbers[0]}"]
        path = {f"N{numbers[0]}": net}
        for number in numbers[1:]:
            net = conv2d_same(
                net, depth, 3, 2, activation_fn=activation_fn, scope=f"down{number}"
            )
            net = layers.conv2d(
                net + pyramid[f"P{number}"],
                depth,
                3,
                activation_fn=activation_fn,
                scope=f"output{number}",
            )
            path[f"N{number}"] = net
        return _collected(path, outputs_collections, sc.name)


@add_arg_scope(default_scope="aspp")
def atrous_pyramid(
    inputs: tf.Tensor,
    depth: int = 256,
    rates: Sequence[int] = (6, 12, 18),
    image_pooling: bool = True,
    keep_prob: float = 1.0,
    outputs_collections: Any = None,
    scope: str | tf.compat.v1.VariableScope | None = None,
    *,
    separable: bool = False,
) -> tf.Tensor:
    """Atrous spatial pyramid pooling (ASPP) of [4].

    A 1x1 convolution, 3x3 convolutions of several rates and the mean of the image,
    side by side, and a 1x1 convolution of all of them, under the names of
    research/deeplab.

    Args:
        inputs: `[batch, height, width, channels]`, at stride 16 for the default rates;
            at stride 8 these are doubled in [4].
        depth: channels of each branch, and of the outputs.
        rates: of the 3x3 convolutions.
        image_pooling: whether the mean of the image is one of the branches.
        keep_prob: of the outputs, in training.
        outputs_collections: collections for the outputs.
        scope: name of the variable scope, or the scope itself.
        separable: whether the 3x3 convolutions are depthwise separable.

    Returns:
        `[batch, height, width, depth]`.

    Raises:
        ValueError: for a rate below 1.
    """
    if any(rate < 1 for rate in rates):
        raise ValueError(f"rates={tuple(rates)!r}; allowed are integers >= 1.")
    with tf.compat.v1.variable_scope(scope, "aspp", [inputs]) as sc:
        branches = [layers.conv2d(inputs, depth, 1, scope="aspp0")]
        conv = separable_conv if separable else layers.conv2d
        for i, rate in enumerate(rates, start=1):
            branches.append(conv(inputs, depth, 3, rate=rate, scope=f"aspp{i}"))
        if image_pooling:
            mean = tf.reduce_mean(inputs, [1, 2], keepdims=True)
            mean = layers.conv2d(mean, depth, 1, scope="image_pooling")
            branches.insert(0, mean + tf.zeros_like(branches[0]))
        net = tf.concat(branches, -1)
        net = layers.conv2d(net, depth, 1, scope="concat_projection")
        if keep_prob < 1.0:
            net = layers.dropout(net, keep_prob, scope="dropout")
        return end_points.collect(outputs_collections, sc.name, net)


def separable_conv(
    net: tf.Tensor, depth: int, kernel: int = 3, rate: int = 1, scope: str = "conv"
) -> tf.Tensor:
    """A depthwise convolution and a 1x1 one, each normalized and activated.

    Args:
        net: `[batch, height, width, channels]`.
        depth: channels of the outputs.
        kernel: of the depthwise one.
        rate: of the depthwise one.
        scope: what the names of both begin with.
    """
    options = {"rate": rate, "scope": f"{scope}_depthwise"}
    net = layers.separable_conv2d(net, None, kernel, 1, **options)
    return layers.conv2d(net, depth, 1, scope=f"{scope}_pointwise")


def resize(
    net: tf.Tensor, size: tf.Tensor, *, align_corners: bool = False
) -> tf.Tensor:
    """Bilinear resizing, in the type of `net`.

    Args:
        net: `[batch, height, width, channels]`.
        size: height and width.
        align_corners: whether the centres of corner pixels stay where they are, as
            research/deeplab has it; else, as in `tf.image.resize`, the corners.
    """
    if not align_corners:
        return tf.cast(tf.image.resize(net, size), net.dtype)
    resized = tf.compat.v1.image.resize_bilinear(net, size, align_corners=True)
    return tf.cast(resized, net.dtype)


def upsample_like(coarse: tf.Tensor, fine: tf.Tensor) -> tf.Tensor:
    """Doubles `coarse` to the size of `fine`: position i is `coarse` at `i // 2`.

    Exact for odd sizes too, where a resize by the ratio of the sizes is not.

    Args:
        coarse: `[batch, ceil(height / 2), ceil(width / 2), channels]`.
        fine: `[batch, height, width, ...]`.

    Returns:
        `[batch, height, width, channels]`.

    Raises:
        ValueError: if the sizes are known and do not fit.
    """
    for axis in (1, 2):
        small, large = coarse.shape.as_list()[axis], fine.shape.as_list()[axis]
        if small is not None and large is not None and small != -(-large // 2):
            raise ValueError(
                f"A level {coarse.shape} is not half of {fine.shape}, rounded up; are "
                "the levels consecutive, or was the output stride reached between?"
            )
    size = tf.shape(fine)
    outputs = tf.repeat(tf.repeat(coarse, 2, axis=1), 2, axis=2)
    outputs = outputs[:, : size[1], : size[2]]
    outputs.set_shape([None, *fine.shape[1:3], coarse.shape[-1]])
    return outputs


def _numbers(features: Mapping[str, tf.Tensor], letter: str) -> list[int]:
    """Returns the levels' numbers in rising order, or raises ValueError."""
    matches = [_LEVEL.fullmatch(level) for level in features]
    numbers = sorted(int(match.group(1)) for match in matches if match)
    wanted = list(range(numbers[0], numbers[0] + len(features))) if numbers else []
    if not numbers or [f"{letter}{n}" for n in wanted] != sorted(features, key=_order):
        raise ValueError(
            f"A pyramid is made of consecutive levels, {letter}3, {letter}4 and "
            f"{letter}5 for example; got {', '.join(map(str, features)) or 'none'}."
        )
    return numbers


def _numbers_up_to(max_level: int, features: Mapping[str, tf.Tensor]) -> list[int]:
    numbers = _numbers(features, "C")
    if max_level < numbers[-1]:
        raise ValueError(
            f"max_level={max_level} is below C{numbers[-1]}, the coarsest feature."
        )
    return numbers


def _order(level: str) -> tuple[int, str]:
    match = _LEVEL.fullmatch(level)
    return (int(match.group(1)) if match else -1, level)


def _collected(
    levels: dict[str, tf.Tensor], outputs_collections: Any, scope: str
) -> dict[str, tf.Tensor]:
    for level, net in levels.items():
        end_points.collect(outputs_collections, f"{scope}/{level}", net)
    return levels
