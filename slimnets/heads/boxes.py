"""Boxes of a detector: its anchors, their code, and which object each is to find.

Boxes are top, left, bottom, right, in pixels. Source: [1] Lin et al., RetinaNet,
arXiv:1708.02002; [2] Ren et al., Faster R-CNN, arXiv:1506.01497 (the code of boxes);
[3] Liu et al., SSD, arXiv:1512.02325.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

# Heights and widths of the anchors at a position, in strides of their level; of all
# levels, or of each.
Shapes = Sequence[Sequence[float]] | Sequence[Sequence[Sequence[float]]]
# The smallest and the largest box of SSD, as shares of the image, and the ratios of
# width to height [3], as TensorFlow's own configurations of it on MobileNets have them.
_SSD_SCALES, _SSD_RATIOS = (0.2, 0.95), (1.0, 2.0, 1 / 2, 3.0, 1 / 3)
# Intersection over union, above which two boxes are of one object.
_HALF = 0.5
# Share of intersection over union from which an anchor is an object's, and below which
# it is background ([1], section 4).
POSITIVE, NEGATIVE = 0.5, 0.4
# The code's units, which bring its numbers near 1 (as in [2]'s implementations).
CODE_SCALE = (0.1, 0.1, 0.2, 0.2)


def anchor_shapes(
    scale: float = 4.0,
    octaves: Sequence[float] = (0.0, 1 / 3, 2 / 3),
    ratios: Sequence[float] = (0.5, 1.0, 2.0),
) -> tuple[tuple[float, float], ...]:
    """Heights and widths of anchors, in strides; by default those of [1], section 4.

    Args:
        scale: the side of the smallest square.
        octaves: the sides' logarithms to base 2, relative to that.
        ratios: of height to width, at the square's area.
    """
    sides = [scale * 2**octave for octave in octaves]
    return tuple(
        (side * ratio**0.5, side / ratio**0.5) for side in sides for ratio in ratios
    )


def ssd_shapes(
    image_size: int, strides: Sequence[int]
) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Heights and widths of SSD's anchors [3], in strides, for each level.

    Their sizes rise evenly with the levels, whatever the strides; the finest level has
    three anchors at a position, all others six.

    Args:
        image_size: height and width of the images.
        strides: of the levels, finest first.
    """
    scales = [*np.linspace(*_SSD_SCALES, len(strides)), 1.0]
    levels = []
    for place, stride in enumerate(strides):
        scale = scales[place]
        ratios: tuple[float, ...] = _SSD_RATIOS
        boxes = [(math.sqrt(scale * scales[place + 1]), 1.0)]
        if place == 0:
            boxes, ratios = [(_SSD_SCALES[0] / 2, 1.0)], _SSD_RATIOS[1:3]
        boxes = [*((scale, ratio) for ratio in ratios), *boxes]
        factor = image_size / stride
        levels.append(
            tuple((factor * s / r**0.5, factor * s * r**0.5) for s, r in boxes)
        )
    return tuple(levels)


def shapes_by_level(shapes: Shapes, levels: int) -> Sequence:
    """The shapes of each level, where they are given for all or for each."""
    return shapes if np.ndim(shapes[0][0]) else [shapes] * levels


