"""research/slim's datasets: where their record files are and how large."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import tensorflow as tf

from slimnets import slim
from slimnets.slim.research.datasets import dataset_utils

v1 = tf.compat.v1

_DESCRIPTIONS = {
    "image": "A color image of varying size.",
    "label": "A single integer between 0 and the number of classes.",
}


@dataclasses.dataclass(frozen=True)
class Records:
    """A dataset.

    Attributes:
        pattern: of the files' names, with the split's name for `%s`.
        sizes: `{split: images}`.
        classes: how many.
        shape: of the images, where all have one.
        channels: of the images.
    """

    pattern: str
    sizes: dict[str, int]
    classes: int
    shape: tuple[int, int, int] | None = None
    channels: int = 3

    def get_split(
        self,
        split_name: str,
        dataset_dir: str,
        file_pattern: str | None = None,
        reader: Any = None,
    ) -> slim.dataset.Dataset:
        """The dataset's split in a folder.

        Raises:
            ValueError: for a split that it has not.
        """
        if split_name not in self.sizes:
            raise ValueError(f"split name {split_name} was not recognized.")
        features = {
            "image/encoded": v1.FixedLenFeature((), tf.string, ""),
            "image/format": v1.FixedLenFeature((), tf.string, "jpeg"),
            "image/class/label": v1.FixedLenFeature([], tf.int64, -1),
        }
        decoders = slim.tfexample_decoder
        image = decoders.Image(shape=self.shape, channels=self.channels)
        labels = None
        if dataset_utils.has_labels(dataset_dir):
            labels = dataset_utils.read_label_file(dataset_dir)
        pattern = file_pattern or self.pattern
        return slim.dataset.Dataset(
            data_sources=os.path.join(
                dataset_dir, pattern % split_name if "%s" in pattern else pattern
            ),
            reader=reader or v1.TFRecordReader,
            decoder=decoders.TFExampleDecoder(
                features,
                {"image": image, "label": decoders.Tensor("image/class/label")},
            ),
            num_samples=self.sizes[split_name],
            items_to_descriptions=_DESCRIPTIONS,
            num_classes=self.classes,
            labels_to_names=labels,
        )


cifar10 = Records(
    "cifar10_%s.tfrecord", {"train": 50000, "test": 10000}, 10, (32, 32, 3)
)
flowers = Records("flowers_%s_*.tfrecord", {"train": 3320, "validation": 350}, 5)
imagenet = Records("%s-*", {"train": 1281167, "validation": 50000}, 1001)
mnist = Records(
    "mnist_%s.tfrecord", {"train": 60000, "test": 10000}, 10, (28, 28, 1), channels=1
)
