"""A folder of images with one sub-folder for each class.

    FOLDER/daisy/1.jpg, FOLDER/roses/2.jpg ...
    FOLDER/train/daisy/1.jpg, FOLDER/validation/daisy/2.jpg ...

The first form has the splits train, validation (each tenth image of a class, in the
order of their names) and all; the second those that there are, validation also being
called val, valid or test. What is an image is told by the files' content; what is left
out is said, but for hidden files. A class of which no image can be read gets no label.
An image has the one class of its folder; for several there are lists, see `lists`.
"""

from __future__ import annotations

import concurrent.futures
import functools
import hashlib
import json
import os

import absl.logging
import numpy as np

from slimnets.data.datasets import Dataset
from slimnets.data.formats import NAMES, is_hidden
from slimnets.data.image_files import BadImage, ImageFile, find_files
from slimnets.data.sources import (
    ALL,
    MEASURING,
    TRAIN,
    VALIDATION,
    Files,
    held_out,
    split_off,
)
from slimnets.listing import listed

_FINGERPRINTED = 1000
# So many names stand in a warning.
_NAMED = 10


def open_dataset(name: str, dataset_dir: str, labels_offset: None = None) -> Dataset:
    """Lists the images of a folder; see the module.

    Args:
        name: of the dataset.
        dataset_dir: the folder.
        labels_offset: not used; a class's label is its place in alphabetical order.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it has no sub-folders, none of these holds an image that can be
            read, or a class stands in validation only.
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
    whole = ALL if ALL in splits else ""
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
        whole_split=whole,
        directory=dataset_dir,
        fingerprint=_fingerprint(dataset_dir, splits[ALL][0]) if whole else "",
    )


def _fingerprint(root: str, names: list[str]) -> str:
    """Of names and sizes of files; of many, of the first alone."""
    first = names[:_FINGERPRINTED]
    sizes = [os.path.getsize(os.path.join(root, name)) for name in first]
    document = json.dumps([len(names), first, sizes])
    return hashlib.sha256(document.encode(errors="surrogateescape")).hexdigest()


def _sub_folders(path: str) -> list[str]:
    with os.scandir(path) as entries:
        return sorted(
            entry.name
            for entry in entries
            if entry.is_dir() and not is_hidden(entry.name)
        )


class _Files:
    """The files below a folder; says what of them is left out, once it is done."""

    def __init__(self, root: str):
        self._root = root
        self._number = 0
        self._others: list[str] = []

    def images(self, folders: list[str]) -> list[list[str]]:
        """The images in folders of classes, by their path below the root."""
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            found = list(
                pool.map(lambda name: find_files(f"{self._root}/{name}"), folders)
            )
        for folder, (images, others) in zip(folders, found, strict=True):
            self._number += len(images) + len(others)
            self._others += [f"{folder}/{name}" for name in others]
        return [
            [f"{folder}/{name}" for name in images]
            for folder, (images, _) in zip(folders, found, strict=True)
        ]

    def classes(self, folders: list[str]) -> dict[str, list[str]]:
        """Images by the last part of their folder, where one of them can be read."""
        groups = self.images(folders)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            problems = list(pool.map(self._problem, groups))
        found = {}
        for folder, group, problem in zip(folders, groups, problems, strict=True):
            if problem is None:
                found[os.path.basename(folder)] = group
                continue
            absl.logging.warning(
                "The class folder %s gets no label: %s.",
                os.path.join(self._root, folder), problem,
            )  # fmt: skip
        if not found:
            raise ValueError(
                f"{self._root} is empty: none of its {len(folders)} class folders, "
                f"such as {folders[0]!r}, holds an image that can be read "
                f"({', '.join(NAMES)})."
            )
        return found

    def _problem(self, names: list[str]) -> str | None:
        """Why no image of a class can be used; None if one can."""
        problem = "it holds no image"
        for name in names:
            try:
                ImageFile(name, f"{self._root}/{name}").read()
                return None
            except BadImage as error:
                problem = f"none of its {len(names)} images can be read; {error}"
        return problem

    def tell(self, used: list[str]) -> None:
        """Warns of files that are no images, or lie beside the folders in use."""
        with os.scandir(self._root) as entries:
            names = [e.name for e in entries if not is_hidden(e.name)]
        beside = sorted({*names} - {*used})
        if beside:
            absl.logging.warning(
                "%s: left out what lies beside the folders that are read: %s.",
                self._root, listed(beside, _NAMED),
            )  # fmt: skip
        if self._others:
            absl.logging.warning(
                "%s: left out %d of %d files, which are no images: %s.",
                self._root, len(self._others), self._number,
                listed(self._others, _NAMED),
            )  # fmt: skip


def _own_splits(root: str, folders: list[str]) -> dict:
    files = _Files(root)
    classes = files.classes(folders)
    files.tell(folders)
    images = list(classes.values())
    names = [name for group in images for name in group]
    labels = np.repeat(np.arange(len(classes)), [len(group) for group in images])
    held = np.concatenate([held_out(len(group)) for group in images])
    splits = {
        split: ([names[i] for i in indices], labels[indices])
        for split, indices in split_off(held).items()
    }
    return {"classes": list(classes), **splits}


def _given_splits(root: str, folders: list[str]) -> dict:
    files = _Files(root)
    classes = files.classes(
        [f"{TRAIN}/{name}" for name in _sub_folders(os.path.join(root, TRAIN))]
    )
    groups = {TRAIN: classes}
    validation = [name for name in MEASURING if name in folders][:1]
    for folder in validation:
        names = _sub_folders(os.path.join(root, folder))
        found = files.images([f"{folder}/{name}" for name in names])
        pairs = zip(names, found, strict=True)
        groups[VALIDATION] = {name: images for name, images in pairs if images}
        for name in groups[VALIDATION]:
            if name not in classes:
                raise ValueError(
                    f"The class {name!r} of {os.path.join(root, folder)} is not among "
                    f"the {len(classes)} in {os.path.join(root, TRAIN)}."
                )
    files.tell([TRAIN, *validation])
    numbers = {name: label for label, name in enumerate(classes)}
    splits = {
        split: (
            [image for images in group.values() for image in images],
            np.repeat(
                np.array([numbers[name] for name in group], np.int64),
                [len(images) for images in group.values()],
            ),
        )
        for split, group in groups.items()
        if group
    }
    return {"classes": list(classes), **splits}
