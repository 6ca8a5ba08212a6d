"""The composed images of a run of detection or segmentation."""

from __future__ import annotations

import dataclasses

from slimnets.data.composed import Composition
from slimnets.tasks.config import DetectionConfig, SegmentationConfig


def eval_composition(config: DetectionConfig | SegmentationConfig) -> Composition:
    """How the images are composed that measure."""
    return Composition(
        image_size=config.image_size,
        min_side=min(config.min_digit_side, config.image_size),
        max_side=min(config.max_digit_side, config.image_size),
        sharpness=config.digit_sharpness,
    )


def training_composition(config: DetectionConfig | SegmentationConfig) -> Composition:
    """The same with as many digits as the config says, and half as many at least."""
    return dataclasses.replace(
        eval_composition(config),
        min_objects=config.max_train_objects // 2,
        max_objects=config.max_train_objects,
    )
