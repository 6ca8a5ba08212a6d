"""Record files in research/slim's layout: imagenet, flowers, cifar10, mnist, or any.

A split is one or more TFRecord files of tf.train.Examples with `image/encoded`,
`image/format` and `image/class/label`; ImageNet's may have boxes in
`image/object/bbox/*`. The names of the classes are in `labels.txt`. `records` is what
`slimnets make-records` writes of any folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from slimnets.data import other_records
from slimnets.data.class_names import is_background
from slimnets.data.datasets import Dataset
from slimnets.data.labels import (
    BACKGROUND,
    LABELS_FILE,
    imagenet_labels,
    read_labels,
)
from slimnets.data.sources import Features, Records
from slimnets.data.tfrecords import RecordFiles, features_in

# A feature of records whose images have any number of labels.
SEVERAL = "image/class/several"
_SHARD = re.compile(r"(.*[-_])(\d{5})-of-(\d{5})(.*)")


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a dataset's record files are named, and what is in them.

    Attributes:
        prefix, suffix: of the files' names, around the split's name and what follows
            it: `-00000-of-00005` of several files, nothing of a single one.
        sharded: whether a split is of several files.
        splits: the splits that there may be, the one to train on first.
        image_shape: of one image.
        preprocessing: the dataset's own; empty to leave it to the network.
        labels_offset: what the labels count from.
    """

    prefix: str
    suffix: str
    sharded: bool
    splits: tuple[str, str]
    image_shape: tuple[int | None, int | None, int] = (None, None, 3)
    preprocessing: str = ""
    labels_offset: int = 0

    def file_name(self, split: str, shard: int = 0, shards: int = 1) -> str:
        """The name of one of a split's files."""
        # flowers_train_00000-of-00005.tfrecord, but train-00000-of-01024.
        joint = "_" if self.prefix else "-"
        part = f"{joint}{shard:05}-of-{shards:05}" if self.sharded else ""
        return f"{self.prefix}{split}{part}{self.suffix}"

    def matches(self, split: str, name: str) -> bool:
        """Whether a file is one of the split's."""
        if not self.sharded:
            return name == self.file_name(split)
        pattern = re.escape(self.file_name(split)).replace("00000", r"\d{5}")
        return re.fullmatch(pattern.replace("00001", r"\d{5}"), name) is not None


LAYOUTS = {
    "imagenet": Layout("", "", True, ("train", "validation"), labels_offset=1),
    "flowers": Layout("flowers_", ".tfrecord", True, ("train", "validation")),
    "records": Layout("", ".tfrecord", True, ("train", "validation")),
    "cifar10": Layout(
        "cifar10_", ".tfrecord", False, ("train", "test"), (32, 32, 3), "cifar"
    ),
    "mnist": Layout(
        "mnist_", ".tfrecord", False, ("train", "test"), (28, 28, 1), "lenet"
    ),
}


class LazyCounts(Mapping):
    """The number of examples of each split, counted when it is first asked for."""

    def __init__(self, splits: tuple[str, ...], source: Callable[[str], Any]):
        self._splits = splits
        self._source = source

    def __getitem__(self, split: str) -> int:
        if split not in self._splits:
            raise KeyError(split)
        return self._source(split).number

    def __contains__(self, split: object) -> bool:
        return split in self._splits

    def __iter__(self) -> Iterator[str]:
        return iter(self._splits)

    def __len__(self) -> int:
        return len(self._splits)


