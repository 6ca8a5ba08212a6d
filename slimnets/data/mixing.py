"""Random erasing, mixup and cutmix: what comes after an image has its last values.

Sources: Zhong et al., arXiv:1708.04896 (random erasing); Zhang et al.,
arXiv:1710.09412 (mixup); Yun et al., arXiv:1905.04899 (cutmix). Shares are drawn for
each pair of images, as timm's `mode="pair"`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import tensorflow as tf

# The erased share of the area, and the widest aspect ratio.
ERASED_AREA = (0.02, 1 / 3)
ERASED_ASPECT = 10 / 3
_ATTEMPTS = 10
ERASING_DRAWS = 3 + 2 * _ATTEMPTS


def random_erasing(
    images: tf.Tensor, draws: tf.Tensor, probability: float
) -> tf.Tensor:
    """Sets a rectangle of some images to 0, the mean of what is normalized.

    The rectangle is the first of ten that fits; an image that none fits stays whole.

    Args:
        images: `[batch, height, width, channels]`.
        draws: `[batch, ERASING_DRAWS]`, from 0 to 1.
        probability: of an image to lose something.
    """
    height, width = images.shape[1:3]
    low, high = ERASED_AREA
    areas = height * width * (low + (high - low) * draws[:, 3 : 3 + _ATTEMPTS])
    ratios = tf.exp((2.0 * draws[:, 3 + _ATTEMPTS :] - 1.0) * math.log(ERASED_ASPECT))
    heights = tf.math.rint(tf.sqrt(areas * ratios))
    widths = tf.math.rint(tf.sqrt(areas / ratios))
    fits = (heights < height) & (widths < width) & (draws[:, :1] < probability)
    chosen = tf.argmax(fits, axis=1)
    tall = tf.gather(heights, chosen, axis=1, batch_dims=1)
    wide = tf.gather(widths, chosen, axis=1, batch_dims=1)
    erased = tf.reduce_any(fits, axis=1)
    tall, wide = (tf.where(erased, side, 0.0) for side in (tall, wide))
    top = tf.floor(draws[:, 1] * (height - tall + 1.0))
    left = tf.floor(draws[:, 2] * (width - wide + 1.0))
    return tf.where(_inside(images, top, top + tall, left, left + wide), 0.0, images)


def _inside(images: tf.Tensor, top, bottom, left, right) -> tf.Tensor:
    """Whether a pixel is in its image's rectangle: bool `[batch, height, width, 1]`."""
    height, width = images.shape[1:3]
    rows = tf.range(height, dtype=tf.float32)[None, :, None, None]
    columns = tf.range(width, dtype=tf.float32)[None, None, :, None]
    top, bottom, left, right = (
        edge[:, None, None, None] for edge in (top, bottom, left, right)
    )
    return (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)


class Mix(NamedTuple):
    """How the pairs of a batch are mixed; each attribute is `[pairs]`.

    Attributes:
        share: of the image itself, from 0 to 1, before a cut is rounded to pixels.
        cut: whether it is cutmix.
        row, column: where a cut's centre is, from 0 to 1.
    """

    share: tf.Tensor
    cut: tf.Tensor
    row: tf.Tensor
    column: tf.Tensor


def draw_mix(
    pairs: int, seed: tf.Tensor, mixup_alpha: float, cutmix_alpha: float
) -> Mix:
    """Draws how `pairs` pairs are mixed; one of the alphas is above 0.

    Args:
        pairs: how many.
        seed: int `[2]`; the same seed gives the same.
        mixup_alpha, cutmix_alpha: of the beta distributions; 0 for never.
    """
    fold = tf.random.experimental.stateless_fold_in
    draws = tf.random.stateless_uniform([3, pairs], fold(seed, 1))
    cuts = 0.5 if mixup_alpha and cutmix_alpha else float(bool(cutmix_alpha))
    cut = draws[0] < cuts
    shares = tf.where(
        cut,
        _beta(pairs, fold(seed, 2), cutmix_alpha or 1.0),
        _beta(pairs, fold(seed, 3), mixup_alpha or 1.0),
    )
    return Mix(shares, cut, draws[1], draws[2])


def _beta(number: int, seed: tf.Tensor, alpha: float) -> tf.Tensor:
    gammas = tf.random.stateless_gamma([2, number], seed, alpha, dtype=tf.float64)
    return tf.cast(gammas[0] / tf.reduce_sum(gammas, axis=0), tf.float32)


def mix_pairs(
    images: tf.Tensor, labels: tf.Tensor, mix: Mix
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mixes the images 0 and 1, 2 and 3 and so on, and their labels in the same shares.

    Each of a pair is mixed with the other; the last of an odd number stays as it is.

    Args:
        images: `[batch, height, width, channels]`.
        labels: float32 `[batch, classes]`.
        mix: of `ceil(batch / 2)` pairs.
    """
    number, height, width = images.shape[:3]
    order = [min(index ^ 1, number - 1) for index in range(number)]
    share, cut, row, column = (tf.repeat(part, 2)[:number] for part in mix)
    # A cut has the area 1 - share, but what is beyond the border is left out.
    side = tf.sqrt(1.0 - share)
    edges = []
    for place, size in ((row, height), (column, width)):
        half, centre = tf.floor(side * size) // 2, tf.floor(place * size)
        edges += [tf.maximum(centre - half, 0.0), tf.minimum(centre + half, size)]
    inside = _inside(images, *edges)
    area = (edges[1] - edges[0]) * (edges[3] - edges[2]) / (height * width)
    others, blend = tf.gather(images, order), share[:, None, None, None]
    mixed = tf.where(
        cut[:, None, None, None],
        tf.where(inside, others, images),
        blend * images + (1.0 - blend) * others,
    )
    kept = tf.where(cut, 1.0 - area, share)[:, None]
    return mixed, kept * labels + (1.0 - kept) * tf.gather(labels, order)
