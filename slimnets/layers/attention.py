"""Squeeze-and-excitation: channels weighted by what the whole image says.

Source: Hu et al., arXiv:1709.01507; the rounding of the squeezed depth is timm's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import end_points
from slimnets.layers import building
from slimnets.layers.conv import conv2d
from slimnets.layers.places import activations
from slimnets.scopes import add_arg_scope


@add_arg_scope(default_scope="se")
def squeeze_excite(
    inputs: tf.Tensor,
    ratio: float = 1 / 16,
    divisor: int = 8,
    activation_fn: Callable = tf.nn.relu,
    gate_fn: Callable = tf.nn.sigmoid,
    outputs_collections: Any = None,
    scope: str | None = None,
    *,
    squeezed_depth: int | None = None,
    names: tuple[str, str] = ("fc1", "fc2"),
) -> tf.Tensor:
    """Scales every channel by a gate in 0 to 1 computed from all channels' means.

    Args:
        inputs: `[batch, height, width, channels]`.
        ratio: of the depth between to the channels.
        divisor: the depth between is the nearest multiple of this, at least one.
        activation_fn: between the two 1x1 convolutions.
        gate_fn: after them.
        outputs_collections: collections for the outputs.
        scope: name of the variable scope.
        squeezed_depth: the depth between, instead of what ratio and divisor give.
        names: of the scopes of the two convolutions.

    Returns:
        The scaled inputs, same shape.
    """
    with tf.compat.v1.variable_scope(scope, "se", [inputs]) as sc:
        channels = building.channels_of(inputs)
        squeezed = squeezed_depth or max(
            divisor, int(channels * ratio + divisor / 2) // divisor * divisor
        )
        net = activations(tf.reduce_mean(inputs, [1, 2], keepdims=True), scope="means")
        plain = {"normalizer_fn": None, "outputs_collections": None, "groups": 1}
        net = conv2d(
            net, squeezed, 1, activation_fn=activation_fn, scope=names[0], **plain
        )
        net = conv2d(net, channels, 1, activation_fn=gate_fn, scope=names[1], **plain)
        net = activations(inputs * net, scope="product")
        return end_points.collect(outputs_collections, sc.name, net)
