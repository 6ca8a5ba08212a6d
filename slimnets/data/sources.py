"""Where the examples of a split come from: arrays in memory, or encoded images.

Every example has an index, so that a pipeline may begin anywhere and order is its own.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf

from slimnets.data.tfrecords import RecordFiles

_NO_CLASS = -1


class Encoded(Protocol):
    """Encoded images by index.

    Attributes:
        number: how many there are.
        num_classes: labels are below it.
        multi_label: whether an example's label is a row of 0 and 1, one for each class.
        counted_from: how labels in files become labels, for a message.
    """

    number: int
    num_classes: int
    multi_label: bool
    counted_from: str

    def name(self, index: int) -> str:
        """What an example is called: its file, and its index in that."""

    def read(self, index: int) -> bytes:
        """What `parse` needs of an example, beside its index."""

    def read_in_graph(self, index: tf.Tensor) -> tf.Tensor:
        """The same as a graph that needs no Python, for other processes."""

    def parse(
        self, index: tf.Tensor, data: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The encoded image (string), the label as stored, and boxes `[boxes, 4]`."""


@dataclasses.dataclass(frozen=True)
class Arrays:
    """Examples in memory.

    Attributes:
        images: `[number, height, width, channels]`, or clouds.
        labels: `[number]`, or `[number, classes]` of 0 and 1.
    """

    images: np.ndarray
    labels: np.ndarray

    @property
    def number(self) -> int:
        return len(self.images)

    @property
    def multi_label(self) -> bool:
        return self.labels.ndim == 2


class Files:
    """Image files, each of one class, or with a row of 0 and 1 for the classes."""

    counted_from = ""

    def __init__(
        self, root: str, names: Sequence[str], labels: np.ndarray, num_classes: int
    ):
        self.number = len(names)
        self.num_classes = num_classes
        self.labels = labels
        self.multi_label = labels.ndim == 2
        self.paths = names
        self._root = root
        # Who reads in a graph may be another process, with a directory of its own.
        # An empty root is the file system's.
        folder = os.path.abspath(f"{root}/").rstrip("/")
        self._folder = tf.constant(os.fsencode(f"{folder}/"))
        # Bytes, for names of files need not be UTF-8.
        self._names = tf.constant(list(map(os.fsencode, names)), tf.string)
        kind = tf.float32 if self.multi_label else tf.int64
        self._labels = tf.constant(labels, kind)

    def path(self, index: int) -> str:
        """Where an example's file is."""
        return f"{self._root}/{self.paths[index]}"

    def name(self, index: int) -> str:
        return f"{self.path(index)} (example {index})"

    def read(self, index: int) -> bytes:
        return b""  # `parse` reads the file itself.

    def read_in_graph(self, index):
        return tf.constant(b"")

    def parse(self, index, data):
        path = tf.strings.join([self._folder, self._names[index]])
        return tf.io.read_file(path), self._labels[index], tf.zeros([0, 4])


@dataclasses.dataclass(frozen=True)
class Features:
    """The names of a record's features, and what its labels are.

    Attributes:
        image, label, boxes: the names.
        labels_offset: what labels count from.
        texts: the classes by the texts that labels are; empty for numbers.
        several: whether an example has any number of labels.
    """

    image: str = "image/encoded"
    label: str = "image/class/label"
    boxes: str = "image/object/bbox"
    labels_offset: int = 0
    texts: tuple[str, ...] = ()
    several: bool = False


class Records:
    """tf.train.Examples in TFRecord files.

    Args:
        files: the records.
        num_classes: labels are below it, once the offset is subtracted.
        features: the names of a record's features.
    """

    def __init__(self, files: RecordFiles, num_classes: int, features: Features):
        self.number = len(files)
        self.num_classes = num_classes
        self.multi_label = features.several
        self.name, self.read = files.name, files.read
        self._files, self._features = files, features
        offset = features.labels_offset
        self.counted_from = f", after labels_offset={offset} is subtracted"
        self._places = None
        if features.texts:
            self.counted_from = f", and a text of no class is {_NO_CLASS}"
            texts = tf.constant(features.texts), tf.range(num_classes, dtype=tf.int64)
            self._places = tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer(*texts), _NO_CLASS
            )

    def read_in_graph(self, index):
        if self._places is not None:
            raise ValueError(
                "Labels that are texts are looked up in a table, which a data_service "
                "has no part in: write them as numbers."
            )
        paths = [os.path.abspath(path) for path in self._files.paths]
        sizes = tf.constant(list(map(os.path.getsize, paths)), tf.int64)
        file, _, offset, length = tf.unstack(tf.constant(self._files.places)[index])
        record = tf.data.FixedLengthRecordDataset(
            tf.constant(list(map(os.fsencode, paths)))[file],
            length,
            offset,
            sizes[file] - offset - length,
        )
        return record.get_single_element()

    def parse(self, index, data):
        names = self._features
        sides = [f"{names.boxes}/{side}" for side in ("ymin", "xmin", "ymax", "xmax")]
        kind = tf.string if names.texts else tf.int64
        one, any_number = tf.io.FixedLenFeature([], kind), tf.io.VarLenFeature(kind)
        parsed = tf.io.parse_single_example(
            data,
            {
                names.image: tf.io.FixedLenFeature([], tf.string),
                names.label: any_number if names.several else one,
                **{side: tf.io.VarLenFeature(tf.float32) for side in sides},
            },
        )
        boxes = tf.stack([parsed[side].values for side in sides], axis=1)
        return parsed[names.image], self._label(parsed[names.label]), boxes

    def _label(self, value: tf.Tensor | tf.SparseTensor) -> tf.Tensor:
        """A class number, or a row of 0 and 1."""
        value = value.values if self.multi_label else value
        if self._places is not None:
            label = self._places.lookup(value)
        else:
            label = value - self._features.labels_offset
        if not self.multi_label:
            return label
        fits = tf.reduce_all((label >= 0) & (label < self.num_classes))
        with tf.control_dependencies([tf.debugging.Assert(fits, ["labels", label])]):
            rows = tf.one_hot(label, self.num_classes)
        return tf.minimum(tf.reduce_sum(rows, axis=0), 1.0)


def numbered(labels: Sequence[Sequence[str]], classes: Sequence[str]) -> np.ndarray:
    """Class numbers `[examples]` of the labels of each; where any has several or none,
    rows of 0 and 1, `[examples, classes]`."""
    numbers = {name: number for number, name in enumerate(classes)}
    if all(len(own) == 1 for own in labels):
        return np.array([numbers[name] for (name,) in labels], np.int64)
    rows = np.zeros([len(labels), len(classes)], np.float32)
    for row, own in zip(rows, labels, strict=True):
        row[[numbers[name] for name in own]] = 1
    return rows
