"""Preprocessing of Inception and MobileNet: random crops and colours, of -1 to 1.

Source: Szegedy et al., https://arxiv.org/abs/1409.4842; research/slim.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

v1 = tf.compat.v1


def apply_with_random_selector(
    x: tf.Tensor, func: Callable[[tf.Tensor, int], tf.Tensor], num_cases: int
) -> tf.Tensor:
    """`func(x, case)` for one of `num_cases` cases, drawn at each run."""
    case = v1.random_uniform([], maxval=num_cases, dtype=tf.int32)
    return tf.switch_case(case, [lambda i=i: func(x, i) for i in range(num_cases)])


def distort_color(
    image: tf.Tensor,
    color_ordering: int = 0,
    fast_mode: bool = True,
    scope: str | None = None,
) -> tf.Tensor:
    """Changes brightness, saturation, hue and contrast at random.

    Args:
        image: `[height, width, 3]` of 0 to 1.
        color_ordering: which of four orders, 0 to 3.
        fast_mode: whether hue and contrast are left as they are; the orders from 1 on
            are the same then.
        scope: name of the name scope.

    Raises:
        ValueError: for another ordering.
    """
    brightness = lambda x: tf.image.random_brightness(x, 32.0 / 255.0)  # noqa: E731
    saturation = lambda x: tf.image.random_saturation(x, 0.5, 1.5)  # noqa: E731
    hue = lambda x: tf.image.random_hue(x, 0.2)  # noqa: E731
    contrast = lambda x: tf.image.random_contrast(x, 0.5, 1.5)  # noqa: E731
    orders = [
        (brightness, saturation, hue, contrast),
        (saturation, brightness, contrast, hue),
        (contrast, hue, brightness, saturation),
        (hue, saturation, contrast, brightness),
    ]
    if fast_mode:
        orders = [(brightness, saturation)] + [(saturation, brightness)] * 3
    if color_ordering not in range(4):
        raise ValueError("color_ordering must be in [0, 3]")
    with tf.name_scope(scope or "distort_color"):
        for distort in orders[color_ordering]:
            image = distort(image)
        return tf.clip_by_value(image, 0.0, 1.0)


def distorted_bounding_box_crop(
    image: tf.Tensor,
    bbox: tf.Tensor,
    min_object_covered: float = 0.1,
    aspect_ratio_range: Any = (0.75, 1.33),
    area_range: Any = (0.05, 1.0),
    max_attempts: int = 100,
    scope: str | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """A random part of the image, and its box: `[1, 1, 4]` of y and x from 0 to 1."""
    with tf.name_scope(scope or "distorted_bounding_box_crop"):
        begin, size, box = v1.image.sample_distorted_bounding_box(
            tf.shape(image),
            bounding_boxes=bbox,
            min_object_covered=min_object_covered,
            aspect_ratio_range=aspect_ratio_range,
            area_range=area_range,
            max_attempts=max_attempts,
            use_image_if_no_bounding_boxes=True,
        )
        return tf.slice(image, begin, size), box


def preprocess_for_train(
    image: tf.Tensor,
    height: int,
    width: int,
    bbox: tf.Tensor | None,
    fast_mode: bool = True,
    scope: str | None = None,
    add_image_summaries: bool = True,
    random_crop: bool = True,
    use_grayscale: bool = False,
) -> tf.Tensor:
    """A random part of the image, scaled, flipped and of other colours, of -1 to 1."""
    with tf.name_scope(scope or "distort_image"):
        if bbox is None:
            bbox = tf.constant([[[0.0, 0.0, 1.0, 1.0]]])
        channels = image.shape[-1]
        image = tf.image.convert_image_dtype(image, tf.float32)
        if random_crop:
            image, _ = distorted_bounding_box_crop(image, bbox)
            image.set_shape([None, None, channels])
        image = apply_with_random_selector(
            image[None],
            lambda x, method: v1.image.resize_images(x, [height, width], method),
            num_cases=1 if fast_mode else 4,
        )[0]
        image.set_shape([height, width, channels])
        image = tf.image.random_flip_left_right(image)
        if not use_grayscale:
            image = apply_with_random_selector(
                image,
                lambda x, order: distort_color(x, order, fast_mode),
                num_cases=1 if fast_mode else 4,
            )
        if add_image_summaries:
            v1.summary.image("final_distorted_image", image[None])
        return _finished(image, use_grayscale)


def preprocess_for_eval(
    image: tf.Tensor,
    height: int,
    width: int,
    central_fraction: float | None = 0.875,
    scope: str | None = None,
    central_crop: bool = True,
    use_grayscale: bool = False,
) -> tf.Tensor:
    """The image's middle, scaled, of -1 to 1."""
    with tf.name_scope(scope or "eval_image"):
        image = tf.image.convert_image_dtype(image, tf.float32)
        if central_crop and central_fraction:
            image = tf.image.central_crop(image, central_fraction)
        if height and width:
            image = v1.image.resize_bilinear(image[None], [height, width])[0]
        return _finished(image, use_grayscale)


def preprocess_image(
    image: tf.Tensor,
    height: int,
    width: int,
    is_training: bool = False,
    bbox: tf.Tensor | None = None,
    fast_mode: bool = True,
    add_image_summaries: bool = True,
    crop_image: bool = True,
    use_grayscale: bool = False,
) -> tf.Tensor:
    """`preprocess_for_train` or `preprocess_for_eval`."""
    if is_training:
        return preprocess_for_train(
            image,
            height,
            width,
            bbox,
            fast_mode,
            add_image_summaries=add_image_summaries,
            random_crop=crop_image,
            use_grayscale=use_grayscale,
        )
    return preprocess_for_eval(
        image, height, width, central_crop=crop_image, use_grayscale=use_grayscale
    )


def _finished(image: tf.Tensor, use_grayscale: bool) -> tf.Tensor:
    if use_grayscale:
        image = tf.image.rgb_to_grayscale(image)
    return (image - 0.5) * 2.0
