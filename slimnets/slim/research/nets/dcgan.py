"""DCGAN's generator and discriminator, as research/slim has them.

Source: Radford et al., arXiv:1511.06434; names and layout of research/slim's
nets/dcgan.py.
"""

from __future__ import annotations

import contextlib

import tensorflow as tf

from slimnets import layers
from slimnets.scopes import arg_scope

__all__ = ["discriminator", "generator"]


def discriminator(
    inputs: tf.Tensor,
    depth: int = 64,
    is_training: bool | tf.Tensor = True,
    reuse: bool | None = None,
    scope: str | None = "Discriminator",
    fused_batch_norm: bool = False,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Halves images until one position is left, and judges that.

    Args:
        inputs: `[batch, size, size, channels]`; the size is a power of 2.
        depth: channels of the first convolution; each further one has twice as many.
        is_training: whether batch norms use the batch's statistics.
        reuse: as in `tf.compat.v1.variable_scope`.
        scope: name of the variable scope.
        fused_batch_norm: whether batch norms use TensorFlow's fused operation.

    Returns:
        `(logits, end_points)`: `[batch, 1]`, and `conv1` ... and `logits`.

    Raises:
        ValueError: for inputs of another shape.
    """
    shape = inputs.shape.as_list() if inputs.shape.rank == 4 else [None] * 4
    size = shape[1]
    if size is None or size != shape[2]:
        raise ValueError(
            "The inputs are not images of a known size, or do not have equal width and "
            f"height; got shape {inputs.shape}."
        )
    count = size.bit_length() - 1
    if size != 2**count:
        raise ValueError(f"The inputs' width is not a power of 2; got {size}.")
    end_points = {}
    with (
        tf.compat.v1.variable_scope(scope, values=[inputs], reuse=reuse),
        _normalized(is_training, fused_batch_norm),
        arg_scope(
            [layers.conv2d], stride=2, kernel_size=4, activation_fn=tf.nn.leaky_relu
        ),
    ):
        net = inputs
        for i in range(count):
            norm = layers.batch_norm if i else None
            name = f"conv{i + 1}"
            net = layers.conv2d(net, depth * 2**i, normalizer_fn=norm, scope=name)
            end_points[name] = net
        logits = _plain(net, 1)
        end_points["logits"] = tf.reshape(logits, [-1, 1])
    return end_points["logits"], end_points


def generator(
    inputs: tf.Tensor,
    depth: int = 64,
    final_size: int = 32,
    num_outputs: int = 3,
    is_training: bool | tf.Tensor = True,
    reuse: bool | None = None,
    scope: str | None = "Generator",
    fused_batch_norm: bool = False,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Makes images of vectors.

    Args:
        inputs: `[batch, n]`.
        depth: channels of the last transposed convolution; each one before it has twice
            as many.
        final_size: the images' height and width: a power of 2, at least 8.
        num_outputs: the images' channels.
        is_training, reuse, scope, fused_batch_norm: as of `discriminator`.

    Returns:
        `(logits, end_points)`: `[batch, final_size, final_size, num_outputs]`, and
        `deconv1` ... and `logits`.

    Raises:
        ValueError: for inputs of another rank, or another size.
    """
    if inputs.shape.rank != 2:
        raise ValueError(f"inputs are [batch, n]; got shape {inputs.shape}.")
    count = final_size.bit_length() - 2
    if final_size != 2 ** (count + 1):
        raise ValueError(f"final_size={final_size}; it must be a power of 2.")
    if count < 2:
        raise ValueError(f"final_size={final_size}; it must be greater than 8, or 8.")
    end_points = {}
    with (
        tf.compat.v1.variable_scope(scope, values=[inputs], reuse=reuse),
        _normalized(is_training, fused_batch_norm),
        arg_scope(
            [layers.conv2d_transpose],
            normalizer_fn=layers.batch_norm,
            stride=2,
            kernel_size=4,
        ),
    ):
        net = tf.expand_dims(tf.expand_dims(inputs, 1), 1)
        for i in range(1, count + 1):
            name, own = f"deconv{i}", {}
            if i == 1:
                own = {"stride": 1, "padding": "VALID"}
            elif i == count:
                own = {"normalizer_fn": None, "activation_fn": None}
            net = layers.conv2d_transpose(
                net, depth * 2 ** (count - i), scope=name, **own
            )
            end_points[name] = net
        end_points["logits"] = _plain(net, num_outputs, "logits")
    return end_points["logits"], end_points


def _normalized(
    is_training: bool | tf.Tensor, fused: bool
) -> contextlib.AbstractContextManager:
    return arg_scope(
        [layers.batch_norm],
        is_training=is_training,
        zero_debias_moving_mean=True,
        fused=fused,
    )


def _plain(net: tf.Tensor, depth: int, scope: str | None = None) -> tf.Tensor:
    """A 1x1 convolution alone."""
    return layers.conv2d(
        net,
        depth,
        kernel_size=1,
        stride=1,
        padding="VALID",
        normalizer_fn=None,
        activation_fn=None,
        scope=scope,
    )
