"""Training and measuring a segmenter on any backbone by name; see `heads.segmenter`.

config = SegmentationConfig(model_name="resnet18", train_dir="runs/segmenter")
train(config, Segmentation())
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets.data import composed
from slimnets.data.annotated import Photo
from slimnets.data.labels import BACKGROUND
from slimnets.heads.rows import SEGMENTATION
from slimnets.model import Model
from slimnets.tasks.boundaries import boundary_f
from slimnets.tasks.head_config import SegmentationConfig
from slimnets.tasks.head_task import HeadTask
from slimnets.tasks.mask_losses import mask_losses, of_pixels

_SHOWN = {
    "mean_iou": "mean IoU",
    "pixel_accuracy": "pixel accuracy",
    "boundary_f": "boundary F",
}


@dataclasses.dataclass(frozen=True)
class SegmentationEvaluation:
    """Mean intersection over union, of all pixels of all images, and boundaries.

    Attributes:
        confusion: int64 `[classes, classes]`: pixels by their class and the one found.
        images: how many images were measured.
        label_names: of the classes; empty for their numbers.
        boundary_fs: of every class the mean of the images that have it, as
            `boundary_f` measures it; NaN for one without boundaries.
    """

    confusion: np.ndarray
    images: int
    label_names: tuple[str, ...] = ()
    boundary_fs: tuple[float, ...] = ()

    @property
    def class_ious(self) -> np.ndarray:
        """Of every class; NaN for one that is neither there nor found."""
        shared = np.diag(self.confusion)
        union = self.confusion.sum(0) + self.confusion.sum(1) - shared
        return np.where(union > 0, shared / np.maximum(union, 1), np.nan)

    @property
    def mean_iou(self) -> float:
        return float(np.nanmean(self.class_ious))

    @property
    def summaries(self) -> dict[str, float]:
        correct = np.diag(self.confusion).sum() / self.confusion.sum()
        shares = {"mean_iou": self.mean_iou, "pixel_accuracy": float(correct)}
        if not np.isnan(self.boundary_fs).all():
            shares["boundary_f"] = float(np.nanmean(self.boundary_fs))
        return shares

    @property
    def tables(self) -> dict[str, Mapping[str, float]]:
        """What evaluation prints beside the one line."""
        names = self.label_names or list(map(str, range(len(self.confusion))))
        values = {"IoU": self.class_ious.tolist(), "boundary F": self.boundary_fs}
        return {
            f"{measure} by class": dict(zip(names, of_classes, strict=True))
            for measure, of_classes in values.items()
            if len(of_classes)
        }

    def __str__(self) -> str:
        shown = [
            f"{_SHOWN[name]} {100 * value:.2f} %"
            for name, value in self.summaries.items()
        ]
        return f"{', '.join(shown)} ({self.images} test images)"


class Segmentation(HeadTask):
    """The task of labelling the pixels of images; see `slimnets.training.task`."""

    name = SEGMENTATION
    composed_names = (BACKGROUND, *map(str, range(composed.NUM_CLASSES)))

    def losses(self, config: SegmentationConfig, targets, outputs):
        mask = targets["mask"]
        hits = tf.equal(tf.argmax(outputs, -1, output_type=tf.int32), mask)
        accuracy = of_pixels(mask, tf.cast(hits, tf.float32))
        losses = mask_losses(mask, outputs, config.loss, config.focal_gamma)
        return losses, {"pixel_accuracy": accuracy}

    def evaluate(
        self, config: SegmentationConfig, model: Model
    ) -> SegmentationEvaluation:
        photos = self.measured_photos(config, model)
        return evaluate_masks(photos, self.label_names(config))


def evaluate_masks(
    photos: Iterable[tuple[int, Photo, Mapping[str, np.ndarray]]],
    label_names: Sequence[str],
) -> SegmentationEvaluation:
    """Measures what was found in photos, as `finding.found_in` yields it; ignored
    pixels count for nothing."""
    number, images = len(label_names), 0
    counts = np.zeros(number**2, np.int64)
    boundaries, with_boundary = np.zeros(number), np.zeros(number)
    for _, photo, found in photos:
        truth: Any = photo.mask
        mask = found["mask"]
        meant = truth >= 0
        places = truth[meant].astype(np.int64) * number + mask[meant]
        counts += np.bincount(places, minlength=number**2)
        scores = boundary_f(truth, mask, number)
        boundaries += np.nan_to_num(scores)
        with_boundary += ~np.isnan(scores)
        images += 1
    means = np.where(with_boundary, boundaries / np.maximum(with_boundary, 1), np.nan)
    return SegmentationEvaluation(
        counts.reshape(number, number),
        images,
        tuple(label_names),
        tuple(means.tolist()),
    )
