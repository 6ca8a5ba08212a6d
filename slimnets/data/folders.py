"""A folder of images with one sub-folder for each class.

    FOLDER/daisy/1.jpg, FOLDER/roses/2.jpg ...
    FOLDER/train/daisy/1.jpg, FOLDER/validation/daisy/2.jpg ...

The first form has the splits train, validation (each tenth image of a class, in the
order of their names) and all; the second those that there are, validation also being
called val, valid or test. What is an image is told by the files' content; what is left
out is said, but for hidden files. A class of which no image can be read gets no label.
An image is of the class of its folder, in `cat;dog` of both; see also `lists`.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import os
from collections.abc import Iterable, Mapping

import absl.logging
import numpy as np

from slimnets.data.datasets import Dataset, photo_dataset
from slimnets.data.formats import NAMES, is_hidden
from slimnets.data.image_files import BadImage, ImageFile, find_files
from slimnets.data.sources import Files, numbered
from slimnets.data.splits import (
    ALL,
    MEASURING,
    TRAIN,
    VALIDATION,
    held_out,
    split_off,
)
from slimnets.data.tables import SEPARATOR
from slimnets.listing import listed

_FINGERPRINTED = 1000
# So many names stand in a warning.
_NAMED = 10


def open_dataset(name: str, dataset_dir: str) -> Dataset:
    """Lists the images of a folder; see the module.

    A class's label is its place in alphabetical order.

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
    return photo_dataset(
        name,
        dataset_dir,
        classes,
        {split: len(labels) for split, (_, labels) in splits.items()},
        lambda split: Files(dataset_dir, *splits[split], len(classes)),
        whole_split=whole,
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


class _Root:
    """The files below the folder; says what of them is left out, once it is done."""

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
    files = _Root(root)
    groups = files.classes(folders)
    files.tell(folders)
    classes = _classes(groups)
    names, labels = _labelled(groups, classes)
    held = np.concatenate([held_out(len(group)) for group in groups.values()])
    splits = {
        split: ([names[i] for i in indices], labels[indices])
        for split, indices in split_off(held).items()
    }
    return {"classes": classes, **splits}


def _given_splits(root: str, folders: list[str]) -> dict:
    files = _Root(root)
    groups = {
        TRAIN: files.classes(
            [f"{TRAIN}/{name}" for name in _sub_folders(os.path.join(root, TRAIN))]
        )
    }
    classes = _classes(groups[TRAIN])
    validation = [name for name in MEASURING if name in folders][:1]
    for folder in validation:
        names = _sub_folders(os.path.join(root, folder))
        found = files.images([f"{folder}/{name}" for name in names])
        pairs = zip(names, found, strict=True)
        groups[VALIDATION] = {name: images for name, images in pairs if images}
        for name in _classes(groups[VALIDATION]):
            if name not in classes:
                raise ValueError(
                    f"The class {name!r} of {os.path.join(root, folder)} is not among "
                    f"the {len(classes)} in {os.path.join(root, TRAIN)}."
                )
    files.tell([TRAIN, *validation])
    splits = {split: _labelled(g, classes) for split, g in groups.items() if g}
    several = max(labels.ndim for _, labels in splits.values())
    for split, (names, labels) in splits.items():
        if labels.ndim < several:
            splits[split] = names, np.eye(len(classes), dtype=np.float32)[labels]
    return {"classes": classes, **splits}


def _classes(folders: Iterable[str]) -> list[str]:
    return sorted({name for folder in folders for name in folder.split(SEPARATOR)})


def _labelled(
    groups: Mapping[str, list[str]], classes: list[str]
) -> tuple[list[str], np.ndarray]:
    """The images of all folders, and their labels; see `numbered`."""
    labels = numbered([folder.split(SEPARATOR) for folder in groups], classes)
    numbers = [len(images) for images in groups.values()]
    names = [image for images in groups.values() for image in images]
    return names, np.repeat(labels, numbers, axis=0)
