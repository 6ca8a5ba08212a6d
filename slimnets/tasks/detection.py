"""A compact single-stage detector on any backbone by name.

    config = DetectionConfig(model_name="resnet18", train_dir="runs/detector")
    train(config, Detection())

A feature pyramid on the backbone's levels, two heads that all levels share, anchors,
focal loss, and class-wise non-maximum suppression. It is meant to be copied: what
belongs to the data is in `Detection`, everything else is functions.

Source: [1] Lin et al., RetinaNet, arXiv:1708.02002. Average precision is COCO's.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets import extras, features, layers, necks
from slimnets.data import composed
from slimnets.end_points import EndPoints
from slimnets.model import Model
from slimnets.scopes import arg_scope
from slimnets.tasks.backbones import build_backbone
from slimnets.tasks.boxes import (
    OCTAVES,
    RATIOS,
    decode_boxes,
    encode_boxes,
    make_anchors,
    match_anchors,
)
from slimnets.tasks.compositions import CompositionTask
from slimnets.tasks.config import DetectionConfig
from slimnets.training.task import make_model

ALPHA, GAMMA, PRIOR = 0.25, 2.0, 0.01
BOX_WEIGHT = 10.0


def detector(
    images: tf.Tensor,
    num_classes: int,
    is_training: bool | tf.Tensor = False,
    *,
    backbone: str,
    levels: Sequence[str] = ("C3", "C4", "C5"),
    pyramid_depth: int = 64,
    head_convs: int = 2,
    **backbone_options: Any,
) -> tuple[dict[str, tf.Tensor], EndPoints]:
    """Builds a detector.

    Args:
        images: `[batch, height, width, channels]`.
        num_classes: number of classes.
        is_training: as of the backbone.
        backbone: a registered network with these levels.
        levels: consecutive levels, finest first.
        pyramid_depth: channels of the pyramid and the heads.
        head_convs: how many convolutions each head has before its last.
        **backbone_options: further arguments of the backbone.

    Returns:
        `classes`, logits `[batch, anchors, num_classes]`, and `boxes`, codes `[batch,
        anchors, 4]`, of the anchors in the order of `make_anchors`; and the
        backbone's end points.

    Raises:
        ValueError, KeyError: for a network or level that is not there.
    """
    # Before anything is built, because a wrong level should be a short message.
    features.feature_info(backbone, levels=levels, normalized=True)
    end_points = build_backbone(backbone, images, is_training, **backbone_options)
    found = features.features(end_points, levels, normalized=True)
    pyramid = necks.feature_pyramid(
        found, pyramid_depth, max_level=int(levels[-1][1:]), scope="neck"
    )
    sizes = {"classes": num_classes, "boxes": 4}
    heads = {
        name: functools.partial(
            _head, name=name, size=size, depth=pyramid_depth, convs=head_convs
        )
        for name, size in sizes.items()
    }
    outputs = {
        name: tf.concat([head(net) for net in pyramid.values()], axis=1)
        for name, head in heads.items()
    }
    return outputs, end_points


def _head(net: tf.Tensor, name: str, size: int, depth: int, convs: int) -> tf.Tensor:
    """One of the two heads on one level: `[batch, positions * anchors, size]`."""
    per_position = len(OCTAVES) * len(RATIOS)
    bias = -math.log((1 - PRIOR) / PRIOR) if name == "classes" else 0.0
    with (
        tf.compat.v1.variable_scope(f"{name}_head", reuse=tf.compat.v1.AUTO_REUSE),
        arg_scope([layers.group_norm], groups=math.gcd(depth, 16)),
    ):
        for index in range(1, convs + 1):
            net = layers.conv2d(
                net, depth, 3, normalizer_fn=layers.group_norm, scope=f"conv{index}"
            )
        net = layers.conv2d(
            net,
            per_position * size,
            3,
            activation_fn=None,
            weights_initializer=tf.compat.v1.random_normal_initializer(stddev=0.01),
            biases_initializer=tf.compat.v1.constant_initializer(bias),
            scope="output",
        )
    return tf.reshape(net, [tf.shape(net)[0], -1, size])


def detection_losses(
    outputs: Mapping[str, tf.Tensor],
    anchors: tf.Tensor,
    boxes: tf.Tensor,
    labels: tf.Tensor,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The focal loss of classes and the Huber loss of boxes [1], for each image.

    Args:
        outputs: what `detector` gave.
        anchors: `[anchors, 4]`.
        boxes: `[batch, objects, 4]`.
        labels: `[batch, objects]`, -1 where there is none.

    Returns:
        The losses `[batch]`, per matched anchor, and both parts by name.
    """
    objects, matched = match_anchors(anchors, boxes, labels)
    logits = tf.cast(outputs["classes"], tf.float32)
    positive = tf.cast(matched >= 0, tf.float32)
    count = tf.maximum(tf.reduce_sum(positive, axis=-1), 1.0)
    targets = tf.one_hot(matched, logits.shape[-1])
    focal = tf.reduce_sum(focal_loss(targets, logits), axis=-1)
    focal = tf.reduce_sum(tf.where(matched > -2, focal, 0.0), axis=-1) / count

    wanted = encode_boxes(tf.gather(boxes, objects, batch_dims=1), anchors)
    error = tf.abs(tf.cast(outputs["boxes"], tf.float32) - wanted)
    huber = tf.where(error < 0.1, 0.5 * error**2, 0.1 * (error - 0.05))
    huber = tf.reduce_sum(positive * tf.reduce_mean(huber, -1), -1) / count
    losses = focal + BOX_WEIGHT * huber
    return losses, {"class_loss": focal, "box_loss": huber}


