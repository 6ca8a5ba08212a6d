"""Batches of photos with boxes or masks, which go through all that photos go through.

A photo is resized with its sides' ratio kept, perhaps by another factor each time, cut
or filled up to the network's input, and perhaps mirrored; boxes and masks with it, to
the pixel. What a training step sees is a function of the seed and the step.

Source: the scale jitter is that of Ghiasi et al., Simple Copy-Paste, arXiv:2012.07177,
section 3, and of DeepLab's min_scale_factor and max_scale_factor.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets.data import colors
from slimnets.data.annotated import BOXES, IGNORED, AnnotatedSource, Photo
from slimnets.data.bad_records import BadRecords
from slimnets.data.geometry import FILL
from slimnets.data.image_files import BadImage
from slimnets.data.orders import shuffled, steps_of
from slimnets.data.pipeline import step_seed, unsharded
from slimnets.data.preprocessing import Preprocessing

# Of an object that a crop cuts, less than this share is no object.
LEAST_SHARE = 0.25
# Scale, place (2) and mirror; colors behind them.
_MOVES = 4


@dataclasses.dataclass(frozen=True)
class Jitter:
    """What training does to photos at random.

    Attributes:
        min_scale, max_scale: of the size at which a photo just fits the input.
        flip: whether half of them are mirrored left to right.
        colors: share by which brightness, contrast and saturation change at most.
    """

    min_scale: float = 1.0
    max_scale: float = 1.0
    flip: bool = False
    colors: float = 0.0


def annotated_batches(
    source: AnnotatedSource,
    kind: str,
    recipe: Preprocessing,
    *,
    image_size: int,
    batch_size: int,
    seed: int,
    first_step: int = 0,
    jitter: Jitter = Jitter(),
    channels: int = 3,
    exif_orientation: bool = True,
    bad_records: BadRecords | None = None,
) -> tf.data.Dataset:
    """Batches without end, each epoch in a new order, every photo once per epoch.

    Args:
        source: what to read.
        kind: BOXES or MASKS, what is wanted of it.
        recipe: scales the pixels; its view is not used.
        image_size: height and width of the network's input.
        batch_size: photos per step.
        seed: order and jitter follow from it and the step alone.
        first_step: where to begin.
        jitter: what is done to photos at random.
        channels: 1 or 3.
        exif_orientation: whether photos are turned upright, as EXIF says.
        bad_records: counts photos that cannot be used; the next one that can stands in
            for such. By default none may be.

    Returns:
        Pairs of images float32 `[batch, image_size, image_size, channels]`, and a dict
        of `boxes` float32 `[batch, objects, 4]` and `labels` int32 `[batch, objects]`,
        -1 where there is no object; or of `mask`, int32 `[batch, image_size,
        image_size]`, `IGNORED` where no class is meant and beside the photo.

    Raises:
        ValueError: for a batch that is larger than the split.
    """
    if not 1 <= batch_size <= source.number:
        raise ValueError(
            f"batch_size={batch_size} must be from 1 to {source.number}, the number of "
            "annotated images."
        )
    boxed = kind == BOXES
    load = _loader(
        source, boxed, channels, exif_orientation, bad_records or BadRecords()
    )
    draws = _MOVES + colors.JITTER_DRAWS

    def examples(chosen: tf.Tensor, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        seeds = step_seed(seed, step)
        return chosen, tf.random.stateless_uniform([batch_size, draws], seeds)

    def prepare(index: tf.Tensor, draws: tf.Tensor) -> tuple[tf.Tensor, dict]:
        pixels, targets = load(index)
        move = Move.drawn(tf.shape(pixels)[:2], image_size, jitter, draws)
        image = move.pixels(tf.cast(pixels, tf.float32))
        if jitter.colors:
            drawn = draws[tf.newaxis, _MOVES:]
            image = colors.color_jitter(image[tf.newaxis], drawn, jitter.colors)[0]
        image = recipe.values(image[tf.newaxis])[0]
        if not boxed:
            return image, {"mask": move.mask(targets["mask"])}
        boxes, labels = move.boxes(targets["boxes"], targets["labels"])
        return image, {"boxes": boxes, "labels": labels}

    orders = steps_of(
        shuffled(source.number, seed), source.number, batch_size, first_step
    )
    steps = tf.data.Dataset.range(first_step, tf.int64.max)
    chosen = tf.data.Dataset.zip(orders, steps).map(examples).unbatch()
    made = chosen.map(prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    if not boxed:
        batches = made.batch(batch_size, drop_remainder=True)
    else:
        shapes = {"boxes": [None, 4], "labels": [None]}
        batches = made.padded_batch(
            batch_size,
            ([image_size, image_size, channels], shapes),
            (0.0, {"boxes": 0.0, "labels": IGNORED}),
            drop_remainder=True,
        )
    return unsharded(batches.prefetch(tf.data.AUTOTUNE))


@dataclasses.dataclass(frozen=True)
class Move:
    """How a photo comes into the network's input.

    Attributes:
        stored: its height and width, int32 `[2]`.
        resized: what these become.
        corner: where the input's top left is in what is resized; above or left of it
            where that is filled up.
        mirrored: whether the input is mirrored left to right, a bool scalar.
        size: height and width of the input.
    """

    stored: tf.Tensor
    resized: tf.Tensor
    corner: tf.Tensor
    mirrored: tf.Tensor
    size: int

    @classmethod
    def drawn(
        cls, stored: tf.Tensor, size: int, jitter: Jitter, draws: tf.Tensor
    ) -> Move:
        """A move by numbers from 0 to 1, `[4]`: scale, top, left and mirror."""
        scale = jitter.min_scale + (jitter.max_scale - jitter.min_scale) * draws[0]
        sides = tf.cast(stored, tf.float32)
        factor = size * scale / tf.reduce_max(sides)
        resized = tf.maximum(tf.cast(tf.math.rint(sides * factor), tf.int32), 1)
        room = tf.cast(resized - size, tf.float32)
        corner = tf.cast(tf.math.rint(room * draws[1:3]), tf.int32)
        mirrored = tf.constant(jitter.flip) & (draws[3] < 0.5)
        return cls(stored, resized, corner, mirrored, size)

    def pixels(self, image: tf.Tensor) -> tf.Tensor:
        """Moves pixels `[height, width, channels]`; what is filled up is gray."""
        resized = tf.image.resize(image, self.resized, antialias=True)
        return self._cut(resized, FILL)

    def mask(self, mask: tf.Tensor) -> tf.Tensor:
        """Moves a mask `[height, width]`; what is filled up is `IGNORED`."""
        resized = tf.image.resize(mask[..., tf.newaxis], self.resized, "nearest")
        return self._cut(resized, IGNORED)[..., 0]

    def boxes(self, boxes: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Moves boxes `[objects, 4]`, without those that are hardly in the input.

        There is always a row, if of no object, label -1.
        """
        ratio = tf.cast(self.resized, tf.float32) / tf.cast(self.stored, tf.float32)
        corner = tf.cast(self.corner, tf.float32)
        whole = boxes * tf.tile(ratio, [2]) - tf.tile(corner, [2])
        top, left, bottom, right = tf.unstack(whole, axis=-1)
        turned = tf.stack([top, self.size - right, bottom, self.size - left], axis=-1)
        whole = tf.where(self.mirrored, turned, whole)
        inside = tf.clip_by_value(whole, 0.0, float(self.size))
        kept = _areas(inside) > LEAST_SHARE * _areas(whole)
        inside, labels = inside[kept], labels[kept]
        missing = tf.maximum(1 - tf.shape(labels)[0], 0)
        return (
            tf.pad(inside, [[0, missing], [0, 0]]),
            tf.pad(labels, [[0, missing]], constant_values=IGNORED),
        )

    def _cut(self, resized: tf.Tensor, fill: float) -> tf.Tensor:
        start = tf.maximum(self.corner, 0)
        end = tf.minimum(self.corner + self.size, self.resized)
        before = start - self.corner
        after = self.size - before - (end - start)
        window = resized[start[0] : end[0], start[1] : end[1]]
        widths = tf.concat([tf.stack([before, after], axis=1), [[0, 0]]], axis=0)
        whole = tf.pad(window, widths, constant_values=fill)
        turned = tf.cond(self.mirrored, lambda: whole[:, ::-1], lambda: whole)
        return tf.ensure_shape(turned, [self.size, self.size, resized.shape[-1]])


