"""Preprocessing of CIFAR's networks: random crops, flips and colours; standardized."""

from __future__ import annotations

import tensorflow as tf

v1 = tf.compat.v1


def preprocess_for_train(
    image: tf.Tensor,
    output_height: int,
    output_width: int,
    padding: int = 4,
    add_image_summaries: bool = True,
    use_grayscale: bool = False,
) -> tf.Tensor:
    """A random crop of the padded image, flipped and of other brightness, of mean 0."""
    image = _as_float(image, add_image_summaries, use_grayscale)
    if padding > 0:
        image = tf.pad(image, [[padding, padding], [padding, padding], [0, 0]])
    channels = image.shape[2]
    image = v1.random_crop(image, [output_height, output_width, channels])
    image = tf.image.random_flip_left_right(image)
    if add_image_summaries:
        v1.summary.image("distorted_image", image[None])
    image = tf.image.random_brightness(image, max_delta=63)
    image = tf.image.random_contrast(image, lower=0.2, upper=1.8)
    return tf.image.per_image_standardization(image)


def preprocess_for_eval(
    image: tf.Tensor,
    output_height: int,
    output_width: int,
    add_image_summaries: bool = True,
    use_grayscale: bool = False,
) -> tf.Tensor:
    """The image's middle, of mean 0."""
    image = _as_float(image, add_image_summaries, use_grayscale)
    image = tf.image.resize_with_crop_or_pad(image, output_height, output_width)
    if add_image_summaries:
        v1.summary.image("resized_image", image[None])
    return tf.image.per_image_standardization(image)


def preprocess_image(
    image: tf.Tensor,
    output_height: int,
    output_width: int,
    is_training: bool = False,
    add_image_summaries: bool = True,
    use_grayscale: bool = False,
) -> tf.Tensor:
    """`preprocess_for_train` or `preprocess_for_eval`."""
    preprocess = preprocess_for_train if is_training else preprocess_for_eval
    return preprocess(
        image,
        output_height,
        output_width,
        add_image_summaries=add_image_summaries,
        use_grayscale=use_grayscale,
    )


def _as_float(image: tf.Tensor, summaries: bool, use_grayscale: bool) -> tf.Tensor:
    if summaries:
        v1.summary.image("image", image[None])
    image = tf.cast(image, tf.float32)
    return tf.image.rgb_to_grayscale(image) if use_grayscale else image
