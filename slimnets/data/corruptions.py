"""What may have happened to an image before a network sees it, in five strengths.

The kinds and strengths of ImageNet-C: Hendrycks & Dietterich, arXiv:1903.12261, and its
make_imagenet_c.py, but for those that need other pictures. Lengths, there for images of
224 pixels, are shares of an image's side here. Fog is of octaves of smooth noise
instead of the diamond-square algorithm, and as coarse at every strength.

A corrupted image is a pure function of the image, the kind and the strength.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

STRENGTHS = (1, 2, 3, 4, 5)
ALL = "all"
_SIDE = 224.0
_BUCKETS = 2**31 - 1
# By how much the clouds of an octave are fainter than those of twice the size.
_FAINTER = 1.75
_LEAST_ANGLE, _MOST_ANGLE = -math.pi / 4, math.pi / 4


def gaussian_noise(image: tf.Tensor, seed: tf.Tensor, deviation: float) -> tf.Tensor:
    """Adds normal noise."""
    return image + deviation * tf.random.stateless_normal(image.shape, seed)


def shot_noise(image: tf.Tensor, seed: tf.Tensor, photons: float) -> tf.Tensor:
    """Counts photons, of which a white pixel has so many on the average."""
    rate = photons * image
    counted = tf.random.stateless_poisson(image.shape, seed, rate, tf.float32)
    return counted / photons


def impulse_noise(image: tf.Tensor, seed: tf.Tensor, share: float) -> tf.Tensor:
    """Makes a share of the values black or white."""
    draws = tf.random.stateless_uniform(image.shape, seed)
    image = tf.where(draws < share, 1.0, image)
    return tf.where(draws < share / 2, 0.0, image)


def speckle_noise(image: tf.Tensor, seed: tf.Tensor, deviation: float) -> tf.Tensor:
    """Adds normal noise that is as large as the values are."""
    return image * (1.0 + deviation * tf.random.stateless_normal(image.shape, seed))


def gaussian_blur(image: tf.Tensor, _: tf.Tensor, deviation: float) -> tf.Tensor:
    """Averages with normal weights."""
    deviation = _scaled(deviation, image)
    distances = _distances(3 * deviation)
    return _filtered(image, np.exp(-(distances**2) / (2 * deviation**2)))


def defocus_blur(image: tf.Tensor, _: tf.Tensor, radius: float) -> tf.Tensor:
    """Averages over a disk, the edge of which covers pixels in part."""
    radius = _scaled(radius, image)
    return _filtered(image, np.clip(radius + 0.5 - _distances(radius), 0.0, 1.0))


def motion_blur(
    image: tf.Tensor, seed: tf.Tensor, lengths: tuple[float, float]
) -> tf.Tensor:
    """Averages along a line: its radius, and the deviation of the normal weights."""
    radius, deviation = (_scaled(length, image) for length in lengths)
    number = 2 * math.ceil(radius) + 1
    places = np.linspace(-radius, radius, number)
    weights = np.exp(-(places**2) / (2 * deviation**2))
    angle = tf.random.stateless_uniform([], seed, _LEAST_ANGLE, _MOST_ANGLE)
    ones, zeros = tf.ones([number]), tf.zeros([number])
    across, down = tf.cos(angle) * places, tf.sin(angle) * places
    columns = [ones, zeros, across, zeros, ones, down, zeros, zeros]
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.repeat(image[tf.newaxis], number, axis=0),
        transforms=tf.stack([tf.cast(c, tf.float32) for c in columns], axis=1),
        output_shape=image.shape[:2],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )
    return tf.tensordot(tf.constant(weights / weights.sum(), tf.float32), moved, 1)


def zoom_blur(image: tf.Tensor, _: tf.Tensor, zoom: tuple[float, float]) -> tf.Tensor:
    """Averages over zooms from 1 to below the first number, in steps of the second."""
    zooms = np.arange(1.0, *zoom)
    near, far = 0.5 - 0.5 / zooms, 0.5 + 0.5 / zooms
    crops = tf.image.crop_and_resize(
        image[tf.newaxis],
        np.stack([near, near, far, far], axis=1).astype(np.float32),
        np.zeros(len(zooms), np.int32),
        image.shape[:2],
    )
    return (image + tf.reduce_sum(crops, axis=0)) / (len(zooms) + 1)


def fog(image: tf.Tensor, seed: tf.Tensor, density: float) -> tf.Tensor:
    """Lays clouds over it, the same ones at every density."""
    sides = image.shape[:2]
    clouds = tf.zeros([*sides, 1])
    for octave in range(1, 1 + max(1, math.ceil(math.log2(max(sides))))):
        grid = [2**octave + 1, 2**octave + 1, 1]
        drawn = tf.random.stateless_uniform(grid, seed + octave)
        clouds += tf.image.resize(drawn, sides) / _FAINTER**octave
    clouds -= tf.reduce_min(clouds)
    clouds /= tf.maximum(tf.reduce_max(clouds), 1e-6)
    brightest = tf.reduce_max(image)
    return (image + density * clouds) * brightest / (brightest + density)


def brightness(image: tf.Tensor, _: tf.Tensor, added: float) -> tf.Tensor:
    """Adds to the value, of hue, saturation and value."""
    if image.shape[-1] == 1:
        return image + added
    hue, saturation, value = tf.unstack(tf.image.rgb_to_hsv(image), axis=-1)
    value = tf.minimum(value + added, 1.0)
    return tf.image.hsv_to_rgb(tf.stack([hue, saturation, value], axis=-1))


def contrast(image: tf.Tensor, _: tf.Tensor, kept: float) -> tf.Tensor:
    """Keeps a share of the distance to each channel's mean."""
    mean = tf.reduce_mean(image, axis=[0, 1], keepdims=True)
    return mean + kept * (image - mean)


