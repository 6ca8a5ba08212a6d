"""Semantic segmentation in DeepLab's manner, on any backbone by name.

    config = SegmentationConfig(model_name="resnet18", train_dir="runs/segmenter")
    train(config, Segmentation())

The backbone at output stride 16, atrous spatial pyramid pooling, perhaps a decoder
that sees a finer level, and bilinear upsampling to the input's size.

Source: [1] Chen et al., DeepLabv3, arXiv:1706.05587; [2] Chen et al., DeepLabv3+,
arXiv:1802.02611 (the decoder).
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets import factory, features, layers, necks
from slimnets.data import composed
from slimnets.end_points import EndPoints
from slimnets.model import Model
from slimnets.scopes import arg_scope
from slimnets.tasks.compositions import eval_composition, training_composition
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
    decoder_level: int = 2,
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
        decoder_level: the level that the decoder sees [2], 2 for C2; 0 for none.
        **backbone_options: further arguments of the backbone.

    Returns:
        Logits `[batch, height, width, num_classes]`, and the backbone's end points.

    Raises:
        ValueError, KeyError: for a network, an output stride or a level that is not
            there.
    """
    level = f"C{output_stride.bit_length() - 1}"
    levels = (level, f"C{decoder_level}") if decoder_level else (level,)
    features.feature_info(backbone, output_stride, levels=levels)
    _, end_points = factory.build(
        backbone,
        images,
        is_training=is_training,
        output_stride=output_stride,
        global_pool=False,
        **backbone_options,
    )
    net = features.features(end_points, (level,), normalized=True)[level]
    rates = [max(1, rate * 16 // output_stride) for rate in (6, 12, 18)]
    with (
        tf.compat.v1.variable_scope("head"),
        arg_scope([layers.conv2d], normalizer_fn=layers.batch_norm),
        arg_scope([layers.batch_norm], is_training=is_training, decay=0.9, scale=True),
    ):
        net = necks.atrous_pyramid(net, pyramid_depth, rates)
        if decoder_level:
            net = _decoded(net, end_points[f"C{decoder_level}"], pyramid_depth)
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


def _decoded(net: tf.Tensor, fine: tf.Tensor, depth: int) -> tf.Tensor:
    """The decoder of [2]: what the pyramid says, and a finer level, side by side."""
    fine = layers.conv2d(fine, max(depth // 4, 8), 1, scope="fine")
    net = tf.image.resize(net, tf.shape(fine)[1:3])
    net = tf.concat([net, fine], axis=-1)
    net = layers.conv2d(net, depth, 3, scope="decoder1")
    return layers.conv2d(net, depth, 3, scope="decoder2")


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


class Segmentation:
    """The task of labelling the pixels of composed images; see `training.task`."""

    def make_network(self, config: SegmentationConfig) -> Model:
        model = make_model(
            config,
            segmenter,
            num_classes=NUM_CLASSES,
            backbone=config.model_name,
            output_stride=config.output_stride,
            pyramid_depth=config.pyramid_depth,
            decoder_level=config.decoder_level,
            norm=config.norm,
            freeze_at=config.freeze_at,
        )
        model.build([None, config.image_size, config.image_size, 1])
        return model

    def batches(self, config: SegmentationConfig, first_step: int) -> tf.data.Dataset:
        return composed.batches(
            "train",
            batch_size=config.batch_size,
            seed=config.seed,
            first_step=first_step,
            composition=training_composition(config),
        )

    def losses(self, config: SegmentationConfig, targets, outputs):
        mask = targets["mask"]
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(mask, outputs)
        hits = tf.equal(tf.argmax(outputs, -1, output_type=tf.int32), mask)
        accuracy = tf.reduce_mean(tf.cast(hits, tf.float32), [1, 2])
        return tf.reduce_mean(losses, [1, 2]), {"pixel_accuracy": accuracy}

    def evaluate(
        self, config: SegmentationConfig, model: Model
    ) -> SegmentationEvaluation:
        find = tf.function(lambda images: tf.argmax(model(images), axis=-1))
        confusion = np.zeros((NUM_CLASSES, NUM_CLASSES), np.int64)
        batch_size = math.gcd(config.num_eval_images, 20)
        for images, targets in composed.batches(
            "test",
            batch_size=batch_size,
            steps=config.num_eval_images // batch_size,
            composition=eval_composition(config),
        ):
            pairs = targets["mask"].numpy() * NUM_CLASSES + find(images).numpy()
            counts = np.bincount(pairs.ravel(), minlength=NUM_CLASSES**2)
            confusion += counts.reshape(confusion.shape)
        return SegmentationEvaluation(confusion, config.num_eval_images)

    def metadata(self, config: SegmentationConfig) -> dict[str, Any]:
        return {
            "task": "segmentation",
            "num_classes": NUM_CLASSES,
            "image_size": config.image_size,
            "input_channels": 1,
        }
