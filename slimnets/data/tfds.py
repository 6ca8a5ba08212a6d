"""Datasets of tensorflow-datasets, `tfds:NAME`, read by index from their files.

tensorflow-datasets is an extra; it finds, or downloads and writes, the record files and
tells what is in them.
"""

from __future__ import annotations

import functools
import os
from typing import Any

from slimnets import extras
from slimnets.data.datasets import TFDS, Dataset
from slimnets.data.records import LazyCounts, read_records
from slimnets.data.sources import Features
from slimnets.data.splits import TRAIN, VALIDATION

# Where there are images of both, papers tell of those of test.
_TEST_SPLITS = ("test", VALIDATION, TRAIN)


def open_dataset(name: str, dataset_dir: str | None) -> Dataset:
    """Prepares a dataset of tensorflow-datasets for classification.

    Args:
        name: `tfds:NAME`, where NAME may have a config and a version.
        dataset_dir: its data_dir; None for its own default.

    Raises:
        ImportError: if tensorflow-datasets is not installed.
        ValueError: if the dataset is not one of encoded images with one label each, in
            TFRecord files.
    """
    tfds = extras.require(f"{name} needs", "tfds", "tensorflow_datasets")
    builder = tfds.builder(name[len(TFDS) :], data_dir=dataset_dir)
    builder.download_and_prepare()
    info = builder.info
    image, label = info.supervised_keys or ("image", "label")
    try:
        shape, classes = info.features[image].shape, info.features[label].names
    except (KeyError, AttributeError):
        raise ValueError(
            f"{name} has no image with a class label; its features are "
            f"{', '.join(info.features)}."
        ) from None
    features = Features(image=image, label=label)
    source = functools.cache(
        lambda split: read_records(_files(info, name, split), len(classes), features)
    )
    splits = tuple(info.splits)
    return Dataset(
        name=name,
        image_shape=tuple(shape),
        value_range=(0, 255),
        label_names=tuple(classes),
        splits=LazyCounts(splits, source),
        default_preprocessing="",
        loader=source,
        test_split=next((s for s in _TEST_SPLITS if s in splits), splits[0]),
        train_split=TRAIN if TRAIN in splits else splits[0],
        on_disk=True,
    )


def _files(info: Any, name: str, split: str) -> list[str]:
    paths = [os.fspath(path) for path in info.splits[split].filepaths]
    if wrong := [path for path in paths if ".tfrecord" not in path]:
        raise ValueError(f"{name} is not in TFRecord files: {wrong[0]}.")
    return paths
