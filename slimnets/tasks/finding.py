"""What a head finds in photos of any size, in their own pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from slimnets.data.annotated import AnnotatedSource, Photo
from slimnets.data.bad_records import BadRecords
from slimnets.data.geometry import fitted
from slimnets.data.preprocessing import Preprocessing
from slimnets.heads.rows import DETECTION, head_of
from slimnets.tasks.prediction import batches_of

_ALL_VALUES = (0, 255)


class Prepared(NamedTuple):
    """A photo as a network takes it, and its own height and width."""

    image: np.ndarray
    height: int
    width: int


class Finder:
    """A head, as a function of photos.

    Args:
        model: `model(images)` gives the head's outputs.
        task: of `heads.HEADS`.
        options: the further arguments of its network.
        recipe: makes its input of a photo, by `Letterbox`.
        image_size: height and width of its input.
    """

    def __init__(
        self,
        model: Callable,
        task: str,
        options: Mapping[str, Any],
        recipe: Preprocessing,
        image_size: int,
    ):
        self._recipe, self._size, self._task = recipe, image_size, task
        head = head_of(task)

        def find(images: tf.Tensor) -> dict[str, tf.Tensor]:
            outputs = model(images)
            if task != DETECTION:
                return {"logits": outputs}
            return head.found(outputs, image_size, image_size, options)

        self._find = tf.function(find)

    def prepare(self, pixels: np.ndarray) -> Prepared:
        """Makes the input of a photo `[height, width, channels]`, uint8."""
        image = self._recipe.prepare(pixels[np.newaxis], self._size, _ALL_VALUES)
        return Prepared(image.numpy()[0], *pixels.shape[:2])

    def __call__(
        self, photos: Sequence[Prepared], batch_size: int | None = None
    ) -> list[dict[str, np.ndarray]]:
        """Finds what is in photos.

        Args:
            photos: some of them.
            batch_size: to which they are filled up, so that there is one way to
                compute; None for as many as there are.

        Returns:
            For each `boxes` float32 `[found, 4]` in the photo's pixels, `classes` int32
            and `scores` float32 `[found]`, best first; or its `mask`, int32 `[height,
            width]`.
        """
        images = [photo.image for photo in photos]
        images += [images[0]] * ((batch_size or len(images)) - len(images))
        values = {k: v.numpy() for k, v in self._find(np.stack(images)).items()}
        one_by_one = [{k: v[i] for k, v in values.items()} for i in range(len(photos))]
        place = self._boxes if self._task == DETECTION else self._mask
        return [place(*pair) for pair in zip(photos, one_by_one, strict=True)]

    def _boxes(self, photo: Prepared, found: Mapping[str, np.ndarray]) -> dict:
        number = found["number"]
        high, wide = fitted(photo.height, photo.width, self._size)
        scale = np.array([photo.height / high, photo.width / wide] * 2, np.float32)
        limits = np.array([photo.height, photo.width] * 2, np.float32)
        return {
            "boxes": np.clip(found["boxes"][:number] * scale, 0, limits),
            "classes": found["classes"][:number].astype(np.int32),
            "scores": found["scores"][:number],
        }

    def _mask(self, photo: Prepared, found: Mapping[str, np.ndarray]) -> dict:
        high, wide = fitted(photo.height, photo.width, self._size)
        logits = found["logits"][:high, :wide]
        best = np.full([photo.height, photo.width], -np.inf, np.float32)
        mask = np.zeros([photo.height, photo.width], np.int32)
        # Class by class: all of a large photo's at once would take gigabytes.
        for label in range(logits.shape[-1]):
            plane = tf.image.resize(logits[..., label, np.newaxis], best.shape)
            plane = plane.numpy()[..., 0]
            mask[plane > best] = label
            np.maximum(best, plane, out=best)
        return {"mask": mask}


def found_in(
    source: AnnotatedSource,
    finder: Finder,
    batch_size: int,
    channels: int,
    exif_orientation: bool,
    bad_records: BadRecords,
) -> Iterator[tuple[int, Photo, dict[str, np.ndarray]]]:
    """Yields every photo of a source with its index and what is found in it.

    Raises:
        TooManyBadRecords: for more photos that cannot be used than allowed.
    """

    def load(index: int) -> tuple[Photo, Prepared]:
        photo = source.load(index, channels, exif_orientation)
        return photo, finder.prepare(photo.pixels)

    for batch in batches_of(range(source.number), load, batch_size):
        for index, value in batch:
            if isinstance(value, str):
                bad_records.add(source.name(index), value)
        good = [(index, value) for index, value in batch if not isinstance(value, str)]
        if not good:
            continue
        found = finder([prepared for _, (_, prepared) in good], batch_size)
        for (index, (photo, _)), result in zip(good, found, strict=True):
            yield index, photo, result
