"""Semantic segmentation in DeepLab's manner, on any backbone by name.

    config = SegmentationConfig(model_name="resnet18", train_dir="runs/segmenter")
    train(config, Segmentation())

The backbone at output stride 16, atrous spatial pyramid pooling, perhaps a decoder
that sees finer levels, and bilinear upsampling to the input's size.

Source: [1] Chen et al., DeepLabv3, arXiv:1706.05587; [2] Chen et al., DeepLabv3+,
arXiv:1802.02611 (the decoder).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets import features, layers, necks
from slimnets.data import composed
from slimnets.end_points import EndPoints
from slimnets.model import Model
from slimnets.scopes import arg_scope
from slimnets.tasks.backbones import build_backbone
from slimnets.tasks.compositions import CompositionTask
from slimnets.tasks.config import SegmentationConfig
from slimnets.training.task import make_model

# Background and the digits.
NUM_CLASSES = 1 + composed.NUM_CLASSES


def segmenter(
    images: tf.Tensor,
    num_classes: int,
    is_training: bool | tf.Tensor = False,
    *,
    backbone: str,
    output_stride: int = 16,
    pyramid_depth: int = 64,
    decoder_levels: Sequence[str] = ("C2",),
    **backbone_options: Any,
) -> tuple[tf.Tensor, EndPoints]:
    """Builds a segmenter.

    Args:
        images: `[batch, height, width, channels]`.
        num_classes: number of classes, with the background.
        is_training: as of the backbone.
        backbone: a registered network that reaches the output stride.
        output_stride: of the backbone. The atrous rates are 6, 12 and 18 for 16, and
            twice these for 8 [1].
        pyramid_depth: channels of the atrous pyramid and the decoder.
        decoder_levels: the levels that the decoder sees [2], one after the other,
            coarsest first; none for no decoder.
        **backbone_options: further arguments of the backbone.

    Returns:
        Logits `[batch, height, width, num_classes]`, and the backbone's end points.

    Raises:
        ValueError, KeyError: for a network, an output stride or a level that is not
            there.
    """
    level = f"C{output_stride.bit_length() - 1}"
    features.feature_info(backbone, output_stride, levels=(level, *decoder_levels))
    end_points = build_backbone(
        backbone, images, is_training, output_stride=output_stride, **backbone_options
    )
    net = features.features(end_points, (level,), normalized=True)[level]
    rates = [max(1, rate * 16 // output_stride) for rate in (6, 12, 18)]
    with (
        tf.compat.v1.variable_scope("head"),
        arg_scope([layers.conv2d], normalizer_fn=layers.batch_norm),
        arg_scope([layers.batch_norm], is_training=is_training, decay=0.9, scale=True),
    ):
        net = necks.atrous_pyramid(net, pyramid_depth, rates)
        for name, fine in features.features(end_points, decoder_levels).items():
            net = _decoded(net, fine, pyramid_depth, f"decoder_{name}")
        logits = layers.conv2d(
            net,
            num_classes,
            1,
            activation_fn=None,
            normalizer_fn=None,
            scope="logits",
        )
    size = tf.shape(images)[1:3]
    logits = tf.image.resize(logits, size)
    logits.set_shape([None, *images.shape[1:3], num_classes])
    return logits, end_points


def _decoded(net: tf.Tensor, fine: tf.Tensor, depth: int, scope: str) -> tf.Tensor:
    """The decoder of [2]: what the pyramid says, and a finer level, side by side."""
    with tf.compat.v1.variable_scope(scope):
        fine = layers.conv2d(fine, max(depth // 4, 8), 1, scope="fine")
        net = tf.image.resize(net, tf.shape(fine)[1:3])
        net = tf.concat([net, fine], axis=-1)
        net = layers.conv2d(net, depth, 3, scope="conv1")
        return layers.conv2d(net, depth, 3, scope="conv2")


@dataclasses.dataclass(frozen=True)
class SegmentationEvaluation:
    """Mean intersection over union, of all pixels of all images.

    Attributes:
        confusion: int64 `[classes, classes]`: pixels by their class and the one found.
        images: how many images were measured.
    """

    confusion: np.ndarray
    images: int

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
        return {"mean_iou": self.mean_iou, "pixel_accuracy": float(correct)}

    def __str__(self) -> str:
        accuracy = self.summaries["pixel_accuracy"]
        return (
            f"mean IoU {100 * self.mean_iou:.2f} %, pixel accuracy "
            f"{100 * accuracy:.2f} % ({self.images} test images)"
        )


class Segmentation(CompositionTask):
    """The task of labelling the pixels of composed images; see `training.task`."""

    name = "segmentation"
    num_classes = NUM_CLASSES

    def make_network(self, config: SegmentationConfig) -> Model:
        model = make_model(
            config,
            segmenter,
            num_classes=self.num_classes,
            backbone=config.model_name,
            output_stride=config.output_stride,
            pyramid_depth=config.pyramid_depth,
            decoder_levels=config.levels,
            **config.network_options,
        )
        model.build([None, config.image_size, config.image_size, 1])
        return model

    def losses(self, config: SegmentationConfig, targets, outputs):
        mask = targets["mask"]
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(mask, outputs)
        hits = tf.equal(tf.argmax(outputs, -1, output_type=tf.int32), mask)
        accuracy = tf.reduce_mean(tf.cast(hits, tf.float32), [1, 2])
        return tf.reduce_mean(losses, [1, 2]), {"pixel_accuracy": accuracy}

    def evaluate(
        self, config: SegmentationConfig, model: Model
    ) -> SegmentationEvaluation:
        confusion = np.zeros((NUM_CLASSES, NUM_CLASSES), np.int64)
        for found, targets in self.measured(
            config, model, lambda logits: {"mask": tf.argmax(logits, axis=-1)}
        ):
            pairs = targets["mask"] * NUM_CLASSES + found["mask"]
            counts = np.bincount(pairs.ravel(), minlength=NUM_CLASSES**2)
            confusion += counts.reshape(confusion.shape)
        return SegmentationEvaluation(confusion, config.num_eval_images)
