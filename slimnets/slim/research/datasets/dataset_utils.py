"""Examples of record files, and the files of labels beside them."""

from __future__ import annotations

import os
from typing import Any

import tensorflow as tf

LABELS_FILENAME = "labels.txt"


def _listed(values: Any) -> list[Any]:
    return list(values) if isinstance(values, (tuple, list)) else [values]


def int64_feature(values: Any) -> tf.train.Feature:
    """A feature of one or more whole numbers."""
    return tf.train.Feature(int64_list=tf.train.Int64List(value=_listed(values)))


def bytes_feature(values: Any) -> tf.train.Feature:
    """A feature of one or more byte strings."""
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=_listed(values)))


def float_feature(values: Any) -> tf.train.Feature:
    """A feature of one or more numbers."""
    return tf.train.Feature(float_list=tf.train.FloatList(value=_listed(values)))


int64_list_feature, bytes_list_feature = int64_feature, bytes_feature
float_list_feature = float_feature


def image_to_tfexample(
    image_data: bytes, image_format: bytes, height: int, width: int, class_id: int
) -> tf.train.Example:
    """An example of an encoded image and its class, as research/slim's records have."""
    features = {
        "image/encoded": bytes_feature(image_data),
        "image/format": bytes_feature(image_format),
        "image/class/label": int64_feature(class_id),
        "image/height": int64_feature(height),
        "image/width": int64_feature(width),
    }
    return tf.train.Example(features=tf.train.Features(feature=features))


def write_label_file(
    labels_to_class_names: dict[int, str],
    dataset_dir: str,
    filename: str = LABELS_FILENAME,
) -> None:
    """Writes a line `label:name` for each class."""
    with tf.io.gfile.GFile(os.path.join(dataset_dir, filename), "w") as file:
        for label in labels_to_class_names:
            file.write(f"{label}:{labels_to_class_names[label]}\n")


def has_labels(dataset_dir: str, filename: str = LABELS_FILENAME) -> bool:
    """Whether there is a file of labels."""
    return tf.io.gfile.exists(os.path.join(dataset_dir, filename))


def read_label_file(
    dataset_dir: str, filename: str = LABELS_FILENAME
) -> dict[int, str]:
    """Reads what `write_label_file` writes: `{label: name}`."""
    with tf.io.gfile.GFile(os.path.join(dataset_dir, filename)) as file:
        lines = filter(None, file.read().split("\n"))
    pairs = (line.split(":", 1) for line in lines)
    return {int(label): name for label, name in pairs}
