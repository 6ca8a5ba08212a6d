"""What a head finds in photos of any size, in their own pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from slimnets.data.annotated import AnnotatedSource, Photo
from slimnets.data.composed import ComposedPhotos
from slimnets.data.geometry import fitted
from slimnets.data.preprocessing import Preprocessing, get_preprocessing
from slimnets.heads.rows import DETECTION, head_of
from slimnets.heads.suppression import suppressed
from slimnets.model import Model
from slimnets.tasks.batching import batches_of, good_of
from slimnets.trained import Trained


class Prepared(NamedTuple):
    """A photo as a network takes it, and its own height and width."""

    image: np.ndarray
    height: int
    width: int


class Finder:
    """A head, as a function of photos.

    Args:
        find: gives for images `boxes` in pixels of the network's input, `scores`,
            `classes` and `number`; or `mask`, or something of each class, such as
            `logits`. See `model_finder` and `export_finder`.
        recipe: makes its input of a photo, by `Letterbox`.
        image_size: height and width of its input.
    """

    def __init__(
        self,
        find: Callable[[np.ndarray], Mapping[str, np.ndarray]],
        recipe: Preprocessing,
        image_size: int,
    ):
        self._find, self._recipe, self._size = find, recipe, image_size

    def photos_at_once(self, batch_size: int) -> int:
        """How many photos are to be given at a time, where images are so many."""
        return batch_size

    def prepare(self, pixels: np.ndarray) -> Prepared:
        """Makes the input of a photo `[height, width, channels]`, uint8."""
        image = self._recipe.prepare(pixels[np.newaxis], self._size)
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
        values = self._find(np.stack(images))
        place = self._boxes if "boxes" in values else self._mask
        return [
            place(photo, {name: value[i] for name, value in values.items()})
            for i, photo in enumerate(photos)
        ]

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
        (scores,) = found.values()
        scores = scores[:high, :wide]
        if scores.ndim == 2:  # Classes already.
            mask = tf.image.resize(
                scores[..., np.newaxis], [photo.height, photo.width], "nearest"
            )
            return {"mask": mask.numpy()[..., 0]}
        best = np.full([photo.height, photo.width], -np.inf, np.float32)
        mask = np.zeros([photo.height, photo.width], np.int32)
        # Class by class: all of a large photo's at once would take gigabytes.
        for label in range(scores.shape[-1]):
            plane = tf.image.resize(scores[..., label, np.newaxis], best.shape)
            plane = plane.numpy()[..., 0]
            mask[plane > best] = label
            np.maximum(best, plane, out=best)
        return {"mask": mask}


def model_finder(
    model: Callable,
    task: str,
    options: Mapping[str, Any],
    recipe: Preprocessing,
    image_size: int,
) -> Finder:
    """A head that is a Model.

    Args:
        model: `model(images)` gives the head's outputs.
        task: of `heads.HEADS`.
        options: the further arguments of its network.
        recipe, image_size: as of `Finder`.
    """
    head = head_of(task)

    @tf.function
    def find(images: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = model(images)
        if task != DETECTION:
            return {"logits": outputs}
        return head.found(outputs, image_size, image_size, options)

    def values(images: np.ndarray) -> dict[str, np.ndarray]:
        return {name: value.numpy() for name, value in find(images).items()}

    return Finder(values, recipe, image_size)


def finder_of(trained: Trained) -> Finder:
    """The head that `open_trained` opened, a Model or an export."""
    recipe = get_preprocessing(trained.preprocessing).letterboxed()
    size = trained.image_size
    if isinstance(trained.model, Model):
        options = trained.model.network_options
        return model_finder(trained.model, trained.task, options, recipe, size)

    def find(images: np.ndarray) -> dict[str, np.ndarray]:
        outputs = trained.model(images)
        if trained.task != DETECTION or "number" in outputs:
            return outputs
        found = suppressed(
            tf.constant(outputs["boxes"]), tf.constant(outputs["scores"])
        )
        return {name: value.numpy() for name, value in found.items()}

    return Finder(find, recipe, size)


def found_in(
    source: AnnotatedSource | ComposedPhotos,
    finder: Finder,
    batch_size: int,
    channels: int,
    exif_orientation: bool,
    max_bad_records: int,
) -> Iterator[tuple[int, Photo, dict[str, np.ndarray]]]:
    """Finds what is in every photo of a source.

    Args:
        source: the photos.
        finder: the head.
        batch_size: photos at a time.
        channels, exif_orientation: as of `AnnotatedSource.load`.
        max_bad_records: how many photos that cannot be used are left out.

    Yields:
        The index, the photo, and what was found, in the photo's own pixels.

    Raises:
        ValueError: for more photos that cannot be used than allowed.
    """
    bad: list[str] = []

    def load(index: int) -> tuple[Photo, Prepared]:
        photo = source.load(index, channels, exif_orientation)
        return photo, finder.prepare(photo.pixels)

    photos = range(source.number)
    for batch in batches_of(photos, load, finder.photos_at_once(batch_size)):
        good = good_of(batch, bad, max_bad_records)
        if not good:
            continue
        found = finder([prepared for _, (_, prepared) in good], batch_size)
        for (index, (photo, _)), result in zip(good, found, strict=True):
            yield index, photo, result
