"""Masks as PNG, of the same names as their photos.

    DIR/images/1.jpg, DIR/masks/1.png ...
    DIR/train/images/1.jpg, DIR/train/masks/1.png, DIR/val/...
    DIR/JPEGImages/1.jpg, DIR/SegmentationClass/1.png, DIR/ImageSets/Segmentation/...

A mask's pixels are the numbers of classes, in gray or by a palette. Their names are in
`classes.txt`, the background's first, which may be missing in VOC's layout; without
that file they are VOC's, in its layout, or the numbers up to the largest that there is.
"""

from __future__ import annotations

import concurrent.futures
import os
import pathlib

from slimnets.data.annotated import decode_mask
from slimnets.data.annotated_files import (
    Entry,
    by_lists,
    by_stem,
    classes_in,
    dataset_of,
    photos_of,
    split_folders,
)
from slimnets.data.class_names import is_background
from slimnets.data.datasets import Dataset
from slimnets.data.labels import BACKGROUND

_IMAGES = ("images", "JPEGImages")
_VOC = "SegmentationClass"
_MASKS = ("masks", _VOC)
_VOC_NAMES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car",
    "cat", "chair", "cow", "diningtable", "dog", "horse", "motorbike", "person",
    "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip


def open_dataset(name: str, dataset_dir: str, ignore_label: int) -> Dataset:
    """Finds photos and their masks; see the module.

    Raises:
        FileNotFoundError: if there are no such folders, or a photo is missing.
        ValueError: if the masks have no class but one.
    """
    splits: dict[str, list[Entry]] = {}
    is_voc = False
    for split, folder in split_folders(dataset_dir).items():
        images, masks = (_below(folder, names) for names in (_IMAGES, _MASKS))
        is_voc |= os.path.basename(masks) == _VOC
        splits |= by_lists(_entries(images, masks), split, folder, "Segmentation")
    names = classes_in(dataset_dir)
    if is_voc:
        names = names or _VOC_NAMES
        # VOC's lists are of boxes, too, which have no background.
        names = names if is_background(names[0]) else (BACKGROUND, *names)
    if names is None:
        every = [entry.mask for entries in splits.values() for entry in entries]
        names = tuple(map(str, range(_largest(every, ignore_label) + 1)))
        if len(names) < 2:
            raise ValueError(
                f"The masks of {dataset_dir} have no class but 0, where "
                f"ignore_label={ignore_label} is none."
            )
    return dataset_of(name, dataset_dir, splits, names, ignore_label)


def _below(folder: str, names: tuple[str, ...]) -> str:
    for name in names:
        if os.path.isdir(os.path.join(folder, name)):
            return os.path.join(folder, name)
    raise FileNotFoundError(f"{folder} has no folder {' or '.join(names)}.")


def _entries(images: str, masks: str) -> dict[str, Entry]:
    """Photos that have masks, by name; VOC has many that have none."""
    found = by_stem(masks, lambda path: path.lower().endswith(".png"))
    pairs = zip(photos_of(found, images), found.values(), strict=True)
    entries = [Entry(photo, i, mask=mask) for i, (photo, mask) in enumerate(pairs, 1)]
    return dict(zip(found, entries, strict=True))


def _largest(masks: list[str], ignore_label: int) -> int:
    """The largest number of a class in masks, all of which are read."""

    def largest(path: str) -> int:
        try:
            values = decode_mask(pathlib.Path(path).read_bytes())
        except ValueError as error:
            raise ValueError(f"{path} cannot be used: {error}.") from None
        return int(values[values != ignore_label].max(initial=0))

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return max(pool.map(largest, dict.fromkeys(masks)), default=0)
