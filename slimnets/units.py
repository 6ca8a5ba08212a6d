"""Unit functions: what a block repeats.

A unit takes a tensor and gives the sum of a shortcut and a residual branch. Its
shortcut is the (subsampled) input where the depths agree, else a 1x1 convolution.

Source: [1] He et al., arXiv:1512.03385, figure 5; [2] He et al., arXiv:1603.05027,
figure 1(b); names and order of variables of tf_slim's resnet_v1 and resnet_v2.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from slimnets import end_points, layers
from slimnets.blocks import conv2d_same, subsample
from slimnets.layers import common
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
    conv_shortcut: bool | None = None,
) -> tf.Tensor:
    """The bottleneck unit of [1]: 1x1, 3x3, 1x1, each with batch norm; then ReLU.

    Args:
        inputs: `[batch, height, width, channels]`.
        depth: channels of the output.
        depth_bottleneck: channels between.
        stride: of the 3x3 convolution and the shortcut.
        rate: of atrous convolution.
        outputs_collections: collections for the unit's output.
        scope: name of the variable scope.
        conv_shortcut: whether the shortcut is a convolution; None is where the
            depths differ.

    Returns:
        `[batch, ceil(height / stride), ceil(width / stride), depth]`.

    Raises:
        ValueError: if shortcut and residual cannot be added.
    """
    with tf.compat.v1.variable_scope(scope, "bottleneck_v1", [inputs]) as sc:
        shortcut = _shortcut(inputs, inputs, depth, stride, conv_shortcut)
        residual = layers.conv2d(inputs, depth_bottleneck, 1, stride=1, scope="conv1")
        residual = conv2d_same(
            residual, depth_bottleneck, 3, stride, rate=rate, scope="conv2"
        )
        residual = layers.conv2d(
            residual, depth, 1, stride=1, activation_fn=None, scope="conv3"
        )
        output = tf.nn.relu(add(shortcut, residual, sc.name))
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
    conv_shortcut: bool | None = None,
) -> tf.Tensor:
    """The pre-activation bottleneck unit of [2]: batch norm and ReLU come first.

    Arguments, result and errors as of `bottleneck_v1`.
    """
    with tf.compat.v1.variable_scope(scope, "bottleneck_v2", [inputs]) as sc:
        preact = layers.batch_norm(inputs, activation_fn=tf.nn.relu, scope="preact")
        shortcut = _shortcut(
            inputs, preact, depth, stride, conv_shortcut, normalizer_fn=None
        )
        residual = layers.conv2d(preact, depth_bottleneck, 1, stride=1, scope="conv1")
        residual = conv2d_same(
            residual, depth_bottleneck, 3, stride, rate=rate, scope="conv2"
        )
        residual = layers.conv2d(
            residual,
            depth,
            1,
            stride=1,
            normalizer_fn=None,
            activation_fn=None,
            scope="conv3",
        )
        output = add(shortcut, residual, sc.name)
        return end_points.collect(outputs_collections, sc.name, output)


def _shortcut(identity, projected, depth, stride, conv_shortcut, **kwargs):
    """Returns `identity` subsampled, or a 1x1 convolution of `projected`."""
    if conv_shortcut is None:
        conv_shortcut = common.channels_of(identity) != depth
    if not conv_shortcut:
        return subsample(identity, stride, "shortcut")
    return layers.conv2d(
        projected,
        depth,
        1,
        stride=stride,
        activation_fn=None,
        scope="shortcut",
        **kwargs,
    )


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