def _areas(boxes: tf.Tensor) -> tf.Tensor:
    return tf.reduce_prod(boxes[:, 2:] - boxes[:, :2], axis=-1)


def _loader(
    source: AnnotatedSource,
    boxed: bool,
    channels: int,
    exif_orientation: bool,
    bad_records: BadRecords,
) -> Any:
    """A function, for a pipeline, of an index that gives pixels and targets."""

    def usable(index: np.int64) -> tuple[np.ndarray, ...]:
        # Operation by operation: a tf.function that is called from here might wait for
        # threads that wait for this one.
        for step in range(source.number):
            other = (int(index) + step) % source.number
            try:
                photo = source.load(other, channels, exif_orientation)
                return photo.pixels, *_targets(photo, boxed, source.name(other))
            except BadImage as error:
                bad_records.add(source.name(other), str(error))
        raise ValueError("No annotated image can be used.")

    def load(index: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        names, kinds = ("mask",), (tf.int32,)
        if boxed:
            names, kinds = ("boxes", "labels"), (tf.float32, tf.int32)
        pixels, *values = tf.numpy_function(usable, [index], (tf.uint8, *kinds))
        shapes = {"boxes": [None, 4], "labels": [None], "mask": [None, None]}
        targets = {
            name: tf.ensure_shape(value, shapes[name])
            for name, value in zip(names, values, strict=True)
        }
        return tf.ensure_shape(pixels, [None, None, channels]), targets

    return load


def _targets(photo: Photo, boxed: bool, name: str) -> tuple[np.ndarray, ...]:
    """What is trained on; crowds are not."""
    if (photo.objects if boxed else photo.mask) is None:
        raise BadImage(f"{name} has no {'boxes' if boxed else 'mask'}")
    if not boxed:
        return (photo.mask.astype(np.int32),)
    single = ~photo.objects.crowd
    return photo.objects.boxes[single], photo.objects.labels[single]
