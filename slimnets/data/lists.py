"""A list of images as a table: CSV, or text with tabs, whose first line names columns.

    path,label,split
    photos/1.jpg,cat,train
    photos/2.jpg,cat;dog,validation

`path` is relative to the list, or absolute. An image may have several labels, with `;`
between them, or none if others have several. Without `split` each tenth image of a
class is held out, as of a folder; further columns do not count.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

import numpy as np

from slimnets.data.datasets import Dataset, photo_dataset
from slimnets.data.sources import Files, numbered
from slimnets.data.splits import ALL, TRAIN, held_out, split_off
from slimnets.data.tables import LABEL, Row, columns_of, read_rows
from slimnets.data.text_files import read_lines


def open_dataset(name: str, dataset_dir: str) -> Dataset:
    """Reads a list; see the module.

    A class's label is its place among all names in order, of whole numbers in that of
    numbers.

    Raises:
        FileNotFoundError: if there is no such file, or images are not there.
        ValueError: if it is no such list, or an image has no label where none has
            several.
    """
    lines = read_lines(dataset_dir)
    rows = read_rows(lines, dataset_dir)
    if LABEL not in columns_of(lines[0]) or not rows:
        raise ValueError(f"{dataset_dir} has no column {LABEL}, or no images.")
    root, names = _located(rows, dataset_dir)
    classes = sorted({label for row in rows for label in row.labels}, key=_place)
    labels = _labels(rows, classes, dataset_dir)
    given = any(row.split for row in rows)
    splits = _given_splits(rows) if given else _own_splits(labels)
    if TRAIN not in splits:
        raise ValueError(
            f"{dataset_dir} has no images of the split {TRAIN}; it has "
            f"{', '.join(splits)}."
        )

    def load(split: str) -> Files:
        indices = splits[split]
        own = [names[index] for index in indices]
        return Files(root, own, labels[indices], len(classes))

    return photo_dataset(
        name,
        dataset_dir,
        classes,
        {split: len(indices) for split, indices in splits.items()},
        load,
        whole_split="" if given else ALL,
        fingerprint="" if given else hashlib.sha256(repr(rows).encode()).hexdigest(),
    )


def _place(label: str) -> tuple[bool, int, str]:
    number = label.isdecimal()
    return not number, int(label) if number else 0, label


def _located(rows: Sequence[Row], path: str) -> tuple[str, list[str]]:
    """A folder, and the paths of all images below it."""
    root, names = os.path.dirname(os.path.abspath(path)), [row.path for row in rows]
    if any(map(os.path.isabs, names)):
        names = [os.path.join(root, name).lstrip("/") for name in names]
        root = ""
    missing = [n for n in names if not os.path.isfile(f"{root}/{n}")]
    if missing:
        raise FileNotFoundError(
            f"{path} lists {len(missing)} of {len(names)} images that are not there, "
            f"such as {missing[0]}."
        )
    return root, names


def _labels(rows: Sequence[Row], classes: Sequence[str], path: str) -> np.ndarray:
    """Of each image; see `numbered`."""
    bare = [row.path for row in rows if not row.labels]
    if bare and all(len(row.labels) <= 1 for row in rows):
        raise ValueError(
            f"{path} has {len(bare)} images without a label, such as {bare[0]}."
        )
    return numbered([row.labels for row in rows], classes)


def _given_splits(rows: Sequence[Row]) -> dict[str, np.ndarray]:
    names = dict.fromkeys(row.split or TRAIN for row in rows)
    given = np.array([row.split or TRAIN for row in rows])
    return {name: np.flatnonzero(given == name) for name in names}


def _own_splits(labels: np.ndarray) -> dict[str, np.ndarray]:
    """Each tenth image of a class is held out; of several classes, of all."""
    held = held_out(len(labels))
    if labels.ndim == 1:
        for label in np.unique(labels):
            held[labels == label] = held_out(int(np.sum(labels == label)))
    return split_off(held)
