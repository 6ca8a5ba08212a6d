"""Unit functions: what a block repeats.

A unit takes a tensor and gives the sum of a shortcut and a residual branch. Its
shortcut is the (subsampled) input where the depths agree, else a 1x1 convolution.
What distinguishes families (groups, squeeze-and-excitation, where the stride sits ...)
are keyword arguments, which a family's arg scope sets.

Source: [1] He et al., arXiv:1512.03385, figure 5; [2] He et al., arXiv:1603.05027,
figure 1(b); [3] Xie et al., arXiv:1611.05431 (groups); [4] He et al.,
arXiv:1812.01187 (average pool in the shortcut); [5] Zagoruyko & Komodakis,
arXiv:1605.07146 (dropout); names and order of variables of tf_slim's resnet_v1 and
resnet_v2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import end_points, layers
from slimnets.blocks import conv2d_same, subsample
from slimnets.layers import common, initializers
from slimnets.scopes import add_arg_scope


@add_arg_scope
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
    average_shortcut: bool = False,
    antialias: bool = False,
    zero_init_residual: bool = False,
    drop_path_rate: float = 0.0,
    activation_fn: Callable = tf.nn.relu,
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
        average_shortcut: whether a strided shortcut averages 2x2 pixels first [4].
        antialias: whether the stride is a `blur_pool2d` after the 3x3 convolution.
        zero_init_residual: whether the last batch norm's gamma begins at 0.
        drop_path_rate: probability of dropping the residual branch in training.
        activation_fn: after the sum.

    Returns:
        `[batch, ceil(height / stride), ceil(width / stride), depth]`.

    Raises:
        ValueError: if shortcut and residual cannot be added.
    """
    next_rate = next_rate or rate
    with tf.compat.v1.variable_scope(scope, "bottleneck_v1", [inputs]) as sc:
        shortcut = _shortcut(
            inputs,
            inputs,
            depth,
            stride,
            conv_shortcut,
            average_rate=rate if average_shortcut and next_rate * stride > rate else 0,
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
        residual = layers.conv2d(
            residual,
            depth,
            1,
            stride=1,
            activation_fn=None,
            scope="conv3",
            **_last_norm(zero_init_residual),
        )
        if squeeze_ratio is not None:
            residual = layers.squeeze_excite(residual, squeeze_ratio)
        residual = layers.drop_path(residual, drop_path_rate)
        output = activation_fn(add(shortcut, residual, sc.name))
        return end_points.collect(outputs_collections, sc.name, output)


@add_arg_scope
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
        preact = normalizer_fn(inputs, activation_fn=activation_fn, scope="preact")
        end_points.mark_normalized(
            outputs_collections, inputs, f"{sc.name}/preact", preact
        )
        shortcut = _shortcut(inputs, preact, depth, stride, conv_shortcut, **plain)
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


@add_arg_scope
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
    """
    next_rate = next_rate or rate
    with tf.compat.v1.variable_scope(scope, "basic_v1", [inputs]) as sc:
        if pad_shortcut:
            shortcut = _padded(subsample(inputs, stride, "shortcut"), depth)
        else:
            shortcut = _shortcut(
                inputs,
                inputs,
                depth,
                stride,
                conv_shortcut,
                average_rate=(
                    rate if average_shortcut and next_rate * stride > rate else 0
                ),
            )
        residual = conv2d_same(inputs, depth, 3, stride, rate=rate, scope="conv1")
        residual = layers.conv2d(
            residual,
            depth,
            3,
            stride=1,
            rate=next_rate,
            padding="SAME",
            activation_fn=None,
            scope="conv2",
            **_last_norm(zero_init_residual),
        )
        if squeeze_ratio is not None:
            residual = layers.squeeze_excite(residual, squeeze_ratio)
        residual = layers.drop_path(residual, drop_path_rate)
        output = activation_fn(add(shortcut, residual, sc.name))
        return end_points.collect(outputs_collections, sc.name, output)


@add_arg_scope
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
        preact = normalizer_fn(inputs, activation_fn=activation_fn, scope="preact")
        end_points.mark_normalized(
            outputs_collections, inputs, f"{sc.name}/preact", preact
        )
        shortcut = _shortcut(inputs, preact, depth, stride, conv_shortcut, **plain)
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


def _shortcut(
    identity, projected, depth, stride, conv_shortcut, average_rate=0, **kwargs
):
    """Returns `identity` subsampled, or a 1x1 convolution of `projected`."""
    if conv_shortcut is None:
        conv_shortcut = common.channels_of(identity) != depth
    if not conv_shortcut:
        return subsample(identity, stride, "shortcut")
    if average_rate:
        projected, stride = _mean_2x2(projected, stride, average_rate), 1
    return layers.conv2d(
        projected,
        depth,
        1,
        stride=stride,
        activation_fn=None,
        scope="shortcut",
        **kwargs,
    )


def _mean_2x2(inputs: tf.Tensor, stride: int, rate: int) -> tf.Tensor:
    """The mean of 2x2 pixels `rate` apart, of those that are inside the image."""
    if rate == 1:
        # Average pooling leaves padding out of the mean.
        if stride > 1:
            return layers.avg_pool2d(
                inputs, 2, stride=stride, padding="SAME", scope="shortcut_pool"
            )
        return tf.nn.avg_pool2d(inputs, 2, 1, "SAME")
    outputs = inputs
    for axis in (1, 2):
        size = tf.shape(inputs)[axis]
        paddings = [[0, rate if dim == axis else 0] for dim in range(4)]
        shifted = tf.gather(
            tf.pad(outputs, paddings), tf.range(rate, rate + size), axis=axis
        )
        inside = tf.range(size) + rate < size
        weights = tf.where(inside, 0.5, 1.0)
        shape = [-1 if dim == axis else 1 for dim in range(4)]
        outputs = (outputs + shifted) * tf.reshape(
            tf.cast(weights, inputs.dtype), shape
        )
    return outputs


def _padded(inputs: tf.Tensor, depth: int) -> tf.Tensor:
    extra = depth - common.channels_of(inputs)
    if extra <= 0:
        return inputs
    return tf.pad(inputs, [[0, 0], [0, 0], [0, 0], [0, extra]])


def _last_norm(zero_init: bool) -> dict[str, Any]:
    """Arguments of a unit's last convolution whose norm's gamma begins at 0."""
    if not zero_init:
        return {}
    return {"normalizer_params": {"param_initializers": {"gamma": initializers.zeros}}}


def add(shortcut: tf.Tensor, residual: tf.Tensor, unit: str) -> tf.Tensor:
    """Adds two tensors of the same shape.

    Raises:
        ValueError: naming the unit, if the shapes differ.
    """
    same_rank = shortcut.shape.rank == residual.shape.rank
    if not same_rank or any(
        a is not None and b is not None and a != b
        for a, b in zip(shortcut.shape, residual.shape, strict=True)
    ):
        raise ValueError(
            f"Unit {unit}: the shortcut {shortcut.shape} and the residual "
            f"{residual.shape} cannot be added; nothing is broadcast or padded."
        )
    return shortcut + residual
