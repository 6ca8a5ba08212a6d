"""MNIST and Fashion-MNIST in the files that their authors give: IDX, gzipped or not.

Sources: LeCun et al., http://yann.lecun.com/exdb/mnist (the format); Xiao et al.,
arXiv:1708.07747 (Fashion-MNIST and the names of its classes).
"""

from __future__ import annotations

import functools
import gzip
import os
import pathlib

import numpy as np

from slimnets.data.datasets import Dataset

_NAMES = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt",
        "Sneaker", "Bag", "Ankle boot",
    ),
}  # fmt: skip
_FILES = {"train": "train-{}-ubyte", "test": "t10k-{}-ubyte"}
_IMAGES, _LABELS = "images-idx3", "labels-idx1"
# The third byte of such a file: its values are bytes; the fourth is the rank.
_UINT8 = 8


def is_there(dataset_dir: str) -> bool:
    """Whether a directory has the training images as such a file."""
    return _find(dataset_dir, "train", _IMAGES) is not None


def open_dataset(name: str, dataset_dir: str) -> Dataset:
    """Reads the four files, each of which may end in `.gz`, into memory.

    Raises:
        FileNotFoundError: if one of them is not there.
        ValueError: if one is not of the format, or images and labels do not fit.
    """
    load = functools.cache(lambda split: _load(dataset_dir, split))
    return Dataset(
        name=name,
        image_shape=load("train")[0].shape[1:],
        value_range=(0, 255),
        label_names=_NAMES[name],
        splits={split: len(load(split)[0]) for split in _FILES},
        default_preprocessing="lenet",
        loader=load,
        directory=dataset_dir,
    )


def _load(directory: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    images = _read(directory, split, _IMAGES)[..., np.newaxis]
    labels = _read(directory, split, _LABELS)
    if len(images) != len(labels) or labels.max(initial=0) > 9:
        raise ValueError(
            f"{directory}: the split {split} has {len(images)} images and "
            f"{len(labels)} labels up to {labels.max(initial=0)}; there must be as "
            "many, from 0 to 9."
        )
    return images, labels.astype(np.int64)


def _find(directory: str, split: str, kind: str) -> pathlib.Path | None:
    name = _FILES[split].format(kind)
    paths = (pathlib.Path(directory, f"{name}{end}") for end in ("", ".gz"))
    return next((path for path in paths if path.is_file()), None)


def _read(directory: str, split: str, kind: str) -> np.ndarray:
    path = _find(directory, split, kind)
    if path is None:
        name = _FILES[split].format(kind)
        raise FileNotFoundError(f"{directory} has neither {name} nor {name}.gz.")
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError) as error:
        raise ValueError(f"{path} cannot be read: {error}.") from None
    rank = int(kind[-1])
    if content[:4] != bytes([0, 0, _UINT8, rank]):
        raise ValueError(f"{path} is no IDX file of bytes with {rank} dimensions.")
    shape = np.frombuffer(content, ">u4", rank, 4)
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * rank)
    if len(values) != np.prod(shape, dtype=np.int64):
        raise ValueError(
            f"{os.fspath(path)} has {len(values)} values; its header says "
            f"{' x '.join(map(str, shape))}."
        )
    return values.reshape(shape)
