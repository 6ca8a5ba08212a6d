"""What the tasks on composed images share: their images, and how they are measured."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets.data import composed
from slimnets.data.composed import Composition
from slimnets.model import Model
from slimnets.tasks.config import CompositionConfig
from slimnets.training.feeding import own_share

# Test images at a time; so many, or the largest divisor of both numbers.
_MEASURED_AT_ONCE = 20


class CompositionTask:
    """A task on composed images; see `slimnets.training.task`.

    Attributes:
        name: of the task.
        num_classes: of its network.
    """

    name: str
    num_classes: int

    def __init__(self) -> None:
        self._compiled: tuple[Model, Callable] | None = None

    def batches(
        self,
        config: CompositionConfig,
        first_step: int,
        input_context: tf.distribute.InputContext,
    ) -> tf.data.Dataset:
        whole = composed.batches(
            "train",
            batch_size=config.batch_size,
            seed=config.seed,
            first_step=first_step,
            composition=training_composition(config),
        )
        return own_share(whole, input_context, config.batch_size)

    def measured(
        self,
        config: CompositionConfig,
        model: Model,
        find: Callable[[Any], dict[str, tf.Tensor]],
    ) -> Iterator[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]:
        """Yields what `find` makes of the model's outputs for batches of test images.

        Args:
            config: says how many images, and how they are composed.
            model: what is measured.
            find: makes of outputs what is compared; always the same.

        Yields:
            What was found, and the targets of `composed.batches`.
        """
        # Kept, so that evaluations while training trace the network once.
        if self._compiled is None or self._compiled[0] is not model:
            self._compiled = model, tf.function(lambda images: find(model(images)))
        batch_size = math.gcd(config.num_eval_images, _MEASURED_AT_ONCE)
        for images, targets in composed.batches(
            "test",
            batch_size=batch_size,
            steps=config.num_eval_images // batch_size,
            composition=eval_composition(config),
        ):
            found = self._compiled[1](images)
            yield tuple(
                {name: value.numpy() for name, value in values.items()}
                for values in (found, targets)
            )

    def metadata(self, config: CompositionConfig) -> dict[str, Any]:
        return {
            "task": self.name,
            "num_classes": self.num_classes,
            "image_size": config.image_size,
            "input_channels": 1,
        }


def eval_composition(config: CompositionConfig) -> Composition:
    """How the images are composed that measure."""
    return Composition(
        image_size=config.image_size,
        min_side=min(config.min_digit_side, config.image_size),
        max_side=min(config.max_digit_side, config.image_size),
        sharpness=config.digit_sharpness,
    )


def training_composition(config: CompositionConfig) -> Composition:
    """The same with as many digits as the config says, and half as many at least."""
    return dataclasses.replace(
        eval_composition(config),
        min_objects=config.max_train_objects // 2,
        max_objects=config.max_train_objects,
    )
