"""Losses of masks: of every pixel, and of every class of an image as a whole.

Sources: [1] Lin et al., arXiv:1708.02002 (focal loss); [2] Milletari et al., V-Net,
arXiv:1606.04797 (Dice).
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from slimnets.training.losses import (
    FOCAL_GAMMA,
    focal_cross_entropy,
    softmax_cross_entropy,
)


def mask_losses(
    mask: tf.Tensor, logits: tf.Tensor, loss: str, focal_gamma: float | None = None
) -> tf.Tensor:
    """The loss of each image, `[batch]`, in float32.

    Args:
        mask: int32 `[batch, height, width]`, negative where no class is meant.
        logits: `[batch, height, width, classes]`.
        loss: `softmax` or `focal`, the mean over the pixels that are meant; `dice`; or
            the sum of two, with a comma between.
        focal_gamma: as of `focal_cross_entropy`; None for its default.
    """
    gamma = FOCAL_GAMMA if focal_gamma is None else focal_gamma
    of_names: dict[str, Callable] = {
        "softmax": lambda: of_pixels(
            mask, softmax_cross_entropy(tf.maximum(mask, 0), logits)
        ),
        "focal": lambda: of_pixels(
            mask, focal_cross_entropy(tf.maximum(mask, 0), logits, gamma=gamma)
        ),
        "dice": lambda: dice_loss(mask, logits),
    }
    return tf.add_n([of_names[name]() for name in loss.split(",")])


def of_pixels(mask: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """The mean of values over the pixels that are meant: `[batch]`; 0 for none."""
    meant = tf.cast(mask >= 0, tf.float32)
    return tf.math.divide_no_nan(
        tf.reduce_sum(values * meant, [1, 2]), tf.reduce_sum(meant, [1, 2])
    )


def dice_loss(mask: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """1 - the soft Dice coefficient [2], the mean over an image's classes: `[batch]`.

    Classes that are not in an image have no coefficient; what is wrongly taken for them
    is missing from those that are. Arguments as of `mask_losses`.
    """
    meant = tf.cast(mask >= 0, tf.float32)[..., tf.newaxis]
    found = tf.nn.softmax(tf.cast(logits, tf.float32)) * meant
    truth = tf.one_hot(mask, logits.shape[-1])
    shared, sizes = (
        tf.reduce_sum(values, [1, 2]) for values in (found * truth, found + truth)
    )
    is_there = tf.cast(tf.reduce_any(truth > 0, [1, 2]), tf.float32)
    missed = (1.0 - tf.math.divide_no_nan(2.0 * shared, sizes)) * is_there
    return tf.math.divide_no_nan(tf.reduce_sum(missed, -1), tf.reduce_sum(is_there, -1))