def make_anchors(
    height: int, width: int, strides: Sequence[int], shapes: Shapes
) -> np.ndarray:
    """Returns the anchors of an image: float32 `[anchors, 4]`.

    Level by level, row by row: top, left, bottom, right, in pixels. Positions of a
    level of stride s lie at multiples of s, as the networks' convolutions do.
    """
    levels = []
    for stride, own in zip(strides, shapes_by_level(shapes, len(strides)), strict=True):
        rows = np.arange(-(-height // stride)) * stride
        columns = np.arange(-(-width // stride)) * stride
        y, x = np.meshgrid(rows, columns, indexing="ij")
        centres = np.stack([y, x], axis=-1)[:, :, np.newaxis]
        half = stride * np.asarray(own) / 2
        boxes = np.concatenate([centres - half, centres + half], axis=-1)
        levels.append(boxes.reshape(-1, 4))
    return np.concatenate(levels).astype(np.float32)


def box_overlaps(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Intersection over union: `[..., n, 4]` and `[..., m, 4]` to `[..., n, m]`."""
    first, second = first[..., :, tf.newaxis, :], second[..., tf.newaxis, :, :]
    sides = tf.minimum(first[..., 2:], second[..., 2:]) - tf.maximum(
        first[..., :2], second[..., :2]
    )
    shared = tf.reduce_prod(tf.maximum(sides, 0.0), axis=-1)
    areas = [tf.reduce_prod(box[..., 2:] - box[..., :2], -1) for box in (first, second)]
    return shared / (areas[0] + areas[1] - shared + 1e-9)


def same_objects(
    boxes: np.ndarray, classes: np.ndarray, others: np.ndarray, of_others: np.ndarray
) -> np.ndarray:
    """Which boxes `[n, 4]` and others `[m, 4]` are of one class, and share more than
    half of what both cover: bool `[n, m]`."""
    overlaps = box_overlaps(*(each.astype(np.float32) for each in (boxes, others)))
    return (overlaps.numpy() > _HALF) & (classes[:, np.newaxis] == of_others)


def encode_boxes(boxes: tf.Tensor, anchors: tf.Tensor) -> tf.Tensor:
    """The code of boxes against anchors [2], both `[..., 4]`: shifts, log sizes."""
    (centre, size), (at, of) = map(_centre_and_size, (boxes, anchors))
    code = tf.concat([(centre - at) / of, tf.math.log(size / of)], axis=-1)
    return code / CODE_SCALE


def decode_boxes(codes: tf.Tensor, anchors: tf.Tensor) -> tf.Tensor:
    """The boxes that `encode_boxes` gave these codes."""
    at, of = _centre_and_size(anchors)
    codes = codes * tf.constant(CODE_SCALE, codes.dtype)
    centre = codes[..., :2] * of + at
    half = tf.exp(tf.minimum(codes[..., 2:], math.log(1000 / 16))) * of / 2
    return tf.concat([centre - half, centre + half], axis=-1)


def _centre_and_size(boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    low, high = boxes[..., :2], boxes[..., 2:]
    return (low + high) / 2, tf.maximum(high - low, 1e-3)


def match_anchors(
    anchors: tf.Tensor, boxes: tf.Tensor, labels: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Which object each anchor is to find.

    An anchor takes the object that it overlaps most, from `POSITIVE` on; and each
    object the anchor that overlaps it most, however little.

    Args:
        anchors: `[anchors, 4]`.
        boxes: `[batch, objects, 4]`.
        labels: `[batch, objects]`, -1 where there is none.

    Returns:
        The objects' indices `[batch, anchors]`, and their labels: -1 for background,
        -2 for an anchor that counts as neither.
    """
    real = labels >= 0
    overlaps = box_overlaps(anchors[tf.newaxis], boxes)
    overlaps = tf.where(real[:, tf.newaxis], overlaps, -1.0)
    best = tf.reduce_max(overlaps, axis=-1)
    objects = tf.argmax(overlaps, axis=-1, output_type=tf.int32)
    # [batch, anchors, objects]: whether the anchor is the object's best; one that no
    # anchor overlaps has none.
    champion = tf.equal(overlaps, tf.reduce_max(overlaps, axis=1, keepdims=True))
    champion = champion & real[:, tf.newaxis] & (overlaps > 0.0)
    forced = tf.reduce_any(champion, axis=-1)
    champion_of = tf.argmax(tf.cast(champion, tf.int32), -1, output_type=tf.int32)
    objects = tf.where(forced, champion_of, objects)
    found = tf.gather(labels, objects, batch_dims=1)
    background = tf.where(best < NEGATIVE, -1, -2)
    return objects, tf.where(forced | (best >= POSITIVE), found, background)
