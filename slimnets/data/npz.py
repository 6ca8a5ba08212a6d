"""Images and labels in a NumPy archive.

It holds either `x_train`, `y_train`, `x_test` and `y_test`, as the archives of
keras.datasets do; or `images` and `labels`, of which each tenth is held out, as for
folders. `label_names` may name the classes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any

import absl.logging
import numpy as np

from slimnets.checkpoints.npz_files import NpzReader
from slimnets.data.datasets import Dataset
from slimnets.data.splits import ALL, held_out

_FINGERPRINTED = 1000
_KERAS = {"train": ("x_train", "y_train"), "test": ("x_test", "y_test")}
_PLAIN = ("images", "labels")
_NUMBERS = "biuf"
# A label above it is damage; as many names would fill the memory.
_MOST_CLASSES = 2**20


def open_dataset(name: str, dataset_dir: str) -> Dataset:
    """Reads an archive into memory; see the module.

    Images are `[number, height, width]` or `[number, height, width, channels]`: whole
    numbers from 0 to 255, or others, such as truth values, from 0 to 1. Labels are
    whole numbers of any type: `[number]` from 0 on, or `[number, classes]` from 0 to 1
    for examples of several classes.

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
    whole = ALL if ALL in splits else ""
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
        whole_split=whole,
        directory=dataset_dir,
        fingerprint=_fingerprint(splits[ALL]) if whole else "",
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
        ALL: (images, labels),
    }, "validation"


def _fingerprint(pair: tuple[np.ndarray, np.ndarray]) -> str:
    images, labels = pair
    digest = hashlib.sha256(repr((images.shape, labels.tolist())).encode())
    digest.update(np.ascontiguousarray(images[:_FINGERPRINTED]))
    return digest.hexdigest()


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
        largest = 255 if images.dtype.kind in "iu" else 1
        if not (least >= 0 and most <= largest):  # Nor is it when they are no numbers.
            raise ValueError(
                f"The images of {where} are {images.dtype} from {least} to {most}; "
                "allowed are whole numbers from 0 to 255, or others from 0 to 1."
            )
        images = images.astype(np.uint8 if images.dtype.kind in "iu" else np.float32)
    if images.dtype == np.uint8 and most == 1:
        absl.logging.warning(
            "The images of %s are whole numbers of 0 and 1 only, which are read as all "
            "but black: whole numbers are from 0 to 255. Store truth values, or others "
            "from 0 to 1, as bool or float.", where,
        )  # fmt: skip
    return images, _checked_labels(labels, where)


def _checked_labels(labels: np.ndarray, where: str) -> np.ndarray:
    """Labels as int64, or as float32 where an example has several."""
    numbers = labels.dtype.kind in _NUMBERS
    least, most = (labels.min(), labels.max()) if numbers and labels.size else (0, 0)
    if labels.ndim == 2:
        if not numbers or not 0 <= least <= most <= 1:
            raise ValueError(f"The labels of {where} must be 0 and 1, or between.")
        return labels.astype(np.float32)
    whole = numbers and 0 <= least <= most < _MOST_CLASSES
    if not whole or (labels != np.floor(labels)).any():
        range_ = f" from {least} to {most}" if numbers else ""
        raise ValueError(
            f"The labels of {where} are {labels.dtype}{range_}; they must be whole "
            f"numbers from 0 on, below {_MOST_CLASSES}."
        )
    return labels.astype(np.int64)


def _names(given, splits: dict, path: str) -> tuple[str, ...]:
    most = max(
        labels.shape[1] if labels.ndim == 2 else labels.max(initial=-1).item() + 1
        for _, labels in splits.values()
    )
    if given is None:
        return tuple(map(str, range(most)))
    given = np.atleast_1d(given)
    if given.dtype.kind == "S":
        given = np.char.decode(given, "utf-8", "surrogateescape")
    if len(given) < most:
        raise ValueError(
            f"{path} names {len(given)} classes, but has labels up to {most - 1}."
        )
    return tuple(map(str, given))
