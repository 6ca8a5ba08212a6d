"""Photos with boxes or masks: what one is, and the datasets that have them.

    dataset = open_annotated("coco", "boxes", dataset_dir="photos")
    photo = dataset.source("train").load(0)

Boxes are top, left, bottom, right in pixels, where a pixel reaches from its number to
the next: a box around a single pixel in the corner is 0, 0, 1, 1. Masks are the number
of each pixel's class, and `IGNORED` where none is meant.
"""

from __future__ import annotations

import abc
import importlib
import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from slimnets import extras
from slimnets.data.bad_records import UNUSABLE, reason
from slimnets.data.datasets import Dataset
from slimnets.data.image_files import BadImage
from slimnets.data.input_config import ANNOTATED
from slimnets.data.pixel_limit import decode_image

BOXES, MASKS = "boxes", "masks"
IGNORED = -1
# The number in masks that is no class, where nothing else is said.
IGNORE_LABEL = 255
# Pillow's names for pixels that are numbers and no colors.
_NUMBERS = ("P", "L", "1", "I;16", "I")


class Objects(NamedTuple):
    """What is in a photo.

    Attributes:
        boxes: float32 `[objects, 4]`.
        labels: int32 `[objects]`.
        crowd: bool `[objects]`, of what is no single object, or too hard to find: it
            is not trained on, and finding it is neither right nor wrong.
        areas: float32 `[objects]`, by which evaluation tells small from large.
    """

    boxes: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray
    areas: np.ndarray

    @classmethod
    def of(
        cls,
        boxes: Sequence[Sequence[float]],
        labels: Sequence[int],
        crowd: Sequence[bool] | None = None,
        areas: Sequence[float] | None = None,
    ) -> Objects:
        """Makes arrays; areas are the boxes' own where there are no others."""
        corners = np.asarray(boxes, np.float32).reshape(-1, 4)
        sides = corners[:, 2:] - corners[:, :2]
        return cls(
            corners,
            np.asarray(labels, np.int32),
            np.zeros(len(corners), bool) if crowd is None else np.asarray(crowd, bool),
            np.asarray(sides.prod(-1) if areas is None else areas, np.float32),
        )

    def within(self, height: int, width: int) -> Objects:
        """What of them lies in an image of that size."""
        boxes = np.clip(self.boxes, 0, np.array([height, width] * 2, np.float32))
        there = (boxes[:, 2:] > boxes[:, :2]).all(-1)
        return Objects(boxes[there], *(values[there] for values in self[1:]))


class EncodedPhoto(NamedTuple):
    """A photo as it is stored.

    Attributes:
        image: the encoded image.
        size: height and width that its annotation tells of; None if it tells none.
        objects: what is in it; None of masks.
        mask: an encoded image of numbers; None of boxes.
    """

    image: bytes
    size: tuple[int, int] | None = None
    objects: Objects | None = None
    mask: bytes | None = None


class Photo(NamedTuple):
    """A photo with what is known of it.

    Attributes:
        pixels: uint8 `[height, width, channels]`.
        objects: what is in it; None of masks.
        mask: int32 `[height, width]`; None of boxes.
    """

    pixels: np.ndarray
    objects: Objects | None
    mask: np.ndarray | None