def focal_loss(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Focal loss [1] of each element; targets are 0 or 1."""
    cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)
    probability = tf.sigmoid(logits)
    missed = targets * (1 - probability) + (1 - targets) * probability
    return (
        (targets * ALPHA + (1 - targets) * (1 - ALPHA))
        * missed**GAMMA
        * (cross_entropy)
    )


def detections(
    outputs: Mapping[str, tf.Tensor],
    anchors: tf.Tensor,
    *,
    max_detections: int = 30,
    overlap: float = 0.5,
    least_score: float = 0.02,
) -> dict[str, tf.Tensor]:
    """Boxes after non-maximum suppression within each class.

    Returns:
        `boxes` `[batch, max_detections, 4]` in pixels, `scores` and `classes`
        `[batch, max_detections]`, best first, and `number` `[batch]`, of those that
        are detections.
    """
    boxes = decode_boxes(tf.cast(outputs["boxes"], tf.float32), anchors)
    found = tf.image.combined_non_max_suppression(
        boxes[:, :, tf.newaxis],
        tf.sigmoid(tf.cast(outputs["classes"], tf.float32)),
        max_output_size_per_class=max_detections,
        max_total_size=max_detections,
        iou_threshold=overlap,
        score_threshold=least_score,
        clip_boxes=False,
    )
    return dict(zip(("boxes", "scores", "classes", "number"), found, strict=True))


@dataclasses.dataclass(frozen=True)
class DetectionEvaluation:
    """COCO's average precision, from 0 to 1.

    Attributes:
        ap: over intersections over union from 0.50 to 0.95.
        ap50, ap75: at that one.
        images: how many images were measured.
    """

    ap: float
    ap50: float
    ap75: float
    images: int

    @property
    def summaries(self) -> dict[str, float]:
        return {"AP": self.ap, "AP50": self.ap50, "AP75": self.ap75}

    def __str__(self) -> str:
        numbers = (f"{name} {100 * v:.2f} %" for name, v in self.summaries.items())
        return f"{', '.join(numbers)} ({self.images} test images)"


def average_precision(
    truth: Sequence[tuple[np.ndarray, np.ndarray]],
    found: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]],
) -> DetectionEvaluation:
    """COCO's average precision.

    Args:
        truth: for each image boxes `[n, 4]` in pixels and labels `[n]`.
        found: for each image boxes `[m, 4]`, classes `[m]` and scores `[m]`.

    Raises:
        ImportError: without pycocotools.
    """
    extras.require("Average precision needs", "detection", "pycocotools.coco")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    annotations = [
        {**_annotation(image, box, label), "iscrowd": 0, "area": _box_area(box)}
        for image, (boxes, labels) in enumerate(truth, start=1)
        for box, label in zip(boxes, labels, strict=True)
    ]
    results = [
        {**_annotation(image, box, label), "score": float(score)}
        for image, (boxes, classes, scores) in enumerate(found, start=1)
        for box, label, score in zip(boxes, classes, scores, strict=True)
    ]
    if not results:
        return DetectionEvaluation(0.0, 0.0, 0.0, len(truth))
    categories = sorted({annotation["category_id"] for annotation in annotations})
    # pycocotools reports on standard output.
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": [{"id": image + 1} for image in range(len(truth))],
            "categories": [{"id": category} for category in categories],
            "annotations": [
                {**annotation, "id": number}
                for number, annotation in enumerate(annotations, start=1)
            ],
        }
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    ap, ap50, ap75 = map(float, evaluation.stats[:3])
    return DetectionEvaluation(ap, ap50, ap75, len(truth))


def _annotation(image: int, box: np.ndarray, label: Any) -> dict[str, Any]:
    top, left, bottom, right = map(float, box)
    return {
        "image_id": image,
        "category_id": int(label) + 1,
        "bbox": [left, top, right - left, bottom - top],
    }


def _box_area(box: np.ndarray) -> float:
    return float(np.prod(box[2:] - box[:2]))


class Detection(CompositionTask):
    """The task of finding digits in composed images; see `slimnets.training.task`."""

    name = "detection"
    num_classes = composed.NUM_CLASSES

    def make_network(self, config: DetectionConfig) -> Model:
        model = make_model(
            config,
            detector,
            num_classes=self.num_classes,
            backbone=config.model_name,
            levels=config.levels,
            pyramid_depth=config.pyramid_depth,
            head_convs=config.head_convs,
            **config.network_options,
        )
        model.build([None, config.image_size, config.image_size, 1])
        return model

    def losses(self, config: DetectionConfig, targets, outputs):
        anchors = tf.constant(_anchors(config))
        return detection_losses(outputs, anchors, targets["boxes"], targets["labels"])

    def evaluate(self, config: DetectionConfig, model: Model) -> DetectionEvaluation:
        anchors = tf.constant(_anchors(config))
        truth, found = [], []
        for batch, targets in self.measured(
            config, model, lambda outputs: detections(outputs, anchors)
        ):
            boxes, labels = targets["boxes"], targets["labels"]
            for i, number in enumerate(batch["number"]):
                truth.append((boxes[i][labels[i] >= 0], labels[i][labels[i] >= 0]))
                found.append(
                    tuple(batch[k][i, :number] for k in ("boxes", "classes", "scores"))
                )
        return average_precision(truth, found)


@functools.lru_cache(maxsize=8)
def _anchors(config: DetectionConfig) -> np.ndarray:
    strides = [2 ** int(level[1:]) for level in config.levels]
    return make_anchors(config.image_size, config.image_size, strides)
