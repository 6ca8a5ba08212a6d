"""Changes of color, for images in batches; pixels are float32 from 0 to 255.

Sources: [1] torchvision's ColorJitter; [2] research/slim's inception_preprocessing.
"""

import functools

import tensorflow as tf

# ITU-R 601, as PIL's conversion to gray.
LUMA = (0.299, 0.587, 0.114)
# The greatest change of brightness [2], in pixels, and of saturation, as a factor.
_BRIGHTNESS, _SATURATION = 32.0, 0.5
JITTER_DRAWS = DISTORT_DRAWS = 3
# The same as LUMA in whole numbers, as PIL computes it: in units of 1 / 2**16.
_GRAY = (19595, 38470, 7471)


def gray(image: tf.Tensor) -> tf.Tensor:
    """PIL's gray of whole colors `[..., 3]`: int32 `[..., 1]`."""
    weighted = tf.cast(image, tf.int32) * tf.constant(_GRAY)
    return (tf.reduce_sum(weighted, axis=-1, keepdims=True) + 2**15) // 2**16


def color_jitter(images: tf.Tensor, draws: tf.Tensor, strength: float) -> tf.Tensor:
    """Changes brightness, contrast and saturation of each image, as [1].

    Each factor is from `1 - strength` to `1 + strength`. Values are clipped once, at
    the end; without clipping in between, the order of the three does not matter.

    Args:
        images: `[batch, height, width, channels]`.
        draws: `[batch, 3]`, from 0 to 1.
        strength: from 0 to 1.
    """
    factors = 1.0 + strength * (2.0 * draws[:, :, None, None] - 1.0)
    brightness, contrast, saturation = tf.unstack(factors, axis=1)
    batch, height, width, channels = images.shape
    weights = tf.constant(LUMA if channels == 3 else (1.0,))[:, None]
    level = tf.linalg.matmul(tf.reduce_mean(images, axis=[1, 2])[:, None], weights)
    # As one matrix for each image: its own colors in part, its gray in part.
    mixed = brightness * contrast
    matrix = mixed * (
        saturation * tf.eye(channels)
        + (1.0 - saturation) * tf.tile(weights, [1, channels])
    )
    flat = tf.reshape(images, [batch or -1, height * width, channels])
    changed = tf.linalg.matmul(flat, matrix) + (brightness - mixed) * level
    return tf.clip_by_value(tf.reshape(changed, tf.shape(images)), 0.0, 255.0)


def inception_colors(images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """Changes brightness and saturation of each image in one of two orders.

    It is `distort_color(image, order, fast_mode=True)` of [2].

    Args:
        images: `[batch, height, width, channels]`.
        draws: `[batch, 3]`, from 0 to 1.
    """
    draws = draws[:, :, None, None]
    delta = _BRIGHTNESS * (2.0 * draws[:, 0] - 1.0)
    factor = 1.0 + _SATURATION * (2.0 * draws[:, 1] - 1.0)
    first = tf.where(draws[:, 2] < 0.5, delta, 0.0)
    # Channel by channel, since numbers of one shape are quickly computed, and those of
    # one channel stay in the processor's cache.
    planes = tf.unstack(images, axis=-1)
    scale, level = saturation_line(planes, factor, first)
    level += delta
    changed = [tf.clip_by_value(plane * scale + level, 0.0, 255.0) for plane in planes]
    return tf.transpose(tf.stack(changed), [1, 2, 3, 0])


def saturation_line(
    planes: list[tf.Tensor], factor: tf.Tensor, added: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """What `tf.image.adjust_saturation` does, as a scale and a level for each pixel.

    `plane * scale + level + added` is what it gives for `plane + added`, without the
    way through HSV: the largest channel stays; the others' distances to it grow by
    `factor`, but not so far that one is below 0.

    Args:
        planes: each channel, `[batch, height, width]`.
        factor, added: `[batch, 1, 1]`.
    """
    largest = functools.reduce(tf.maximum, planes)
    spread = largest - functools.reduce(tf.minimum, planes)
    farthest = (largest + added) / tf.maximum(spread, 1e-6)
    scale = tf.minimum(factor, farthest)
    return scale, largest * (1.0 - scale)
