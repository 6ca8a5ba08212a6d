"""The operations of AutoAugment and RandAugment, on one image each.

An image is float32 `[height, width, channels]` of whole numbers from 0 to 255, and so
is the result: each operation gives what PIL's ImageOps, ImageEnhance or
Image.transform gives, to the pixel but for rounding.

Sources: Cubuk et al., arXiv:1805.09501 (AutoAugment) and arXiv:1909.13719
(RandAugment); what is moved in is gray, as in EfficientNet's and timm's versions.
"""

from __future__ import annotations

import math

import tensorflow as tf

from slimnets.data import colors

FILL = 128.0
_SMOOTH = ((1, 1, 1), (1, 5, 1), (1, 1, 1))


def auto_contrast(image: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
    """Stretches each channel to 0 and 255."""
    low = tf.reduce_min(image, axis=[0, 1])
    high = tf.reduce_max(image, axis=[0, 1])
    scale = 255.0 / tf.maximum(high - low, 1.0)
    # A whole result must not be taken for one less.
    stretched = tf.floor((image - low) * scale + 1e-3)
    return tf.where(high > low, tf.clip_by_value(stretched, 0.0, 255.0), image)


def equalize(image: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
    """Evens out the histogram of each channel."""
    levels = tf.cast(image, tf.int32)

    def one(channel: tf.Tensor) -> tf.Tensor:
        counts = tf.math.bincount(tf.reshape(channel, [-1]), minlength=256)
        last = counts[tf.reduce_max(channel)]
        step = (tf.reduce_sum(counts) - last) // 255
        table = (step // 2 + tf.cumsum(counts, exclusive=True)) // tf.maximum(step, 1)
        table = tf.where(step > 0, tf.minimum(table, 255), tf.range(256))
        return tf.gather(table, channel)

    channels = [one(channel) for channel in tf.unstack(levels, axis=-1)]
    return tf.cast(tf.stack(channels, axis=-1), tf.float32)


def invert(image: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
    """Makes a negative."""
    return 255.0 - image


def posterize(image: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    """Keeps that many upper bits of each value."""
    step = tf.pow(2.0, 8.0 - tf.floor(bits))
    return tf.floor(image / step) * step


def solarize(image: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
    """Inverts values from the threshold on."""
    return tf.where(image < tf.floor(threshold), image, 255.0 - image)


def solarize_add(image: tf.Tensor, added: tf.Tensor) -> tf.Tensor:
    """Raises values below 128."""
    raised = tf.minimum(image + tf.floor(added), 255.0)
    return tf.where(image < 128.0, raised, image)


def _blend(first: tf.Tensor, second: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    mixed = first + share * (second - first)
    return tf.floor(tf.clip_by_value(mixed, 0.0, 255.0))


def _gray(image: tf.Tensor) -> tf.Tensor:
    return image if image.shape[-1] == 1 else tf.cast(colors.gray(image), tf.float32)


def color(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Makes colors stronger; 0 gives gray."""
    return _blend(_gray(image), image, factor)


def contrast(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Makes contrast stronger; 0 gives the mean brightness."""
    mean = tf.floor(tf.reduce_mean(_gray(image)) + 0.5)
    return _blend(mean, image, factor)


def brightness(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Multiplies values."""
    return _blend(tf.zeros_like(image), image, factor)


def sharpness(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Sharpens; below 1 it blurs. The border stays."""
    channels = image.shape[-1]
    kernel = tf.tile(tf.reshape(tf.constant(_SMOOTH, tf.float32), [3, 3, 1, 1]),
                     [1, 1, channels, 1])  # fmt: skip
    inner = tf.nn.depthwise_conv2d(image[tf.newaxis], kernel, [1] * 4, "VALID")[0]
    inner = tf.floor(inner / 13.0 + 0.5)
    border = [[1, 1], [1, 1], [0, 0]]
    inside = tf.pad(tf.ones_like(inner, tf.bool), border)
    smooth = tf.where(inside, tf.pad(inner, border), image)
    return _blend(smooth, image, factor)


def _moved(image: tf.Tensor, matrix: list) -> tf.Tensor:
    """Image.transform(AFFINE, matrix, NEAREST): output to input, pixel centres."""
    a, b, c, d, e, f = (tf.cast(value, tf.float32) for value in matrix)
    # PIL's coordinates of a centre are half a pixel more than TensorFlow's.
    x0, y0 = (a + b - 1.0) / 2.0 + c, (d + e - 1.0) / 2.0 + f
    none = tf.zeros([])
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=image[tf.newaxis],
        transforms=tf.stack([a, b, x0, d, e, y0, none, none])[tf.newaxis],
        output_shape=tf.shape(image)[:2],
        fill_value=FILL,
        interpolation="NEAREST",
        fill_mode="CONSTANT",
    )[0]


def _size(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    height, width = tf.unstack(tf.cast(tf.shape(image)[:2], tf.float32))
    return height, width


def rotate(image: tf.Tensor, degrees: tf.Tensor) -> tf.Tensor:
    """Turns around the centre, counter-clockwise."""
    height, width = _size(image)
    angle = -degrees * (math.pi / 180.0)
    cos, sin = tf.cos(angle), tf.sin(angle)
    x, y = width / 2.0, height / 2.0
    return _moved(
        image, [cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y]
    )


def shear_x(image: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Moves each row by a share of its height in the image."""
    return _moved(image, [1, share, 0, 0, 1, 0])


def shear_y(image: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Moves each column by a share of its place."""
    return _moved(image, [1, 0, 0, share, 1, 0])


def translate_x(image: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Moves sidewards by a share of the width."""
    return _moved(image, [1, 0, share * _size(image)[1], 0, 1, 0])


def translate_y(image: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Moves up or down by a share of the height."""
    return _moved(image, [1, 0, 0, 0, 1, share * _size(image)[0]])
