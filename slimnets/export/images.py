"""The images that an export is calibrated, audited and measured with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from slimnets.data import composed, get_preprocessing
from slimnets.data.bad_records import explained_errors
from slimnets.data.input_config import COMPOSED
from slimnets.trained import Trained
from slimnets.training.evaluation_data import (
    annotated_for,
    batches_for,
    classes_of,
    dataset_for,
)

CALIBRATION_BATCH = 8
_MOST_READ = 16


class ClassImages:
    """A dataset of classes beside a network.

    What it gives is what the network takes, `[number, size, size, channels]`.

    Args:
        trained: the network.
        name: of the dataset; None for what it was trained on.
        directory: where it lies.
        measured: whether its classes have to be the network's; to calibrate with, any
            images will do.
    """

    def __init__(
        self, trained: Trained, name: str | None, directory: str | None, measured: bool
    ):
        self.trained = trained
        self.dataset, whole = dataset_for(trained, name, directory)
        self.split = whole or self.dataset.test_split
        self.places = np.array(classes_of(trained, self.dataset) if measured else ())

    def batches(self, split: str, batch_size: int) -> Iterator[Any]:
        """Pairs of images and labels; as many are left out as training did."""
        with explained_errors():
            yield from batches_for(self.trained, self.dataset, split, batch_size)

    def training(self, number: int) -> np.ndarray:
        """So many training images, or all, evenly from the split."""
        split = self.dataset.train_split
        # Of a large data set only the beginning is read.
        step = min(max(self.dataset.splits[split] // number, 1), _MOST_READ)
        images: list[np.ndarray] = []
        for batch, _ in self.batches(split, step):
            images.append(np.asarray(batch)[0])
            if len(images) == number:
                break
        return np.stack(images)

    def test(self, number: int) -> np.ndarray:
        """The first test images."""
        images, _ = next(self.batches(self.split, number))
        return np.asarray(images, np.float32)


class HeadImages:
    """Photos with boxes or masks, or composed images, beside a head; as `ClassImages`.

    Args:
        trained: the head.
        name, directory, measured: as of `ClassImages`.
    """

    def __init__(
        self, trained: Trained, name: str | None, directory: str | None, measured: bool
    ):
        self._trained = trained
        self._dataset: Any = None
        if (name or trained.metadata.get("dataset_name")) != COMPOSED:
            self._dataset = annotated_for(trained, name, directory)
        elif measured:
            raise ValueError(
                f"{trained.path} is of composed images, with which exports are not "
                "measured: give measure=False, or dataset_name of photos."
            )

    def training(self, number: int) -> np.ndarray:
        return self._images("train", number)

    def test(self, number: int) -> np.ndarray:
        return self._images("test", number)

    def _images(self, split: str, number: int) -> np.ndarray:
        if self._dataset is None:
            return self._composed(split, number)
        own = {"train": self._dataset.train_split, "test": self._dataset.test_split}
        return self._photos(self._dataset.source(own[split]), number)

    def _composed(self, split: str, number: int) -> np.ndarray:
        composition = composed.Composition(image_size=self._trained.image_size)
        batches = composed.batches(split, batch_size=number, composition=composition)
        images, _ = next(iter(batches))
        return images.numpy()

    def _photos(self, source: Any, number: int) -> np.ndarray:
        trained = self._trained
        recipe = get_preprocessing(trained.preprocessing).letterboxed()
        chosen = np.linspace(0, source.number, min(number, source.number), False)
        images = []
        for index in chosen:
            photo = source.load(int(index), trained.channels, trained.exif_orientation)
            pixels = photo.pixels[np.newaxis]
            images.append(recipe.prepare(pixels, trained.image_size))
        return np.concatenate(images)


def in_batches(images: np.ndarray, batch_size: int | None) -> list[np.ndarray]:
    """Images in batches of one size; those of the last one that is not full are left.

    Raises:
        ValueError: if they do not fill one batch.
    """
    size = batch_size or min(CALIBRATION_BATCH, len(images))
    whole = len(images) - len(images) % size
    if not whole:
        raise ValueError(
            f"calibration_images={len(images)} does not fill one batch of {size}."
        )
    return list(images[:whole].reshape(-1, size, *images.shape[1:]))
