"""Preprocessing of VGG and ResNets: scaled, cropped, the mean taken off.

Source: Simonyan and Zisserman, https://arxiv.org/abs/1409.1556; research/slim.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

v1 = tf.compat.v1

_MEANS = _R_MEAN, _G_MEAN, _B_MEAN = 123.68, 116.78, 103.94
_RESIZE_SIDE_MIN, _RESIZE_SIDE_MAX = 256, 512


def _mean_image_subtraction(image: tf.Tensor, means: Any) -> tf.Tensor:
    """Takes off a mean of each channel.

    Raises:
        ValueError: if there are not as many means as channels.
    """
    if image.shape.rank != 3:
        raise ValueError("Input must be of size [height, width, C>0]")
    if len(means) != image.shape[-1]:
        raise ValueError("len(means) must match the number of channels")
    return image - tf.constant(means, tf.float32)


def _aspect_preserving_resize(image: tf.Tensor, smallest_side: Any) -> tf.Tensor:
    """Scales an image so that its shorter side is of this many pixels."""
    size = tf.cast(tf.shape(image)[:2], tf.float32)
    scale = tf.cast(smallest_side, tf.float32) / tf.reduce_min(size)
    new = tf.cast(tf.math.rint(size * scale), tf.int32)
    resized = v1.image.resize_bilinear(image[None], new, align_corners=False)[0]
    resized.set_shape([None, None, image.shape[-1]])
    return resized


def _crop(image: tf.Tensor, top: Any, left: Any, height: int, width: int) -> tf.Tensor:
    checked = v1.assert_greater_equal(
        tf.shape(image)[:2], [height, width], message="Crop size greater than the image"
    )
    with tf.control_dependencies([checked]):
        part = tf.slice(image, [top, left, 0], [height, width, -1])
    part.set_shape([height, width, image.shape[-1]])
    return part


def _finished(image: tf.Tensor, use_grayscale: bool) -> tf.Tensor:
    image = tf.cast(image, tf.float32)
    if use_grayscale:
        return tf.image.rgb_to_grayscale(image)
    return _mean_image_subtraction(image, _MEANS)


def preprocess_for_train(
    image: tf.Tensor,
    output_height: int,
    output_width: int,
    resize_side_min: int = _RESIZE_SIDE_MIN,
    resize_side_max: int = _RESIZE_SIDE_MAX,
    use_grayscale: bool = False,
) -> tf.Tensor:
    """A random crop of the image at a random scale, flipped at random."""
    side = v1.random_uniform([], resize_side_min, resize_side_max + 1, tf.int32)
    image = _aspect_preserving_resize(image, side)
    space = tf.shape(image)[:2] - [output_height, output_width] + 1
    top = v1.random_uniform([], maxval=space[0], dtype=tf.int32)
    left = v1.random_uniform([], maxval=space[1], dtype=tf.int32)
    image = _crop(image, top, left, output_height, output_width)
    return tf.image.random_flip_left_right(_finished(image, use_grayscale))


def preprocess_for_eval(
    image: tf.Tensor,
    output_height: int,
    output_width: int,
    resize_side: int = _RESIZE_SIDE_MIN,
    use_grayscale: bool = False,
) -> tf.Tensor:
    """The middle of the scaled image."""
    image = _aspect_preserving_resize(image, resize_side)
    rest = tf.shape(image)[:2] - [output_height, output_width]
    image = _crop(image, rest[0] // 2, rest[1] // 2, output_height, output_width)
    return _finished(image, use_grayscale)


def preprocess_image(
    image: tf.Tensor,
    output_height: int,
    output_width: int,
    is_training: bool = False,
    resize_side_min: int = _RESIZE_SIDE_MIN,
    resize_side_max: int = _RESIZE_SIDE_MAX,
    use_grayscale: bool = False,
) -> tf.Tensor:
    """`preprocess_for_train`, or `preprocess_for_eval` with the smaller side."""
    if is_training:
        sides = resize_side_min, resize_side_max
        return preprocess_for_train(
            image, output_height, output_width, *sides, use_grayscale
        )
    return preprocess_for_eval(
        image, output_height, output_width, resize_side_min, use_grayscale
    )
