"""Images and labels in a NumPy archive.

It holds either `x_train`, `y_train`, `x_test` and `y_test`, as the archives of
keras.datasets do; or `images` and `labels`, of which each tenth is held out, as for
folders. `label_names` may name the classes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from slimnets.checkpoints.npz_files import NpzReader
from slimnets.data.datasets import Dataset
from slimnets.data.sources import held_out

_KERAS = {"train": ("x_train", "y_train"), "test": ("x_test", "y_test")}
_PLAIN = ("images", "labels")
_NUMBERS = "biuf"
# A label above it is damage; as many names would fill the memory.
_MOST_CLASSES = 2**20


def open_dataset(name: str, dataset_dir: str, labels_offset: None = None) -> Dataset:
    """Reads an archive into memory; see the module.

    Images are `[number, height, width]` or `[number, height, width, channels]`: whole
    numbers from 0 to 255, or others from 0 to 1. Labels are `[number]` from 0 on, or
    `[number, classes]` of 0 and 1 for examples of several classes.

    Args:
        name: of the dataset.
        dataset_dir: the file.
        labels_offset: not used.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it cannot be read, or its arrays are missing or do not fit each
            other.
    """
    if not os.path.exists(dataset_dir):
        raise FileNotFoundError(f"There is no {dataset_dir}.")
    # Each of its arrays is read when it is asked for.
    arrays = NpzReader(dataset_dir)
    splits, test_split = _splits(arrays, dataset_dir)
    splits = {
        split: _checked(images, labels, f"{split} of {dataset_dir}")
        for split, (images, labels) in splits.items()
    }
    images, _ = splits["train"]
    other, _ = splits[test_split]
    if (images.dtype == np.uint8) != (other.dtype == np.uint8):
        ranges = [_range(array)[1] for array in (images, other)]
        raise ValueError(
            f"{dataset_dir}: train has values from 0 to {ranges[0]}, but {test_split} "
            f"from 0 to {ranges[1]}."
        )
    names = _names(arrays.get("label_names"), splits, dataset_dir)
    return Dataset(
        name=name,
        image_shape=images.shape[1:],
        value_range=_range(images),
        label_names=names,
        splits={split: len(pair[0]) for split, pair in splits.items()},
        default_preprocessing="",
        loader=splits.__getitem__,
        test_split=test_split,
    )


def _range(images: np.ndarray) -> tuple[int, int]:
    return (0, 255) if images.dtype == np.uint8 else (0, 1)


def _splits(arrays: Mapping[str, Any], path: str) -> tuple[dict, str]:
    if all(name in arrays for pair in _KERAS.values() for name in pair):
        pairs = {s: tuple(arrays[n] for n in names) for s, names in _KERAS.items()}
        return pairs, "test"
    if not all(name in arrays for name in _PLAIN):
        raise ValueError(
            f"{path} holds {', '.join(arrays) or 'nothing'}; there must be images and "
            "labels, or x_train, y_train, x_test and y_test."
        )
    images, labels = (np.atleast_1d(arrays[name]) for name in _PLAIN)
    held = held_out(len(images))
    if len(images) != len(labels) or not held.any():
        raise ValueError(
            f"{path} holds {len(images)} images and {len(labels)} labels; they must be "
            f"as many, and at least {np.argmax(held_out(100)) + 1}."
        )
    return {
        "train": (images[~held], labels[~held]),
        "validation": (images[held], labels[held]),
    }, "validation"


def _checked(images, labels, where: str) -> tuple[np.ndarray, np.ndarray]:
    images = images[..., np.newaxis] if images.ndim == 3 else images
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]  # As keras.datasets.cifar10 has them.
    fit = images.ndim == 4 and labels.ndim in (1, 2) and len(images) == len(labels)
    if not fit or images.dtype.kind not in _NUMBERS or 0 in images.shape[1:]:
        raise ValueError(
            f"The images and labels of {where} have the shapes {images.shape} and "
            f"{labels.shape}; allowed are [number, height, width, channels] and "
            f"[number] or [number, classes]. The images are {images.dtype}; they must "
            "be numbers."
        )
    least, most = (images.min(), images.max()) if images.size else (0, 0)
    if images.dtype != np.uint8:
        largest = 1 if images.dtype.kind == "f" else 255
        if not (least >= 0 and most <= largest):  # Nor is it when they are no numbers.
            raise ValueError(
                f"The images of {where} are {images.dtype} from {least} to {most}; "
                "allowed are whole numbers from 0 to 255, or others from 0 to 1."
            )
        images = images.astype(np.float32 if images.dtype.kind == "f" else np.uint8)
    whole = labels.dtype.kind in "iu" and labels.min(initial=0) >= 0
    if labels.ndim == 1 and (not whole or labels.max(initial=0) >= _MOST_CLASSES):
        raise ValueError(
            f"The labels of {where} must be whole numbers from 0 on, below "
            f"{_MOST_CLASSES}."
        )
    if labels.ndim == 2 and labels.dtype.kind not in _NUMBERS:
        raise ValueError(f"The labels of {where} must be 0 and 1, or between.")
    return images, labels


def _names(given, splits: dict, path: str) -> tuple[str, ...]:
    most = max(
        labels.shape[1] if labels.ndim == 2 else int(labels.max(initial=-1)) + 1
        for _, labels in splits.values()
    )
    if given is None:
        return tuple(map(str, range(most)))
    given = np.atleast_1d(given)
    if len(given) < most:
        raise ValueError(
            f"{path} names {len(given)} classes, but has labels up to {most - 1}."
        )
    return tuple(map(str, given))
