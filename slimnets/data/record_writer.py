"""Turns a folder of images into record files in research/slim's layout, and photos with
boxes or masks into those of the Object Detection API and of DeepLab."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import functools
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from slimnets.data import folders, records
from slimnets.data.annotated import BOXES, AnnotatedSource, first_kind, open_annotated
from slimnets.data.annotated_features import (
    features_of,
    image_features,
    write_label_map,
)
from slimnets.data.bad_records import (
    UNUSABLE,
    BadRecords,
    TooManyBadRecords,
    reason,
)
from slimnets.data.datasets import Dataset
from slimnets.data.labels import BACKGROUND, LABELS_FILE, write_labels
from slimnets.data.pixel_limit import decode_image
from slimnets.data.sources import Files
from slimnets.data.tfrecords import record_of, wholes
from slimnets.files import drafted, remove_drafts
from slimnets.sharding import ONE, ManifestOptions, Shard, in_order

FOLDER = "folder"
LAYOUTS = tuple(
    name
    for name, layout in records.LAYOUTS.items()
    if layout.sharded and layout.image_shape == (None, None, 3)
)


@dataclasses.dataclass(frozen=True)
class Written:
    """What `make_records` wrote.

    Attributes:
        files: the record files, by split.
        images: how many images are in them, by split.
        bad: why images were left out, by their path.
    """

    files: dict[str, list[str]]
    images: dict[str, int]
    bad: dict[str, str]


def make_records(
    dataset_dir: str,
    output: str,
    *,
    num_shards: int = 16,
    layout: str = "records",
    dataset_name: str = FOLDER,
    annotations: str | None = None,
    seed: int = 0,
    max_bad_records: int = 0,
    exif_orientation: bool = True,
    num_threads: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    options: ManifestOptions | None = None,
) -> Written:
    """Writes the splits of a folder as record files, with the names of the classes.

    The files are a function of the folder, `num_shards` and the seed alone. Each gets
    its name when it is whole. Images stay encoded as they are, but every one is decoded
    once to see that it can be.

    Args:
        dataset_dir: a folder as of `slimnets.data.folders`, or as of dataset_name.
        output: the directory of the files; it is made.
        num_shards: files of the training split; other splits have as many images in a
            file.
        layout: one of LAYOUTS, which is the `dataset_name` to read them by.
        dataset_name: `folder`, or what `open_annotated` takes.
        annotations: of the latter, `boxes` or `masks`; None for the first of these that
            it has.
        seed: of the order of the images.
        max_bad_records: how many images that cannot be decoded are left out.
        exif_orientation: whether `image/height` and `image/width` are of the photo as
            EXIF turns it. Who reads the records decides anew: the photos keep their
            EXIF.
        num_threads: how many files are written at a time; None for one for each core.
        progress: is told how many images are done, and of how many.
        options: who works, which goes on where it was if it was stopped, and shows its
            progress by itself; None for this process, which begins anew.

    Raises:
        ValueError: if the folder has no classes, or an empty one; for an unknown layout
            or too many shards; or if the output holds files of another number of
            shards. TooManyBadRecords, a ValueError that names all, for more than
            max_bad_records.
        FileNotFoundError: if there is no such folder.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout={layout!r} is not one of {', '.join(LAYOUTS)}.")
    opening = functools.partial(
        _opened, dataset_name, annotations, dataset_dir, layout, exif_orientation
    )
    dataset = opening()
    splits = [split for split in dataset.splits if split != dataset.whole_split]
    number = dataset.splits[dataset.train_split]
    if not 1 <= num_shards <= number:
        raise ValueError(
            f"num_shards={num_shards}; allowed is 1 to {number}, the number of "
            "training images."
        )
    row = records.LAYOUTS[layout]
    os.makedirs(output, exist_ok=True)
    if layout != "records" and dataset.source(dataset.train_split).multi_label:
        raise ValueError(
            f"layout={layout!r} has one label for each image, and some of "
            f"{dataset_dir} have several: give layout='records'."
        )
    files: list[_File] = []
    for split in splits:
        images = dataset.splits[split]
        order = np.random.default_rng([seed, images]).permutation(images)
        parts = np.array_split(order, max(1, round(num_shards * images / number)))
        for i, part in enumerate(parts):
            name = row.file_name(split, i, len(parts))
            files.append(_File(split, os.path.join(output, name), part))
    _check_output(files, row, output, splits)
    background = [BACKGROUND] * row.labels_offset
    write_labels(os.path.join(output, LABELS_FILE), [*background, *dataset.label_names])
    if dataset_name != FOLDER and (annotations or first_kind(dataset_name)) == BOXES:
        write_label_map(output, dataset)
    bad = BadRecords(max_bad_records)
    if options and options.engine != ONE:
        work = {
            "dataset": [dataset.fingerprint, *dataset.label_names],
            "seed": seed,
            "exif_orientation": exif_orientation,
        }
        open_work = functools.partial(_Elsewhere, opening, row.labels_offset)
        counts = _write_by(options, files, open_work, work, bad, num_threads)
    else:
        total = sum(len(file.indices) for file in files)
        writer = _Writer(
            dataset, row.labels_offset, bad, lambda done: progress(done, total)
        )
        counts = _write(writer, files, num_threads)
    written = list(zip(files, counts, strict=True))
    return Written(
        {s: [file.path for file in files if file.split == s] for s in splits},
        {s: sum(n for file, n in written if file.split == s) for s in splits},
        bad.found,
    )


