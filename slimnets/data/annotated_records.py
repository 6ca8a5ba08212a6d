"""Boxes in record files as of the Object Detection API, masks in DeepLab's.

    DIR/train.tfrecord, DIR/val.tfrecord, DIR/label_map.pbtxt
    DIR/train-00000-of-00010.tfrecord ..., DIR/val-00000-of-00002 ...

A split is what stands before the shard's number. Boxes are in
`image/object/bbox/ymin` ..., as shares of the sides, with `image/object/class/label`,
which counts from 1, or `image/object/class/text`; masks are PNG in
`image/segmentation/class/encoded`. The names of the classes are in the label map,
`*.pbtxt`, in `classes.txt` or, of boxes, in the records, which are then read once.

Source: tensorflow/models, research/object_detection/g3doc/using_your_own_dataset.md,
and research/deeplab/datasets/build_data.py.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from slimnets.data.annotated import IGNORE_LABEL, AnnotatedSource, EncodedPhoto, Objects
from slimnets.data.annotated_files import classes_in
from slimnets.data.datasets import Dataset, photo_dataset
from slimnets.data.formats import is_hidden
from slimnets.data.pixel_limit import decode_image
from slimnets.data.records import check_shards
from slimnets.data.tfrecords import RecordFiles, features_in
from slimnets.listing import shortened

_IMAGE, _MASK = "image/encoded", "image/segmentation/class/encoded"
_SIDES = tuple(f"image/object/bbox/{s}" for s in ("ymin", "xmin", "ymax", "xmax"))
_LABEL, _TEXT = "image/object/class/label", "image/object/class/text"
_CROWD = ("image/object/is_crowd", "image/object/difficult")
_SHARDED = re.compile(r"(.+?)[-_.](?:tfrecord-)?\d{5}-of-\d{5}.*")
_ENDINGS = (".tfrecord", ".tfrecords", ".record", ".records")
# Kinds of features, as tf.train.Feature calls them.
_BYTES, _WHOLES, _FLOATS = "bytes_list", "int64_list", "float_list"
_ITEM = re.compile(r"item\s*\{(.*?)\}", re.S)
_ID = re.compile(r"\bid\s*:\s*(\d+)")
_NAME = re.compile(r"""\bname\s*:\s*(["'])(.*?)\1""")
_DISPLAY = re.compile(r"""\bdisplay_name\s*:\s*(["'])(.*?)\1""")


def open_dataset(
    name: str, dataset_dir: str, ignore_label: int = IGNORE_LABEL
) -> Dataset:
    """Finds the records of a directory; see the module.

    Raises:
        FileNotFoundError: if there is no such directory, or no records in it.
        ValueError: if a file is damaged, or nothing tells the classes.
    """
    files = {
        split: RecordFiles.of(paths) for split, paths in _files(dataset_dir).items()
    }
    numbers, names = _classes(dataset_dir)
    if not names:
        numbers, names = _classes_in(files.values())
        if not names:
            raise ValueError(
                f"{dataset_dir} has no label map, *.pbtxt, and its records have no "
                f"{_TEXT}: give the names of the classes in classes.txt."
            )
    return photo_dataset(
        name,
        dataset_dir,
        names,
        {split: len(records) for split, records in files.items()},
        lambda split: AnnotatedRecords(files[split], names, numbers, ignore_label),
    )


class AnnotatedRecords(AnnotatedSource):
    """Photos in TFRecord files.

    Args:
        files: the records.
        names: of the classes.
        numbers: the class, from 0 on, by the number in the records.
        ignore_label: the number in masks that is no class.
    """

    def __init__(
        self,
        files: RecordFiles,
        names: Sequence[str],
        numbers: Mapping[int, int],
        ignore_label: int,
    ):
        self.number = len(files)
        self.num_classes, self.ignore_label = len(names), ignore_label
        self._files, self._numbers = files, numbers
        self._texts = {name.encode(): label for label, name in enumerate(names)}

    def name(self, index: int) -> str:
        return self._files.name(index)

    def encoded(self, index: int) -> EncodedPhoto:
        features = features_in(self._files.read(index))
        images = _values(features, _IMAGE)
        if not images:
            raise ValueError(f"the record has no feature {_IMAGE!r}")
        if masks := _values(features, _MASK):
            return EncodedPhoto(images[0], mask=masks[0])
        sides = [
            _values(features, f"image/{side}", _WHOLES) for side in ("height", "width")
        ]
        if all(sides):
            size = (int(sides[0][0]), int(sides[1][0]))
        else:
            stored = decode_image(images[0], 3, exif_orientation=False)
            size = tuple(stored.shape[:2])
        return EncodedPhoto(images[0], size, self._objects(features, size))

    def _objects(self, features: Any, size: tuple[int, int]) -> Objects:
        corners = [_values(features, side, _FLOATS) for side in _SIDES]
        if len(set(map(len, corners))) > 1:
            numbers = ", ".join(map(str, map(len, corners)))
            raise ValueError(f"the record has {numbers} sides of boxes {_SIDES}")
        labels = self._labels(features, len(corners[0]))
        boxes = np.array(corners, np.float64).T.reshape(-1, 4)
        if not np.isfinite(boxes).all():
            raise ValueError("the record has a box that is not finite")
        boxes = np.clip(boxes, 0.0, 1.0) * np.array([*size, *size])
        there = (boxes[:, 2:] > boxes[:, :2]).all(-1)
        flags = [_values(features, flag, _WHOLES) for flag in _CROWD]
        crowd = np.zeros(len(boxes), bool)
        for flag in flags:
            if len(flag) == len(boxes):
                crowd |= np.array(flag, bool)
        return Objects.of(boxes[there], labels[there], crowd[there])

    def _labels(self, features: Any, number: int) -> np.ndarray:
        """Classes from 0 on, by number or, without these, by text."""
        found = _values(features, _LABEL, _WHOLES)
        known: Mapping = self._numbers
        if not found:
            found, known = _values(features, _TEXT), self._texts
        if len(found) != number:
            raise ValueError(f"the record has {number} boxes, but {len(found)} labels")
        for label in found:
            if label not in known:
                raise ValueError(
                    f"the record has the label {shortened(repr(label))}, which is none "
                    "of its classes"
                )
        return np.array([known[label] for label in found], np.int32)


def _values(features: Any, name: str, wanted: str = _BYTES) -> list:
    """The values of a feature; none where there is none.

    Raises:
        ValueError: for values of another kind.
    """
    if name not in features:
        return []
    feature = features[name]
    kind = feature.WhichOneof("kind")
    values = list(getattr(feature, kind).value) if kind else []
    if values and kind != wanted:
        raise ValueError(
            f"the record's {name!r} is a {kind}, where a {wanted} is meant"
        )
    return values


def _files(dataset_dir: str) -> dict[str, list[str]]:
    """The record files by split."""
    if not os.path.isdir(dataset_dir):
        raise FileNotFoundError(f"There is no directory {dataset_dir}.")
    found: dict[str, list[str]] = {}
    for name in sorted(os.listdir(dataset_dir)):
        sharded = _SHARDED.fullmatch(name)
        stem, ending = os.path.splitext(name)
        if is_hidden(name) or not (sharded or ending in _ENDINGS):
            continue
        found.setdefault(sharded[1] if sharded else stem, []).append(name)
    if not found:
        raise FileNotFoundError(
            f"{dataset_dir} holds no record files, such as train.tfrecord or "
            "train-00000-of-00010."
        )
    for names in found.values():
        if _SHARDED.fullmatch(names[0]):
            check_shards(names, dataset_dir)
    return {
        split: [os.path.join(dataset_dir, name) for name in names]
        for split, names in found.items()
    }


def _classes(dataset_dir: str) -> tuple[dict[int, int], tuple[str, ...]]:
    """Labels by the records' numbers, and names, of a label map or a list."""
    maps = sorted(n for n in os.listdir(dataset_dir) if n.endswith(".pbtxt"))
    if not maps:
        names = classes_in(dataset_dir) or ()
        return {number: number - 1 for number in range(1, len(names) + 1)}, names
    path = os.path.join(dataset_dir, maps[0])
    with open(path, encoding="utf-8", errors="replace") as file:
        items = _ITEM.findall(file.read())
    named = {}
    for item in items:
        number, name = _ID.search(item), _DISPLAY.search(item) or _NAME.search(item)
        if not number or not name:
            raise ValueError(f"{path} is damaged: an item has no id or no name.")
        named[int(number[1])] = name[2]
    if not named:
        raise ValueError(f"{path} is no label map: it has no item.")
    numbers = {number: label for label, number in enumerate(sorted(named))}
    return numbers, tuple(named[number] for number in sorted(named))


def _classes_in(
    files: Iterable[RecordFiles],
) -> tuple[dict[int, int], tuple[str, ...]]:
    """The same of the records' own texts: in the order of their numbers, if there are
    any, else in alphabetical order."""
    found: dict[str, int] = {}
    for records in files:
        for index in range(len(records)):
            try:
                features = features_in(records.read(index))
                texts = _values(features, _TEXT)
                labels = _values(features, _LABEL, _WHOLES)
            except ValueError as error:
                raise ValueError(f"{records.name(index)}: {error}.") from None
            labels = labels or [0] * len(texts)
            for text, label in zip(texts, labels, strict=False):
                found[text.decode("utf-8", "replace")] = int(label)
    names = tuple(sorted(found, key=lambda name: (found[name], name)))
    return {found[name]: label for label, name in enumerate(names)}, names