def open_dataset(
    name: str,
    dataset_dir: str,
    labels_offset: int | None = None,
    records_pattern: str | None = None,
    image_feature: str = Features.image,
    label_feature: str = Features.label,
) -> Dataset:
    """Finds a dataset's record files; they are read when a split is asked for.

    Arguments are as of `get_dataset`; without an offset the layout's own holds.

    Raises:
        FileNotFoundError: if there is no such directory, no file of a split, or a shard
            is missing.
        ValueError: if there is no labels.txt where one is needed.
    """
    features = Features(image=image_feature, label=label_feature)
    layout = LAYOUTS[name]
    if records_pattern is not None:
        if name != "records":
            raise ValueError(
                f"records_pattern={records_pattern} is of no effect with dataset_name="
                f"{name}, whose files have names of their own; it is for records."
            )
        return other_records.open_dataset(
            name, dataset_dir, labels_offset, pattern=records_pattern, features=features
        )
    files = {
        split: found
        for split in layout.splits
        if (found := _files_of(layout, split, dataset_dir))
    }
    if not files:
        shown = layout.file_name(layout.splits[0], 0, 5 if layout.sharded else 1)
        raise FileNotFoundError(
            f"{dataset_dir} holds no record files of {name}, such as {shown}."
        )
    offset = layout.labels_offset if labels_offset is None else labels_offset
    names = _label_names(name, dataset_dir, offset)
    features = dataclasses.replace(features, labels_offset=offset)
    source = functools.cache(
        lambda split: read_records(files[split], len(names), features)
    )
    return Dataset(
        name=name,
        image_shape=layout.image_shape,
        value_range=(0, 255),
        label_names=names,
        splits=LazyCounts(tuple(files), source),
        default_preprocessing=layout.preprocessing,
        loader=source,
        test_split=layout.splits[1] if layout.splits[1] in files else layout.splits[0],
        train_split=layout.splits[0],
        on_disk=True,
        directory=dataset_dir,
    )


def read_records(paths: list[str], num_classes: int, features: Features) -> Records:
    """Finds the records of files, whose lengths alone are read.

    Raises:
        ValueError: if a file is cut short, or there are no records at all.
    """
    files = RecordFiles.of(paths)
    if not len(files):
        raise ValueError(f"There are no records in {', '.join(paths)}.")
    # What is no example is told when it is met.
    with contextlib.suppress(ValueError):
        several = SEVERAL in features_in(files.read(0))
        features = dataclasses.replace(features, several=several)
    return Records(files, num_classes, features)


def _files_of(layout: Layout, split: str, dataset_dir: str) -> list[str]:
    names = sorted(n for n in os.listdir(dataset_dir) if layout.matches(split, n))
    if names and layout.sharded:
        check_shards(names, dataset_dir)
    return [os.path.join(dataset_dir, name) for name in names]


def check_shards(names: list[str], where: str) -> None:
    """Raises unless names of the form `a-00000-of-00005b` are each there once.

    Raises:
        FileNotFoundError: if one is missing.
        ValueError: if files of different numbers of shards lie beside each other.
    """
    parts = [match for name in names if (match := _SHARD.fullmatch(name))]
    totals = sorted({int(match[3]) for match in parts})
    if len(totals) > 1:
        raise ValueError(
            f"{where} holds shards of {' and of '.join(map(str, totals))} files beside "
            f"each other: {names[0]} and {names[-1]}."
        )
    known = {int(match[2]) for match in parts}
    if missing := sorted(set(range(totals[0])) - known):
        first = f"{parts[0][1]}{missing[0]:05}-of-{totals[0]:05}{parts[0][4]}"
        raise FileNotFoundError(
            f"{where} lacks {len(missing)} of {totals[0]} shards, such as {first}."
        )


def _label_names(name: str, dataset_dir: str, offset: int) -> tuple[str, ...]:
    """The names of the classes, which an offset of the labels does not move.

    Where there is one, names may begin with a background, which has no label then.
    ImageNet's records always count from 1, so that without an offset there is one.
    """
    path = os.path.join(dataset_dir, LABELS_FILE)
    if os.path.exists(path):
        names = read_labels(path, first=offset)
    elif name == "imagenet":
        names = imagenet_labels()
    else:
        raise ValueError(
            f"{dataset_dir} has no {LABELS_FILE} with the names of classes."
        )
    begins = is_background(names[0])
    if offset:
        return names[offset:] if begins else names
    if LAYOUTS[name].labels_offset and not begins:
        return (BACKGROUND, *names)
    return names