def _write(
    writer: _Writer, files: Sequence[_File], num_threads: int | None
) -> list[int]:
    """Writes files in threads: how many images are in each."""
    with concurrent.futures.ThreadPoolExecutor(num_threads or os.cpu_count()) as pool:
        futures = [pool.submit(writer.write, file) for file in files]
        try:
            counts = [future.result() for future in futures]
            writer.bad.check()
        except BaseException:
            writer.stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return counts


def _write_by(
    options: ManifestOptions,
    files: Sequence[_File],
    open_work: Callable[[], _Elsewhere],
    work: Mapping[str, Any],
    bad: BadRecords,
    at_a_time: int | None,
) -> list[int]:
    """Has files written by an engine: how many images are in each."""
    folder = os.path.dirname(files[0].path)
    names = [os.path.basename(file.path) for file in files]
    counts = []
    for result in in_order(
        "make-records",
        [
            Shard(name, len(file.indices), file)
            for name, file in zip(names, files, strict=True)
        ],
        open_work,
        options,
        {"files": names, **work},
        os.path.join(folder, ".make-records.manifest"),
        bad.limit,
        at_a_time=at_a_time,
        is_there=lambda shard: os.path.exists(shard.items.path),
    ):
        counts.append(result["images"])
        bad.found |= result["found"]
    remove_drafts(folder, names)
    return counts


class _Elsewhere:
    """Writes files in another process.

    Args:
        opening: gives the dataset.
        labels_offset: what labels count from.
    """

    def __init__(self, opening: Callable[[], Dataset], labels_offset: int):
        self._dataset, self._labels_offset = opening(), labels_offset

    def __call__(self, file: _File) -> dict[str, Any]:
        # How many may be bad is for who has all files to say.
        bad = BadRecords(sys.maxsize)
        images = _Writer(self._dataset, self._labels_offset, bad).write(file)
        told = [f"{name}: {why}" for name, why in bad.found.items()]
        return {"images": images, "found": bad.found, "bad": told}


def _opened(
    name: str,
    annotations: str | None,
    dataset_dir: str,
    layout: str,
    exif_orientation: bool,
) -> Dataset:
    if name == FOLDER:
        if annotations:
            raise ValueError(
                f"annotations={annotations} is of no effect with dataset_name={name}."
            )
        dataset = folders.open_dataset(name, dataset_dir)
    elif layout != "records":
        raise ValueError(f"layout={layout!r} is for dataset_name={FOLDER} alone.")
    else:
        dataset = open_annotated(name, annotations, dataset_dir)
    return dataclasses.replace(dataset, exif_orientation=exif_orientation)


class _File(NamedTuple):
    """A file to write: which examples of a split go into it."""

    split: str
    path: str
    indices: np.ndarray


def _check_output(
    files: Sequence[_File], row: records.Layout, output: str, splits: list[str]
) -> None:
    mine = {os.path.basename(file.path) for file in files}
    known = {*row.splits, *splits}
    for name in sorted(os.listdir(output)):
        if name not in mine and any(row.matches(split, name) for split in known):
            raise ValueError(
                f"{output} holds other record files already, such as {name}: choose "
                "another directory, or remove them."
            )


class _Stopped(Exception):
    """A file is not to be finished."""


class _Writer:
    """Writes files; several may be under way in as many threads.

    Args:
        dataset: of what.
        labels_offset: what labels count from.
        bad: counts the images that are left out.
        progress: is told how many images are done.
    """

    def __init__(
        self,
        dataset: Dataset,
        labels_offset: int,
        bad: BadRecords,
        progress: Callable[[int], None] = lambda done: None,
    ):
        self.stop = threading.Event()
        self.bad = bad
        self._dataset, self._labels_offset = dataset, labels_offset
        self._progress = progress
        self._done = 0
        self._lock = threading.Lock()

    def write(self, file: _File) -> int:
        """Writes a file, whole or not at all: how many images."""
        source: Any = self._dataset.source(file.split)
        number = 0
        with contextlib.suppress(_Stopped), drafted(file.path) as draft:
            with tf.io.TFRecordWriter(draft) as writer:
                for index in file.indices.tolist():
                    if self.stop.is_set():
                        raise _Stopped
                    if record := self._record(source, index):
                        writer.write(record)
                        number += 1
                    with self._lock:
                        self._done += 1
                        self._progress(self._done)
            if self.bad.too_many:
                raise _Stopped
        return number

    def _record(self, source: Files | AnnotatedSource, index: int) -> bytes | None:
        try:
            if isinstance(source, Files):
                return record_of(self._of_class(source, index))
            return record_of(features_of(self._dataset, source, index))
        except UNUSABLE as error:
            name = source.path if isinstance(source, Files) else source.name
            with contextlib.suppress(TooManyBadRecords):  # All are named at the end.
                self.bad.add(name(index), reason(error))
            return None

    def _of_class(self, source: Files, index: int) -> dict[str, tf.train.Feature]:
        with open(source.path(index), "rb") as file:
            encoded = file.read()
        upright = self._dataset.exif_orientation
        image = decode_image(encoded, 3, exif_orientation=upright)
        labels, several = [source.labels[index]], {}
        if source.multi_label:
            labels, several = np.flatnonzero(labels[0]), {records.SEVERAL: wholes(1)}
        return {
            **image_features(encoded, source.paths[index], *image.shape[:2]),
            "image/class/label": wholes(*np.add(labels, self._labels_offset)),
            **several,
        }
