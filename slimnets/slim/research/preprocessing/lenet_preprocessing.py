"""Preprocessing of LeNet: `(x - 128) / 128`."""

from __future__ import annotations

import tensorflow as tf

v1 = tf.compat.v1


def preprocess_image(
    image: tf.Tensor,
    output_height: int,
    output_width: int,
    is_training: bool,
    use_grayscale: bool = False,
) -> tf.Tensor:
    """An image of 0 to 255, cropped or padded, of -1 to 1; the same for training."""
    image = tf.cast(image, tf.float32)
    if use_grayscale:
        image = tf.image.rgb_to_grayscale(image)
    image = tf.image.resize_with_crop_or_pad(image, output_height, output_width)
    return (image - 128.0) / 128.0
