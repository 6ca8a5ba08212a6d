"""From stored images to the network's input, in batches, by named recipes.

A recipe is two functions: what evaluation does to an image, and what training adds
to that. Random choices are stateless: a pure function of the seed that is given.
"""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from slimnets.data.points import first_points, random_rotation

# One pixel of a stored 8x8 digit, the width of its empty margin.
SHIFT_FRACTION = 1 / 8


def resize_and_scale(
    images: tf.Tensor, image_size: int, value_range: tuple[float, float]
) -> tf.Tensor:
    """Resizes `[batch, height, width, channels]` bilinearly; values become -1 to 1."""
    low, high = value_range
    images = tf.cast(images, tf.float32)
    if images.shape[1:3] != (image_size, image_size):
        images = tf.image.resize(images, [image_size, image_size])
    return (images - low) * (2.0 / (high - low)) - 1.0


def random_shift(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Moves each image by its own whole number of pixels; the border repeats.

    Args:
        images: `[batch, size, size, channels]`, static but for the batch.
        seed: int `[2]`; the same seed gives the same shifts.
    """
    size = images.shape[1]
    reach = max(1, round(size * SHIFT_FRACTION))
    batch = tf.shape(images)[0]
    shifts = tf.random.stateless_uniform(
        [2, batch], seed, minval=-reach, maxval=reach + 1, dtype=tf.int32
    )
    index = tf.clip_by_value(tf.range(size) + shifts[..., tf.newaxis], 0, size - 1)
    images = tf.gather(images, index[0], axis=1, batch_dims=1)
    return tf.gather(images, index[1], axis=2, batch_dims=1)


def _unchanged(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    del seed
    return images


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """`prepare(images, image_size, value_range)`, then `augment(images, seed)`.

    `augment` is for training only.

    Attributes:
        rank: of what it takes: 3 for one image, 2 for one cloud of points.
    """

    prepare: Callable[[tf.Tensor, int, tuple[float, float]], tf.Tensor]
    augment: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    rank: int = 3


_PREPROCESSING = {
    "plain": Preprocessing(resize_and_scale, _unchanged),
    "shift": Preprocessing(resize_and_scale, random_shift),
    "points": Preprocessing(first_points, _unchanged, rank=2),
    "rotate_points": Preprocessing(first_points, random_rotation, rank=2),
}


def preprocessing_names() -> list[str]:
    """The names that `--preprocessing_name` takes, sorted."""
    return sorted(_PREPROCESSING)


def get_preprocessing(name: str) -> Preprocessing:
    """The recipe called `name`; an unknown one raises ValueError."""
    if name not in _PREPROCESSING:
        raise ValueError(
            f"Unknown preprocessing {name!r}; there is "
            f"{', '.join(preprocessing_names())}."
        )
    return _PREPROCESSING[name]
