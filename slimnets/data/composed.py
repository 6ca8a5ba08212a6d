"""Images composed from the embedded digits: for detection and segmentation.

Several digits per image, scaled, overlapping, before a cluttered background, with
their boxes, classes and masks. An image is a pure function of the split, the seed and
its index; digits of the test split stand in test images only.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from slimnets.data import digits
from slimnets.data.annotated import BOXES, Objects, Photo

NUM_CLASSES = 10
# A pixel belongs to a digit that covers more than this share of it.
_COVERED = 0.4
_SPLITS = {"train": 0, "test": 1}
_ATTEMPTS = 20


@dataclasses.dataclass(frozen=True)
class Composition:
    """How images are composed.

    Attributes:
        image_size: height and width, in pixels.
        min_objects, max_objects: how many digits are placed, as far as there is room.
        min_side, max_side: of a digit's 8x8 square, in pixels.
        max_overlap: share of the smaller of two digits' boxes that may be in both.
        sharpness: how steep the digits' edges are; 1 is bilinear interpolation's. It
            changes neither boxes nor masks.
        clutter: how many fragments of digits and strokes lie behind.
        noise: standard deviation of the noise, where ink is at most 1.
    """

    image_size: int = 128
    min_objects: int = 2
    max_objects: int = 6
    min_side: int = 24
    max_side: int = 64
    max_overlap: float = 0.25
    sharpness: float = 1.0
    clutter: int = 12
    noise: float = 0.05

    def __post_init__(self) -> None:
        if not 1 <= self.min_objects <= self.max_objects:
            raise ValueError(
                f"min_objects={self.min_objects}, max_objects={self.max_objects}; "
                "allowed is 1 <= min_objects <= max_objects."
            )
        if not 8 <= self.min_side <= self.max_side <= self.image_size:
            raise ValueError(
                f"min_side={self.min_side}, max_side={self.max_side}; allowed is "
                f"8 <= min_side <= max_side <= image_size={self.image_size}."
            )
        if not self.sharpness >= 1:
            raise ValueError(f"sharpness={self.sharpness}; allowed is >= 1.")


class Example(NamedTuple):
    """A composed image; `objects` is at most the composition's max_objects.

    Attributes:
        image: uint8 `[image_size, image_size, 1]`.
        boxes: float32 `[objects, 4]`: top, left, bottom, right in pixels.
        labels: int32 `[objects]`.
        mask: uint8 `[image_size, image_size]`: 0 is background, 1 + label a digit.
    """

    image: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    mask: np.ndarray


def compose(
    index: int,
    split: str = "train",
    seed: int = 0,
    composition: Composition = Composition(),
) -> Example:
    """Composes the image of that index.

    Raises:
        ValueError: for an unknown split.
    """
    glyphs, classes = _glyphs(split)
    rng = np.random.default_rng([seed, _SPLITS[split], index])
    size = composition.image_size
    canvas = _background(rng, size)
    for _ in range(composition.clutter):
        _add_clutter(rng, canvas, glyphs)
    mask = np.zeros((size, size), np.uint8)
    boxes, labels = [], []
    wanted = rng.integers(composition.min_objects, composition.max_objects + 1)
    for _ in range(wanted):
        placed = _place(rng, glyphs, composition, boxes)
        if placed is None:
            continue
        chosen, coverage, top, left, box = placed
        side = len(coverage)
        window = np.s_[top : top + side, left : left + side]
        steep = composition.sharpness * (coverage - _COVERED) + _COVERED
        shown = np.clip(steep, 0.0, 1.0)
        ink = rng.uniform(0.6, 1.0)
        canvas[window] += shown * (ink - canvas[window])
        mask[window][coverage > _COVERED] = 1 + classes[chosen]
        boxes.append(box)
        labels.append(classes[chosen])
    canvas += rng.normal(scale=composition.noise, size=canvas.shape)
    return Example(
        np.round(np.clip(canvas, 0, 1) * 255).astype(np.uint8)[..., np.newaxis],
        np.array(boxes, np.float32),
        np.array(labels, np.int32),
        mask,
    )


def batches(
    split: str,
    *,
    batch_size: int,
    seed: int = 0,
    first_step: int = 0,
    steps: int | None = None,
    composition: Composition = Composition(),
) -> tf.data.Dataset:
    """Batches of composed images; batch `step` holds the images from
    `step * batch_size` on.

    Args:
        split: `train` or `test`.
        batch_size: images per step.
        seed: of the images.
        first_step: where to begin.
        steps: how many batches; None for no end.
        composition: how images are composed.

    Returns:
        Pairs of images float32 `[batch, size, size, 1]` from -1 to 1, and a dict of
        `boxes` float32 `[batch, max_objects, 4]`, `labels` int32 `[batch,
        max_objects]`, -1 where there is no object, and `mask` int32 `[batch, size,
        size]`.

    Raises:
        ValueError: for an unknown split.
    """
    _glyphs(split)
    size, objects = composition.image_size, composition.max_objects

    def one(index: np.int64):
        example = compose(int(index), split, seed, composition)
        count = len(example.labels)
        boxes = np.zeros((objects, 4), np.float32)
        labels = np.full(objects, -1, np.int32)
        if count:
            boxes[:count], labels[:count] = example.boxes, example.labels
        return example.image, boxes, labels, example.mask

    def load(index: tf.Tensor):
        image, boxes, labels, mask = tf.numpy_function(
            one, [index], (tf.uint8, tf.float32, tf.int32, tf.uint8)
        )
        image = tf.ensure_shape(image, [size, size, 1])
        targets = {
            "boxes": tf.ensure_shape(boxes, [objects, 4]),
            "labels": tf.ensure_shape(labels, [objects]),
            "mask": tf.cast(tf.ensure_shape(mask, [size, size]), tf.int32),
        }
        return tf.cast(image, tf.float32) / 127.5 - 1.0, targets

    end = tf.int64.max if steps is None else (first_step + steps) * batch_size
    indices = tf.data.Dataset.range(first_step * batch_size, end)
    images = indices.map(load, num_parallel_calls=2, deterministic=True)
    return images.batch(batch_size, drop_remainder=True).prefetch(2)


class ComposedPhotos:
    """Composed images as photos, of which `AnnotatedSource` has the methods.

    Args:
        split: `train` or `test`.
        number: how many there are.
        kind: BOXES or MASKS, what of them is told.
        composition: how they are composed.
    """

    def __init__(self, split: str, number: int, kind: str, composition: Composition):
        self.number = number
        self._split, self._kind, self._composition = split, kind, composition

    def load(self, index: int, channels: int, exif_orientation: bool) -> Photo:
        """Composes the image of that index, in gray."""
        del channels, exif_orientation
        image, boxes, labels, mask = compose(
            index, self._split, composition=self._composition
        )
        if self._kind == BOXES:
            return Photo(image, Objects.of(boxes, labels), None)
        return Photo(image, None, mask.astype(np.int32))


@functools.cache
def _glyphs(split: str) -> tuple[np.ndarray, np.ndarray]:
    images, labels = digits.load(split)
    return images[..., 0] / 16.0, labels


@functools.cache
def _upsampling(size: int, side: int) -> np.ndarray:
    """The matrix `[side, size]` of bilinear interpolation, pixel centres aligned."""
    position = (np.arange(side) + 0.5) * size / side - 0.5
    distance = np.abs(position[:, np.newaxis] - np.arange(size))
    return np.maximum(1.0 - distance, 0.0)


def _enlarged(glyph: np.ndarray, side: int) -> np.ndarray:
    rows, columns = (_upsampling(size, side) for size in glyph.shape)
    return rows @ glyph @ columns.T


def _background(rng: np.random.Generator, size: int) -> np.ndarray:
    coarse = rng.uniform(0.0, 0.4, (5, 5))
    return _enlarged(coarse, size)


def _add_clutter(
    rng: np.random.Generator, canvas: np.ndarray, glyphs: np.ndarray
) -> None:
    """Adds a small piece of a digit, too small to be one."""
    glyph = glyphs[rng.integers(len(glyphs))]
    top, left = rng.integers(0, 6, 2)
    piece = _enlarged(glyph[top : top + 3, left : left + 3], rng.integers(6, 18))
    side = len(piece)
    top, left = rng.integers(0, len(canvas) - side, 2)
    window = canvas[top : top + side, left : left + side]
    window += piece * rng.uniform(0.2, 0.6)


def _place(
    rng: np.random.Generator,
    glyphs: np.ndarray,
    composition: Composition,
    boxes: list[np.ndarray],
):
    """A digit, enlarged, where it covers no other too much; None if it finds none."""
    for _ in range(_ATTEMPTS):
        chosen = rng.integers(len(glyphs))
        low, high = np.log([composition.min_side, composition.max_side])
        side = round(np.exp(rng.uniform(low, high)))
        top, left = rng.integers(0, composition.image_size - side + 1, 2)
        coverage = np.minimum(_enlarged(glyphs[chosen], side) * 1.2, 1.0)
        rows, columns = (
            np.flatnonzero((coverage > _COVERED).any(axis)) for axis in (1, 0)
        )
        box = np.array(
            [top + rows[0], left + columns[0], top + rows[-1] + 1,
             left + columns[-1] + 1]
        )  # fmt: skip
        if all(_overlap(box, other) <= composition.max_overlap for other in boxes):
            return chosen, coverage, top, left, box
    return None


def _overlap(first: np.ndarray, second: np.ndarray) -> float:
    """The share of the smaller box that is in both."""
    sides = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    areas = (np.prod(box[2:] - box[:2]) for box in (first, second))
    return np.prod(np.maximum(sides, 0)) / min(areas)
