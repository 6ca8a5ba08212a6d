"""A folder of images with one sub-folder for each class.

    FOLDER/daisy/1.jpg, FOLDER/roses/2.jpg ...
    FOLDER/train/daisy/1.jpg, FOLDER/validation/daisy/2.jpg ...

The first form has the splits train, validation (each tenth image of a class, in the
order of their names) and all; the second those that there are, validation also being
called val, valid or test.
"""

from __future__ import annotations

import functools
import os

import absl.logging
import numpy as np

from slimnets.data.datasets import Dataset
from slimnets.data.image_files import SUFFIXES
from slimnets.data.sources import Files, held_out

TRAIN, VALIDATION, ALL = "train", "validation", "all"
_OTHER_SUFFIXES = (".webp", ".tif", ".tiff", ".heic", ".avif", ".jp2", ".ppm")
_VALIDATION_NAMES = (VALIDATION, "val", "valid", "test")


def open_dataset(name: str, dataset_dir: str, labels_offset: None = None) -> Dataset:
    """Lists the images of a folder; see the module.

    Args:
        name: of the dataset.
        dataset_dir: the folder.
        labels_offset: not used; a class's label is its place in alphabetical order.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it has no sub-folders, one of these holds no images, or a class
            stands in validation only.
    """
    folders = _sub_folders(dataset_dir)
    if not folders:
        raise ValueError(
            f"{dataset_dir} has no sub-folders; there must be one for each class."
        )
    if TRAIN in folders and _sub_folders(os.path.join(dataset_dir, TRAIN)):
        splits = _given_splits(dataset_dir, folders)
    else:
        splits = _own_splits(dataset_dir, folders)
    classes = splits.pop("classes")
    test_split = VALIDATION if VALIDATION in splits else TRAIN
    return Dataset(
        name=name,
        image_shape=(None, None, 3),
        value_range=(0, 255),
        label_names=tuple(classes),
        splits={split: len(labels) for split, (_, labels) in splits.items()},
        default_preprocessing="",
        loader=functools.cache(
            lambda split: Files(dataset_dir, *splits[split], len(classes))
        ),
        test_split=test_split,
        on_disk=True,
    )


def _sub_folders(path: str) -> list[str]:
    with os.scandir(path) as entries:
        return sorted(
            entry.name
            for entry in entries
            if entry.is_dir() and not entry.name.startswith(".")
        )


def _images(root: str, folder: str) -> list[str]:
    """The images in a class's folder, by their path below `root`."""
    files = [
        os.path.relpath(os.path.join(parent, name), root).replace(os.sep, "/")
        for parent, _, names in os.walk(os.path.join(root, folder))
        for name in names
    ]
    found = [name for name in files if name.lower().endswith(SUFFIXES)]
    others = [name for name in files if name.lower().endswith(_OTHER_SUFFIXES)]
    if others:
        absl.logging.warning(
            "%s: left out %d images of kinds that cannot be read, such as %s; "
            "those that can be are %s.",
            os.path.join(root, folder), len(others), others[0], ", ".join(SUFFIXES),
        )  # fmt: skip
    if not found:
        raise ValueError(
            f"The class folder {os.path.join(root, folder)} is empty: it holds no "
            f"image ({', '.join(SUFFIXES)})."
        )
    return sorted(found)


def _own_splits(root: str, classes: list[str]) -> dict:
    images = [_images(root, name) for name in classes]
    names = [name for group in images for name in group]
    labels = np.repeat(np.arange(len(classes)), [len(group) for group in images])
    held = np.concatenate([held_out(len(group)) for group in images])
    chosen = {TRAIN: ~held, VALIDATION: held, ALL: np.ones_like(held)}
    splits = {
        split: ([names[i] for i in np.flatnonzero(which)], labels[which])
        for split, which in chosen.items()
        if which.any()
    }
    return {"classes": classes, **splits}


def _given_splits(root: str, folders: list[str]) -> dict:
    classes = _sub_folders(os.path.join(root, TRAIN))
    found = {TRAIN: TRAIN}
    validation = [name for name in _VALIDATION_NAMES if name in folders]
    if validation:
        found[VALIDATION] = validation[0]
    splits = {}
    for split, folder in found.items():
        names, labels = [], []
        for name in _sub_folders(os.path.join(root, folder)):
            if name not in classes:
                raise ValueError(
                    f"The class {name!r} of {os.path.join(root, folder)} is not among "
                    f"the {len(classes)} in {os.path.join(root, TRAIN)}."
                )
            group = _images(root, f"{folder}/{name}")
            names += group
            labels += [classes.index(name)] * len(group)
        splits[split] = (names, np.array(labels, np.int64))
    return {"classes": classes, **splits}
