"""What a dataset is, and the registry that finds one by its name."""

from __future__ import annotations

import dataclasses
import functools
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from slimnets.data.splits import splits_to_use
from slimnets.listing import nearest

if TYPE_CHECKING:
    from slimnets.data.sources import Arrays, Encoded


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Labelled images, under the name that `--dataset_name` takes.

    Clouds of points stand in for images: their size is the number of points.

    Attributes:
        name: the registered name.
        image_shape: `(height, width, channels)` of one stored image, with None where
            they differ, or `(points, dims)` of a cloud.
        value_range: the smallest and the largest value that a pixel may have.
        label_names: the name of every class, in label order.
        splits: the number of images in each split.
        default_preprocessing: a name from `preprocessing_names()`; empty to leave it to
            the network.
        loader: a function of a split's name; gives arrays as `load`, or what `source`
            gives.
        test_split: the split that measures a trained network.
        train_split: the split that it is trained on.
        on_disk: whether its images are read, encoded, when they are used.
        whole_split: the split of all images, of a dataset whose own splits were not
            given but made; else empty.
        directory: where it lies on disk, of such a dataset.
        fingerprint: tells its images from others', wherever they lie, of such a
            dataset.
        exif_orientation: whether these are turned upright, as EXIF says.
        category_ids: the numbers of the classes in COCO's files; else empty.
    """

    name: str
    image_shape: tuple[Any, ...]
    value_range: tuple[float, float]
    label_names: tuple[str, ...]
    splits: Mapping[str, int]
    default_preprocessing: str
    loader: Callable[[str], Any]
    test_split: str = "test"
    train_split: str = "train"
    on_disk: bool = False
    whole_split: str = ""
    directory: str = ""
    fingerprint: str = ""
    exif_orientation: bool = True
    category_ids: tuple[int, ...] = ()

    @property
    def num_classes(self) -> int:
        return len(self.label_names)

    def input_shape(self, image_size: int) -> tuple[int, ...]:
        """The shape of one image, or cloud, of that size as the network gets it."""
        *sizes, channels = self.image_shape
        return (*[image_size] * len(sizes), channels)

    def check_split(self, split: str) -> None:
        """Raises ValueError when there is no split of that name."""
        if split not in self.splits:
            raise ValueError(
                f"Dataset {self.name!r} has no split {split!r}; "
                f"it has {', '.join(self.splits)}."
            )

    def source(self, split: str) -> Arrays | Encoded:
        """The examples of a split; see `slimnets.data.sources`.

        Raises ValueError for an unknown split.
        """
        from slimnets.data.sources import Arrays

        self.check_split(split)
        loaded = self.loader(split)
        return Arrays(*loaded) if isinstance(loaded, tuple) else loaded

    def load(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """A split in memory: images `[number, height, width, channels]`, and labels.

        Labels are `[number]`, or `[number, classes]` of 0 and 1. The order is fixed.

        Raises:
            ValueError: for an unknown split, or a dataset on disk.
        """
        if self.on_disk:
            raise ValueError(f"The images of {self.name!r} are on disk, not in memory.")
        source: Any = self.source(split)  # Arrays: it is not on disk.
        return source.images, source.labels


def photo_dataset(
    name: str,
    directory: str,
    label_names: Sequence[str],
    splits: Mapping[str, int],
    loader: Callable[[str], Any],
    **others: Any,
) -> Dataset:
    """A dataset of encoded photos of any size; `splits_to_use` says what trains."""
    train_split, test_split = splits_to_use(list(splits))
    return Dataset(
        name=name,
        image_shape=(None, None, 3),
        value_range=(0, 255),
        label_names=tuple(label_names),
        splits=splits,
        default_preprocessing="",
        loader=functools.cache(loader),
        on_disk=True,
        directory=directory,
        train_split=train_split,
        test_split=test_split,
        **others,
    )


_DATASETS: dict[str, Dataset] = {}
# Modules that register a dataset when they are imported.
_EMBEDDED = ("digits", "shapes")
# Modules with `open_dataset(name, dataset_dir)`; `records` takes more settings.
_ON_DISK = {
    "cifar10": "records",
    "fashion_mnist": "idx",
    "flowers": "records",
    "folder": "folders",
    "imagenet": "records",
    "list": "lists",
    "mnist": "records",
    "npz": "npz",
    "records": "records",
}
TFDS = "tfds:"


def register_dataset(dataset: Dataset) -> Dataset:
    """Adds `dataset` under its name; a name that is taken raises ValueError."""
    if dataset.name in _DATASETS or dataset.name in _ON_DISK:
        raise ValueError(f"A dataset named {dataset.name!r} is already registered.")
    _DATASETS[dataset.name] = dataset
    return dataset


def dataset_names() -> list[str]:
    """The names of all datasets, sorted; beside them there is `tfds:NAME`."""
    for name in _EMBEDDED:
        importlib.import_module(f"slimnets.data.{name}")
    return sorted([*_DATASETS, *_ON_DISK])


def get_dataset(
    name: str,
    *,
    dataset_dir: str | None = None,
    labels_offset: int | None = None,
    records_pattern: str | None = None,
    image_feature: str | None = None,
    label_feature: str | None = None,
) -> Dataset:
    """The dataset called `name`.

    Args:
        name: a name from `dataset_names()`, or `tfds:NAME` of tensorflow-datasets.
        dataset_dir: where a dataset on disk lies.
        labels_offset: what is subtracted from the labels in record files; None for the
            dataset's own.
        records_pattern: of `records`: which files these are; see `other_records`.
        image_feature, label_feature: of record files: the names of a record's features,
            where they are not research/slim's.

    Raises:
        ValueError: for an unknown name, with the nearest; if dataset_dir is missing or
            of no effect; or for files that do not fit, as of `open_dataset` in
            `records`, `folders` and `npz`.
        FileNotFoundError: if there is nothing in dataset_dir.
        ImportError: if tensorflow-datasets is not installed, for `tfds:NAME`.
    """
    known = dataset_names()
    module = "tfds" if name.startswith(TFDS) else _ON_DISK.get(name)
    if module is None and name not in _DATASETS:
        near = nearest(name, known)
        hint = f"Did you mean {near}? " if near else ""
        raise ValueError(
            f"Unknown dataset {name!r}. {hint}Datasets: {', '.join(known)}, {TFDS}NAME."
        )
    if name == "mnist" and dataset_dir is not None:
        from slimnets.data import idx

        module = "idx" if idx.is_there(dataset_dir) else module
    given = {
        "labels_offset": labels_offset,
        "records_pattern": records_pattern,
        "image_feature": image_feature,
        "label_feature": label_feature,
    }
    of_records = {key: value for key, value in given.items() if value is not None}
    if of_records and module != "records":
        setting, value = next(iter(of_records.items()))
        raise ValueError(
            f"{setting}={value} is of no effect with dataset_name={name}; it is for "
            "record files."
        )
    if module is None:
        if dataset_dir is not None:
            raise ValueError(
                f"dataset_dir={dataset_dir} is of no effect with dataset_name={name}, "
                "which slimnets carries."
            )
        return _DATASETS[name]
    if dataset_dir is None and module != "tfds":
        raise ValueError(f"dataset_name={name} needs dataset_dir, where it lies.")
    opened = importlib.import_module(f"slimnets.data.{module}")
    return opened.open_dataset(name, dataset_dir, **of_records)
