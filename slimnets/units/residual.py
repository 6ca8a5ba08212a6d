"""Residual units: bottlenecks and basic ones, with norms after or before.

A unit gives the sum of a residual branch and a shortcut: the (subsampled) input where
the depths agree, else a 1x1 convolution. Families differ by keyword arguments (groups,
squeeze-and-excitation, where the stride sits ...), which their arg scopes set.

Source: [1] He et al., arXiv:1512.03385, figure 5; [2] He et al., arXiv:1603.05027,
figure 1(b); [3] Xie et al., arXiv:1611.05431 (groups); [4] He et al.,
arXiv:1812.01187 (average pool in the shortcut); [5] Zagoruyko & Komodakis,
arXiv:1605.07146 (dropout); [6] Radosavovic et al., arXiv:2003.13678 (RegNetY); names
and order of variables of tf_slim's resnet_v1 and resnet_v2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import end_points, layers
from slimnets.blocks import conv2d_same, subsample
from slimnets.layers import building, initializers
from slimnets.scopes import add_arg_scope
from slimnets.units.normalized import preactivated
from slimnets.units.shortcuts import add, padded
from slimnets.units.shortcuts import shortcut as shortcut_of
from slimnets.units.traits import Path, Traits, describes


def _bottleneck_traits(
    channels, depth, stride=1, rate=1, next_rate=None,
    stride_first=False, antialias=False, squeeze_ratio=None, **_,
) -> Traits:  # fmt: skip
    next_rate = next_rate or rate
    if stride_first:
        path: Path = ((1, stride, 1), (3, 1, next_rate))
    elif antialias and next_rate * stride > rate:
        path = ((3, 1, rate), (3, stride, rate))
    else:
        path = ((3, stride, rate),)
    return Traits(depth, (path,), squeeze_ratio is not None, key="bottleneck_v1")


def _basic_traits(
    channels, depth, stride=1, rate=1, next_rate=None, squeeze_ratio=None,
    stride_last=False, scope="basic_v1", **_,
) -> Traits:  # fmt: skip
    path = (3, stride, rate), (3, 1, next_rate or rate)
    if stride_last:
        path = (3, 1, rate), (3, stride, rate)
    return Traits(depth, (path,), squeeze_ratio is not None, key=scope)


def _preactivation(traits: Traits, name: str) -> Traits:
    return traits._replace(
        normalized=False, activated=False, key=name, preact=f"{name}/preact"
    )


@describes(_bottleneck_traits)
@add_arg_scope(default_scope="bottleneck_v1")
def bottleneck_v1(
    inputs: tf.Tensor,
    depth: int,
    depth_bottleneck: int,
    stride: int = 1,
    rate: int = 1,
    outputs_collections: Any = None,
    scope: str | None = None,
    *,
    next_rate: int | None = None,
    conv_shortcut: bool | None = None,
    stride_first: bool = False,
    groups: int = 1,
    squeeze_ratio: float | None = None,
    squeeze_input: bool = False,
    average_shortcut: bool = False,
    antialias: bool = False,
    zero_init_residual: bool = False,
    drop_path_rate: float = 0.0,
    activation_fn: Callable = tf.nn.relu,
    use_bounded_activations: bool = False,
) -> tf.Tensor:
    """The bottleneck unit of [1]: 1x1, 3x3, 1x1, each with batch norm; then ReLU.

    Args:
        inputs: `[batch, height, width, channels]`.
        depth: channels of the output.
        depth_bottleneck: channels between.
        stride: of the 3x3 convolution and the shortcut.
        rate: of atrous convolution, up to the stride.
        outputs_collections: collections for the unit's output.
        scope: name of the variable scope.
        next_rate: of atrous convolution, after the stride; as `rate` by default.
        conv_shortcut: whether the shortcut is a convolution; None is where the
            depths differ.
        stride_first: whether the stride sits in the first 1x1 convolution.
        groups: of the 3x3 convolution [3].
        squeeze_ratio: if given, the residual passes a `squeeze_excite` of this ratio.
        squeeze_input: whether it does so behind the 3x3 convolution, the ratio being
            to the channels of the unit's input [6].
        average_shortcut: whether a strided shortcut averages 2x2 pixels first [4].
        antialias: whether the stride is a `blur_pool2d` after the 3x3 convolution.
        zero_init_residual: whether the last batch norm's gamma begins at 0.
        drop_path_rate: probability of dropping the residual branch in training.
        activation_fn: after the sum.
        use_bounded_activations: whether the shortcut's convolution and the sum end in
            ReLU6, and the residual is between -6 and 6.

    Returns:
        `[batch, ceil(height / stride), ceil(width / stride), depth]`.

    Raises:
        ValueError: if shortcut and residual cannot be added.
    """
    next_rate = next_rate or rate
    bounded = {"activation_fn": tf.nn.relu6} if use_bounded_activations else {}
    with tf.compat.v1.variable_scope(scope, "bottleneck_v1", [inputs]) as sc:
        shortcut = shortcut_of(
            inputs,
            inputs,
            depth,
            stride,
            conv_shortcut,
            average_rate=rate if average_shortcut and next_rate * stride > rate else 0,
            **bounded,
        )
        first, second = (stride, 1) if stride_first else (1, stride)
        residual = layers.conv2d(
            inputs, depth_bottleneck, 1, stride=first, scope="conv1"
        )
        residual = conv2d_same(
            residual,
            depth_bottleneck,
            3,
            1 if antialias else second,
            rate=next_rate if stride_first else rate,
            scope="conv2",
            groups=groups,
        )
        if antialias and next_rate * stride > rate:
            residual = layers.blur_pool2d(residual, stride, rate, scope="blur")
        if squeeze_input and squeeze_ratio is not None:
            squeezed = round(building.channels_of(inputs) * squeeze_ratio)
            residual = layers.squeeze_excite(residual, squeezed_depth=squeezed)
        residual = layers.conv2d(
            residual,
            depth,
            1,
            stride=1,
            activation_fn=None,
            scope="conv3",
            **_last_norm(zero_init_residual),
        )
        if squeeze_ratio is not None and not squeeze_input:
            residual = layers.squeeze_excite(residual, squeeze_ratio)
        residual = layers.drop_path(residual, drop_path_rate)
        if use_bounded_activations:
            residual = tf.clip_by_value(residual, -6.0, 6.0)
            activation_fn = tf.nn.relu6
        output = add(shortcut, residual, sc.name, activation_fn)
        return end_points.collect(outputs_collections, sc.name, output)


@describes(
    lambda *args, **kwargs: _preactivation(
        _bottleneck_traits(*args, **kwargs), "bottleneck_v2"
    )
)
@add_arg_scope(default_scope="bottleneck_v2")
def bottleneck_v2(
    inputs: tf.Tensor,
    depth: int,
    depth_bottleneck: int,
    stride: int = 1,
    rate: int = 1,
    outputs_collections: Any = None,
    scope: str | None = None,
    *,
    conv_shortcut: bool | None = None,
    drop_path_rate: float = 0.0,
    activation_fn: Callable = tf.nn.relu,
    normalizer_fn: Callable = layers.batch_norm,
    biases: bool = True,
) -> tf.Tensor:
    """The pre-activation bottleneck unit of [2]: batch norm and ReLU come first.

    Arguments, result and errors as of `bottleneck_v1`.

    Args:
        normalizer_fn: the first normalization, whose outputs the shortcut's
            convolution sees too.
        biases: whether convolutions that no normalization follows have biases.
    """
    plain = _plain(biases)
    with tf.compat.v1.variable_scope(scope, "bottleneck_v2", [inputs]) as sc:
        preact = preactivated(inputs, normalizer_fn, activation_fn)
        end_points.mark_normalized(
            outputs_collections, inputs, f"{sc.name}/preact", preact
        )
        shortcut = shortcut_of(inputs, preact, depth, stride, conv_shortcut, **plain)
        residual = layers.conv2d(preact, depth_bottleneck, 1, stride=1, scope="conv1")
        residual = conv2d_same(
            residual, depth_bottleneck, 3, stride, rate=rate, scope="conv2"
        )
        residual = layers.conv2d(
            residual,
            depth,
            1,
            stride=1,
            activation_fn=None,
            scope="conv3",
            **plain,
        )
        residual = layers.drop_path(residual, drop_path_rate)
        output = add(shortcut, residual, sc.name)
        return end_points.collect(outputs_collections, sc.name, output)


@describes(_basic_traits)
@add_arg_scope(default_scope="basic_v1")
def basic_v1(
    inputs: tf.Tensor,
    depth: int,
    stride: int = 1,
    rate: int = 1,
    outputs_collections: Any = None,
    scope: str | None = None,
    *,
    next_rate: int | None = None,
    conv_shortcut: bool | None = None,
    pad_shortcut: bool = False,
    stride_last: bool = False,
    squeeze_ratio: float | None = None,
    average_shortcut: bool = False,
    zero_init_residual: bool = False,
    drop_path_rate: float = 0.0,
    activation_fn: Callable = tf.nn.relu,
) -> tf.Tensor:
    """The basic unit of [1]: two 3x3 convolutions with batch norm; then ReLU.

    Arguments, result and errors as of `bottleneck_v1`; the stride is the first
    convolution's.

    Args:
        pad_shortcut: whether a shortcut to more channels is the input with zero
            channels behind it ([1], option A) rather than a convolution.
        stride_last: whether the stride is the second convolution's.
    """
    next_rate = next_rate or rate
    with tf.compat.v1.variable_scope(scope, "basic_v1", [inputs]) as sc:
        if pad_shortcut:
            shortcut = padded(subsample(inputs, stride, "shortcut"), depth)
        else:
            shortcut = shortcut_of(
                inputs,
                inputs,
                depth,
                stride,
                conv_shortcut,
                average_rate=(
                    rate if average_shortcut and next_rate * stride > rate else 0
                ),
            )
        first, second = (1, stride) if stride_last else (stride, 1)
        residual = conv2d_same(inputs, depth, 3, first, rate=rate, scope="conv1")
        residual = conv2d_same(
            residual,
            depth,
            3,
            second,
            rate=rate if stride_last else next_rate,
            activation_fn=None,
            scope="conv2",
            **_last_norm(zero_init_residual),
        )
        if squeeze_ratio is not None:
            residual = layers.squeeze_excite(residual, squeeze_ratio)
        residual = layers.drop_path(residual, drop_path_rate)
        output = add(shortcut, residual, sc.name, activation_fn)
        return end_points.collect(outputs_collections, sc.name, output)


@describes(
    lambda *args, **kwargs: _preactivation(_basic_traits(*args, **kwargs), "basic_v2")
)
@add_arg_scope(default_scope="basic_v2")
def basic_v2(
    inputs: tf.Tensor,
    depth: int,
    stride: int = 1,
    rate: int = 1,
    outputs_collections: Any = None,
    scope: str | None = None,
    *,
    next_rate: int | None = None,
    conv_shortcut: bool | None = None,
    dropout_rate: float = 0.0,
    drop_path_rate: float = 0.0,
    activation_fn: Callable = tf.nn.relu,
    normalizer_fn: Callable = layers.batch_norm,
    biases: bool = True,
) -> tf.Tensor:
    """The pre-activation basic unit of [2] and [5].

    Arguments, result and errors as of `bottleneck_v2`.

    Args:
        dropout_rate: probability of dropping a value between the convolutions [5].
    """
    plain = _plain(biases)
    with tf.compat.v1.variable_scope(scope, "basic_v2", [inputs]) as sc:
        preact = preactivated(inputs, normalizer_fn, activation_fn)
        end_points.mark_normalized(
            outputs_collections, inputs, f"{sc.name}/preact", preact
        )
        shortcut = shortcut_of(inputs, preact, depth, stride, conv_shortcut, **plain)
        residual = conv2d_same(preact, depth, 3, stride, rate=rate, scope="conv1")
        if dropout_rate:
            residual = layers.dropout(residual, 1.0 - dropout_rate, scope="dropout")
        residual = layers.conv2d(
            residual,
            depth,
            3,
            stride=1,
            rate=next_rate or rate,
            padding="SAME",
            activation_fn=None,
            scope="conv2",
            **plain,
        )
        residual = layers.drop_path(residual, drop_path_rate)
        output = add(shortcut, residual, sc.name)
        return end_points.collect(outputs_collections, sc.name, output)


def _plain(biases: bool) -> dict[str, Any]:
    """Arguments of a convolution that no normalization follows."""
    if biases:
        return {"normalizer_fn": None}
    return {"normalizer_fn": None, "biases_initializer": None}


def _last_norm(zero_init: bool) -> dict[str, Any]:
    """Arguments of a unit's last convolution whose norm's gamma begins at 0."""
    if not zero_init:
        return {}
    return {"normalizer_params": {"param_initializers": {"gamma": initializers.zeros}}}
