"""Pix2pix's generator and discriminator, as research/slim has them.

Source: Isola et al., arXiv:1611.07004; names and layout of research/slim's
nets/pix2pix.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from slimnets import layers
from slimnets.scopes import Scope, arg_scope

__all__ = [
    "Block",
    "pix2pix_arg_scope",
    "pix2pix_discriminator",
    "pix2pix_generator",
    "upsample",
]
_PLAIN = {"activation_fn": None, "normalizer_fn": None}


def pix2pix_arg_scope() -> Scope:
    """Returns the arg scope of both networks, on top of what is open."""
    with arg_scope(
        [layers.conv2d, layers.conv2d_transpose],
        normalizer_fn=layers.instance_norm,
        normalizer_params={"center": True, "scale": True, "epsilon": 0.00001},
        weights_initializer=tf.compat.v1.random_normal_initializer(0, 0.02),
    ) as scope:
        return scope


def upsample(
    net: tf.Tensor,
    num_outputs: int,
    kernel_size: Sequence[int],
    method: str = "nn_upsample_conv",
) -> tf.Tensor:
    """Makes an image larger, by a 4x4 kernel.

    Args:
        net: `[batch, height, width, channels]`.
        num_outputs: channels of the result.
        kernel_size: by how much, vertically and horizontally.
        method: `nn_upsample_conv`, which repeats pixels and then convolves, or
            `conv2d_transpose`.

    Raises:
        ValueError: for another method.
    """
    if method == "nn_upsample_conv":
        size = tf.shape(net)[1:3] * tf.stack(kernel_size)
        net = tf.image.resize(net, size, "nearest")
        return layers.conv2d(net, num_outputs, 4, activation_fn=None)
    if method == "conv2d_transpose":
        return layers.conv2d_transpose(
            net, num_outputs, 4, stride=kernel_size, activation_fn=None
        )
    raise ValueError(
        f"method={method!r}; allowed are 'nn_upsample_conv' and 'conv2d_transpose'."
    )


class Block(NamedTuple):
    """One step down, and the one up that is beside it.

    Attributes:
        num_filters: channels of both.
        decoder_keep_prob: of dropout behind the one up; 0 for no dropout.
    """

    num_filters: int
    decoder_keep_prob: float


def _default_generator_blocks() -> list[Block]:
    return [Block(64, 0.5), Block(128, 0.5), Block(256, 0.5), *[Block(512, 0)] * 4]


def pix2pix_generator(
    net: tf.Tensor,
    num_outputs: int,
    blocks: Sequence[Block] | None = None,
    upsample_method: str = "nn_upsample_conv",
    is_training: bool = False,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Makes an image of an image: a U-Net.

    Args:
        net: `[batch, size, size, channels]`, of known sizes; the size is divisible by 2
            as often as there are blocks.
        num_outputs: channels of the result.
        blocks: the blocks; None for seven.
        upsample_method: of `upsample`.
        is_training: not used: dropout drops in both, as the paper has it.

    Returns:
        `(logits, end_points)`; logits have the shape of `net`, but for the channels.
    """
    del is_training
    blocks, end_points, down = list(blocks or _default_generator_blocks()), {}, []
    shape = [*net.shape.as_list()[:3], num_outputs]
    last = len(blocks) - 1
    with tf.compat.v1.variable_scope("encoder"):
        for i, block in enumerate(blocks):
            options = {"activation_fn": tf.nn.leaky_relu}
            if i in (0, last):
                options["normalizer_fn"] = None
            if i == last and i:
                options["activation_fn"] = None
            net = layers.conv2d(net, block.num_filters, 4, 2, **options)
            down.append(net)
            end_points[f"encoder{i}"] = net
    with tf.compat.v1.variable_scope("decoder"):
        for i, block in enumerate(reversed(blocks)):
            if i:
                net = tf.concat([net, down[last - i]], 3)
            net = upsample(tf.nn.relu(net), block.num_filters, [2, 2], upsample_method)
            if block.decoder_keep_prob > 0:
                net = layers.dropout(net, block.decoder_keep_prob, is_training=True)
            end_points[f"decoder{i}"] = net
    with tf.compat.v1.variable_scope("output"):
        logits = layers.conv2d(net, num_outputs, 4, **_PLAIN)
        logits = tf.reshape(logits, shape)
        end_points["logits"] = logits
        end_points["predictions"] = tf.tanh(logits)
    return logits, end_points


def pix2pix_discriminator(
    net: tf.Tensor,
    num_filters: Sequence[int],
    padding: int = 2,
    pad_mode: str = "REFLECT",
    activation_fn: Callable | None = tf.nn.leaky_relu,
    is_training: bool = False,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Judges patches of images.

    Args:
        net: `[batch, height, width, channels]`.
        num_filters: channels of each convolution.
        padding: before each, in pixels on every side.
        pad_mode: as in `tf.pad`.
        activation_fn: after each.
        is_training: not used.

    Returns:
        `(logits, end_points)`: `[batch, rows, columns, 1]`, one logit for each patch,
        and `conv0` ..., `logits` and `predictions`.
    """
    del is_training
    end_points, count = {}, len(num_filters)
    sides = [[0, 0], [padding] * 2, [padding] * 2, [0, 0]]
    for i, depth in enumerate([*num_filters, 1]):
        options = {"activation_fn": activation_fn, "stride": 2 if i < count - 1 else 1}
        if i == 0:
            options |= {"normalizer_fn": None}
        if i == count:
            options |= _PLAIN
        if padding:
            with tf.compat.v1.variable_scope(f"conv{i}"):
                net = tf.pad(net, sides, pad_mode)
        net = layers.conv2d(net, depth, 4, padding="VALID", scope=f"conv{i}", **options)
        end_points[f"conv{i}" if i < count else "logits"] = net
    end_points["predictions"] = tf.sigmoid(net)
    return net, end_points
