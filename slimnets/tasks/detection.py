"""Training and measuring a detector on any backbone by name; see `heads.detector`.

    config = DetectionConfig(model_name="resnet18", train_dir="runs/detector")
    train(config, Detection())

Source: [1] Lin et al., RetinaNet, arXiv:1708.02002; [2] Liu et al., SSD,
arXiv:1512.02325.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from slimnets.data import composed
from slimnets.data.annotated import Photo
from slimnets.heads.boxes import encode_boxes, match_anchors
from slimnets.heads.detector import SSD_HEAD, anchors_of
from slimnets.heads.rows import DETECTION
from slimnets.model import Model
from slimnets.tasks.average_precision import (
    DetectionEvaluation,
    Found,
    average_precision,
    coco_tools,
)
from slimnets.tasks.head_config import DetectionConfig
from slimnets.tasks.head_task import HeadTask

ALPHA, GAMMA = 0.25, 2.0
BOX_WEIGHT = 10.0
# So many anchors of background count for one that is matched ([2], section 2.2).
MINED = 3.0
# In a composed image, which has six digits at most.
COMPOSED_MOST = 30


def detection_losses(
    outputs: Mapping[str, tf.Tensor],
    anchors: tf.Tensor,
    boxes: tf.Tensor,
    labels: tf.Tensor,
    *,
    mined: bool = False,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The loss of classes and the Huber loss of boxes [1], for each image.

    Args:
        outputs: what `detector` gave.
        anchors: `[anchors, 4]`.
        boxes: `[batch, objects, 4]`.
        labels: `[batch, objects]`, -1 where there is none.
        mined: whether the loss of classes is the cross entropy of what is matched and
            of the hardest of what is background [2], and not focal loss [1].

    Returns:
        The losses `[batch]`, per matched anchor, and both parts by name.
    """
    objects, matched = match_anchors(anchors, boxes, labels)
    logits = tf.cast(outputs["classes"], tf.float32)
    positive = tf.cast(matched >= 0, tf.float32)
    count = tf.maximum(tf.reduce_sum(positive, axis=-1), 1.0)
    targets = tf.one_hot(matched, logits.shape[-1])
    if mined:
        of_anchors = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)
        of_anchors = tf.reduce_sum(of_anchors, axis=-1)
        counted = (matched >= 0) | _hardest(of_anchors, matched, MINED * count)
    else:
        of_anchors = tf.reduce_sum(focal_loss(targets, logits), axis=-1)
        counted = matched > -2
    of_classes = tf.reduce_sum(tf.where(counted, of_anchors, 0.0), axis=-1) / count

    wanted = encode_boxes(tf.gather(boxes, objects, batch_dims=1), anchors)
    error = tf.abs(tf.cast(outputs["boxes"], tf.float32) - wanted)
    huber = tf.where(error < 0.1, 0.5 * error**2, 0.1 * (error - 0.05))
    huber = tf.reduce_sum(positive * tf.reduce_mean(huber, -1), -1) / count
    losses = of_classes + BOX_WEIGHT * huber
    return losses, {"class_loss": of_classes, "box_loss": huber}


def _hardest(losses: tf.Tensor, matched: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    """Which of the anchors that are background have the largest losses.

    Args:
        losses, matched: `[batch, anchors]`.
        number: how many are wanted, `[batch]`.
    """
    of_background = tf.where(matched == -1, tf.stop_gradient(losses), -1.0)
    order = tf.argsort(of_background, axis=-1, direction="DESCENDING")
    rank = tf.argsort(order, axis=-1)
    return (matched == -1) & (tf.cast(rank, tf.float32) < number[:, tf.newaxis])


def focal_loss(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Focal loss [1] of each element; targets are 0 or 1."""
    cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)
    probability = tf.sigmoid(logits)
    missed = targets * (1 - probability) + (1 - targets) * probability
    weight = targets * ALPHA + (1 - targets) * (1 - ALPHA)
    return weight * missed**GAMMA * cross_entropy


class Detection(HeadTask):
    """The task of finding objects in images; see `slimnets.training.task`."""

    name = DETECTION
    composed_names = tuple(map(str, range(composed.NUM_CLASSES)))

    def make_network(self, config: DetectionConfig) -> Model:
        coco_tools()  # What only the end would find.
        return super().make_network(config)

    def losses(self, config: DetectionConfig, targets, outputs):
        size = config.image_size
        return detection_losses(
            outputs,
            anchors_of(size, size, config.head_options),
            targets["boxes"],
            targets["labels"],
            mined=config.head == SSD_HEAD,
        )

    def evaluate(self, config: DetectionConfig, model: Model) -> DetectionEvaluation:
        photos = self.measured_photos(config, model)
        most = COMPOSED_MOST if config.is_composed else None
        return evaluate_boxes(photos, self.label_names(config), most)


def evaluate_boxes(
    photos: Iterable[tuple[int, Photo, Mapping[str, np.ndarray]]],
    label_names: Sequence[str],
    most: int | None = None,
) -> DetectionEvaluation:
    """Measures what was found in photos, as `finding.found_in` yields it; of many
    boxes in one the best, if `most` says so."""
    truth, found = [], []
    for _, photo, boxes in photos:
        truth.append(photo.objects)
        found.append(Found(**{name: values[:most] for name, values in boxes.items()}))
    return average_precision(truth, found, label_names)
