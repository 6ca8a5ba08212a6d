"""Dense layers: what a layer makes of all before it is concatenated to it.

Source: Huang et al., Densely Connected Convolutional Networks, arXiv:1608.06993,
section 3 (DenseNet-B).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import end_points, layers
from slimnets.scopes import add_arg_scope
from slimnets.units.normalized import preactivated
from slimnets.units.traits import Traits, describes


def _traits(channels, depth, stride=1, rate=1, next_rate=None, **_) -> Traits:
    return Traits(
        channels + depth,
        (((3, 1, rate),),),
        normalized=False,
        activated=False,
        key="dense_layer",
    )


@describes(_traits)
@add_arg_scope(default_scope="dense_layer")
def dense_layer(
    inputs: tf.Tensor,
    depth: int,
    stride: int = 1,
    rate: int = 1,
    outputs_collections: Any = None,
    scope: str | None = None,
    *,
    bottleneck: int = 4,
    activation_fn: Callable = tf.nn.relu,
    normalizer_fn: Callable = layers.batch_norm,
) -> tf.Tensor:
    """Norm, activation, 1x1; norm, activation, 3x3; behind the inputs' channels.

    Other arguments as of `bottleneck_v1`.

    Args:
        depth: channels that it adds.
        stride: 1.
        bottleneck: channels of the 1x1 convolution for each that it adds.
        activation_fn: of the inputs, normalized.
        normalizer_fn: of the inputs.

    Returns:
        `[batch, height, width, channels + depth]`.

    Raises:
        ValueError: for another stride.
    """
    if stride != 1:
        raise ValueError(f"dense_layer: stride={stride!r}; allowed is 1.")
    with tf.compat.v1.variable_scope(scope, "dense_layer", [inputs]) as sc:
        net = preactivated(inputs, normalizer_fn, activation_fn)
        net = layers.conv2d(net, bottleneck * depth, 1, scope="conv1")
        net = layers.conv2d(
            net,
            depth,
            3,
            rate=rate,
            normalizer_fn=None,
            activation_fn=None,
            biases_initializer=None,
            scope="conv2",
        )
        net = layers.activations(tf.concat([inputs, net], 3), scope="concat")
        return end_points.collect(outputs_collections, sc.name, net)