class AnnotatedSource(abc.ABC):
    """The photos of a split, by index.

    Attributes:
        number: how many there are.
        num_classes: labels, and the numbers in masks, are below it.
        ignore_label: the number in masks that is no class.
    """

    number: int
    num_classes: int
    ignore_label: int = IGNORE_LABEL

    @abc.abstractmethod
    def name(self, index: int) -> str:
        """What a photo is called: its file, and its index in that."""

    @abc.abstractmethod
    def encoded(self, index: int) -> EncodedPhoto:
        """Reads a photo. Raises ValueError or OSError for one that is damaged."""

    def id(self, index: int) -> int:
        """The number by which COCO's results name a photo."""
        return index + 1

    def load(
        self, index: int, channels: int = 3, exif_orientation: bool = True
    ) -> Photo:
        """Reads and decodes a photo.

        Args:
            index: which.
            channels: 1 or 3.
            exif_orientation: whether it is turned upright, as EXIF says.

        Raises:
            BadImage: if it cannot be read, or its annotation is not of such an image.
        """
        try:
            encoded = self.encoded(index)
            image = decode_image(
                encoded.image, channels, exif_orientation=exif_orientation
            )
            pixels = image.numpy()
            mask = None
            if encoded.mask is not None:
                mask = self._mask(encoded.mask)
            size = encoded.size if mask is None else mask.shape
            if size is not None and tuple(size) != pixels.shape[:2]:
                raise ValueError(_other_size(size, pixels, exif_orientation))
        except UNUSABLE as error:
            raise BadImage(
                f"{self.name(index)} cannot be used: {reason(error)}"
            ) from None
        objects = encoded.objects
        if objects is not None and encoded.size is None:
            objects = objects.within(*pixels.shape[:2])
        return Photo(pixels, objects, mask)

    def _mask(self, encoded: bytes) -> np.ndarray:
        mask = decode_mask(encoded)
        ignored = mask == self.ignore_label
        wrong = mask[~ignored & (mask >= self.num_classes)]
        if wrong.size:
            raise ValueError(
                f"its mask has the value {wrong[0]}, which is neither a class, 0 to "
                f"{self.num_classes - 1}, nor ignore_label={self.ignore_label}"
            )
        return np.where(ignored, IGNORED, mask)


def decode_mask(encoded: bytes) -> np.ndarray:
    """Decodes a mask: int32 `[height, width]`, of a palette the colors' numbers.

    Raises:
        ValueError: if it is none, or its pixels are colors and no numbers.
        ImportError: without Pillow.
    """
    try:
        with _pillow().open(io.BytesIO(encoded), formats=["PNG"]) as image:
            mode, pixels = image.mode, np.array(image)
    except ImportError:
        raise
    except Exception as error:  # Pillow raises whatever its decoders do.
        raise ValueError(f"its mask is no PNG: {error}") from None
    if mode not in _NUMBERS:
        raise ValueError(
            f"its mask is a PNG of colors ({mode}); a mask is of numbers, in gray or "
            "with a palette"
        )
    return pixels.astype(np.int32)


def _pillow() -> Any:
    return extras.require("Masks need", "images", "PIL.Image")


def _other_size(size: Sequence[int], pixels: np.ndarray, exif_orientation: bool) -> str:
    height, width = pixels.shape[:2]
    turned = exif_orientation and tuple(size) == (width, height)
    hint = ", which EXIF has turned: give exif_orientation=False" if turned else ""
    return (
        f"it is {height} x {width} pixels{hint}, but annotated as {size[0]} x "
        f"{size[1]} (height x width)"
    )


def open_annotated(
    name: str,
    kind: str | None,
    dataset_dir: str | None,
    ignore_label: int = IGNORE_LABEL,
) -> Dataset:
    """The dataset called `name`, whose sources are of `AnnotatedSource`.

    Args:
        name: a key of ANNOTATED.
        kind: `boxes` or `masks`, which of these it is opened for; None for the first
            that it has.
        dataset_dir: where it lies.
        ignore_label: the number in masks that is no class.

    Raises:
        ValueError: for an unknown name, or one that does not have that kind; or for
            files that are damaged.
        FileNotFoundError: if there is nothing in dataset_dir.
        ImportError: without Pillow, for masks.
    """
    kind = kind or first_kind(name)
    fitting = [other for other, kinds in ANNOTATED.items() if kind in kinds]
    if name not in fitting:
        raise ValueError(
            f"dataset_name={name!r} has no {kind}; allowed are {', '.join(fitting)}."
        )
    if dataset_dir is None:
        raise ValueError(f"dataset_name={name} needs dataset_dir, where it lies.")
    of_masks = {}
    if kind == MASKS:
        _pillow()  # What only the first mask would find.
        of_masks = {"ignore_label": ignore_label}
    module = importlib.import_module(f"slimnets.data.{ANNOTATED[name][kind]}")
    return module.open_dataset(name, dataset_dir, **of_masks)


def first_kind(name: str) -> str:
    """What a dataset is opened for where nothing else is said."""
    return next(iter(ANNOTATED.get(name, (BOXES,))))