def pixelate(image: tf.Tensor, _: tf.Tensor, share: float) -> tf.Tensor:
    """Makes the sides so much shorter, and enlarges the pixels again."""
    sides = image.shape[:2]
    small = [max(1, int(side * share)) for side in sides]
    less = tf.image.resize(image, small, tf.image.ResizeMethod.AREA)
    return tf.image.resize(less, sides, tf.image.ResizeMethod.AREA)


def jpeg_compression(image: tf.Tensor, _: tf.Tensor, quality: int) -> tf.Tensor:
    """Writes and reads it as a JPEG."""
    return tf.image.adjust_jpeg_quality(tf.clip_by_value(image, 0.0, 1.0), quality)


# The function, and its argument at each of the strengths.
CORRUPTIONS: dict[str, tuple[Callable, Sequence[Any]]] = {
    function.__name__: (function, arguments)
    for function, arguments in (
        (gaussian_noise, (0.08, 0.12, 0.18, 0.26, 0.38)),
        (shot_noise, (60, 25, 12, 5, 3)),
        (impulse_noise, (0.03, 0.06, 0.09, 0.17, 0.27)),
        (speckle_noise, (0.15, 0.2, 0.35, 0.45, 0.6)),
        (gaussian_blur, (1, 2, 3, 4, 6)),
        (defocus_blur, (3, 4, 6, 8, 10)),
        (motion_blur, ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))),
        (
            zoom_blur,
            ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
        ),
        (fog, (1.5, 2.0, 2.5, 3.0, 3.5)),
        (brightness, (0.1, 0.2, 0.3, 0.4, 0.5)),
        (contrast, (0.4, 0.3, 0.2, 0.1, 0.05)),
        (pixelate, (0.6, 0.5, 0.4, 0.3, 0.25)),
        (jpeg_compression, (25, 18, 15, 10, 7)),
    )
}


@dataclasses.dataclass(frozen=True)
class Corruption:
    """A change of images, from 0 to 255, `[batch, height, width, channels]`.

    Attributes:
        name: a key of CORRUPTIONS.
        strength: 1 to 5.

    Raises:
        ValueError: for another name or strength; when called, for images that have not
            one channel or three.
    """

    name: str
    strength: int

    def __post_init__(self) -> None:
        if self.name not in CORRUPTIONS or self.strength not in STRENGTHS:
            raise ValueError(
                f"There is no corruption {self.name!r} of strength {self.strength}; "
                f"there is {', '.join(CORRUPTIONS)}, each from 1 to 5."
            )

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Returns whole numbers from 0 to 255, in the images' type and shape."""
        if images.shape.rank != 4 or images.shape[-1] not in (1, 3):
            raise ValueError(
                f"Corruptions are for images of 1 or 3 channels; these are of shape "
                f"{images.shape}."
            )
        change, arguments = CORRUPTIONS[self.name]
        argument = arguments[self.strength - 1]

        def one(image: tf.Tensor) -> tf.Tensor:
            changed = change(image / 255.0, _seed(image), argument)
            return tf.ensure_shape(changed, image.shape)

        changed = tf.map_fn(one, tf.cast(images, tf.float32))
        whole = tf.clip_by_value(tf.math.rint(255.0 * changed), 0.0, 255.0)
        return tf.cast(whole, images.dtype)


def corruption_names(text: str) -> list[str]:
    """The kinds that a setting names, separated by commas, or `all`.

    Raises:
        ValueError: for an unknown one.
    """
    if text == ALL:
        return list(CORRUPTIONS)
    return [Corruption(name.strip(), 1).name for name in text.split(",")]


def _seed(image: tf.Tensor) -> tf.Tensor:
    """Follows from an image's pixels alone."""
    pixels = tf.io.serialize_tensor(tf.cast(tf.math.rint(image), tf.uint8))
    bucket = tf.strings.to_hash_bucket_fast(pixels, _BUCKETS)
    return tf.stack([tf.cast(bucket, tf.int32), 0])


def _scaled(length: float, image: tf.Tensor) -> float:
    return length * min(image.shape[:2]) / _SIDE


def _distances(radius: float) -> np.ndarray:
    """Of the pixels of a square kernel from its middle."""
    side = np.arange(-math.ceil(radius), math.ceil(radius) + 1)
    return np.hypot(*np.meshgrid(side, side))


def _filtered(image: tf.Tensor, kernel: np.ndarray) -> tf.Tensor:
    """Averages with the weights of a kernel; what lies beside the image mirrors it."""
    edge = len(kernel) // 2
    weights = tf.constant((kernel / kernel.sum())[..., None, None], tf.float32)
    weights = tf.repeat(weights, image.shape[-1], axis=2)
    padded = tf.pad(image, [[edge, edge], [edge, edge], [0, 0]], "SYMMETRIC")
    return tf.nn.depthwise_conv2d(padded[tf.newaxis], weights, [1] * 4, "VALID")[0]
