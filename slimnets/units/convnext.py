"""ConvNeXt's unit: a depthwise 7x7 convolution and a dense layer for each position.

Source: Liu et al., A ConvNet for the 2020s, arXiv:2201.03545, section 2; [1] Woo et
al., ConvNeXt V2, arXiv:2301.00808, section 3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import end_points, layers
from slimnets.scopes import add_arg_scope
from slimnets.units.inverted import depthwise
from slimnets.units.traits import Traits, describes


def gelu(inputs: tf.Tensor) -> tf.Tensor:
    """Hendrycks & Gimpel, arXiv:1606.08415, not approximated."""
    return tf.nn.gelu(inputs, approximate=False)


def _traits(
    channels, depth, stride=1, rate=1, next_rate=None, normalizes_response=False, **_
) -> Traits:
    after = next_rate or rate
    halved = ((2, stride, rate),) if stride * after > rate else ()
    path = (*halved, (7, 1, after))
    return Traits(
        *(depth, (path,), normalizes_response),
        normalized=False,
        activated=False,
        key="convnext",
    )


@describes(_traits)
@add_arg_scope(default_scope="convnext")
def convnext(
    inputs: tf.Tensor,
    depth: int,
    stride: int = 1,
    rate: int = 1,
    outputs_collections: Any = None,
    scope: str | None = None,
    *,
    next_rate: int | None = None,
    expansion: int = 4,
    initial_scale: float | None = 1e-6,
    normalizes_response: bool = False,
    drop_path_rate: float = 0.0,
    activation_fn: Callable = gelu,
    normalizer_fn: Callable = layers.layer_norm,
) -> tf.Tensor:
    """Depthwise 7x7, norm, dense, activation, dense; scaled, and added to the input.

    Other arguments as of `bottleneck_v1`.

    Args:
        depth: channels of the output.
        stride: 1, or 2 for a norm and a 2x2 convolution that come first.
        expansion: channels between the dense layers for each of the output.
        initial_scale: of the layer scale; None for none.
        normalizes_response: whether a global response norm stands between the dense
            layers, behind the activation [1].
        activation_fn: between the dense layers.
        normalizer_fn: of each position's channels.

    Returns:
        `[batch, height // stride, width // stride, depth]`.
    """
    after = next_rate or rate
    plain = {"normalizer_fn": None, "activation_fn": None}
    with tf.compat.v1.variable_scope(scope, "convnext", [inputs]) as sc:
        if stride * after > rate:
            inputs = normalizer_fn(inputs, scope="downsample_norm")
            if stride == 1:  # Every pixel keeps its place.
                inputs = tf.pad(inputs, [[0, 0], [0, rate], [0, rate], [0, 0]])
            inputs = layers.conv2d(
                inputs,
                depth,
                2,
                stride=stride,
                rate=rate,
                padding="VALID",
                scope="downsample",
                **plain,
            )
        net = depthwise(inputs, 7, 1, after, "SAME", None, scope="depthwise", **plain)
        net = normalizer_fn(net, scope="norm")
        net = layers.conv2d(
            net,
            expansion * depth,
            1,
            normalizer_fn=None,
            activation_fn=activation_fn,
            scope="fc1",
        )
        if normalizes_response:
            net = layers.global_response_norm(net, scope="grn")
        net = layers.conv2d(net, depth, 1, scope="fc2", **plain)
        if initial_scale is not None:
            net = layers.layer_scale(net, initial_scale)
        net = inputs + layers.drop_path(net, drop_path_rate)
        return end_points.collect(outputs_collections, sc.name, net)
