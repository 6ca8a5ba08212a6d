"""Global response normalization: channels compete by their energy over the image.

Source: Woo et al., ConvNeXt V2, arXiv:2301.00808, section 3 and algorithm 1.
"""

from __future__ import annotations

import tensorflow as tf

from slimnets.layers import building, initializers
from slimnets.scopes import add_arg_scope

_LEAST = 1e-30


@add_arg_scope(default_scope="GlobalResponseNorm")
def global_response_norm(
    inputs: tf.Tensor,
    epsilon: float = 1e-6,
    trainable: bool = True,
    scope: str | None = None,
) -> tf.Tensor:
    """Adds to each channel itself, times its norm over the norms' mean.

    `gamma` and `beta`, both 0 at first, scale and shift what is added.

    Args:
        inputs: `[batch, height, width, channels]`.
        epsilon: added to the mean of the norms.
        trainable: whether optimizers find the variables.
        scope: name of the variable scope.

    Returns:
        The same shape and type.
    """
    with tf.compat.v1.variable_scope(scope, "GlobalResponseNorm", [inputs]):
        dtype = building.statistics_dtype(inputs.dtype)
        values = tf.cast(inputs, dtype)
        energy = tf.reduce_sum(tf.square(values), [1, 2], keepdims=True)
        # A channel of zeros has no gradient, rather than one that is not a number.
        norms = tf.sqrt(tf.maximum(energy, _LEAST))
        norms /= tf.reduce_mean(norms, 3, keepdims=True) + epsilon
        beta, gamma = (
            building.make_variable(
                name,
                (building.channels_of(inputs),),
                dtype,
                initializers.zeros,
                None,
                trainable,
            )
            for name in ("beta", "gamma")
        )
        return inputs + tf.cast(beta + gamma * (values * norms), inputs.dtype)
