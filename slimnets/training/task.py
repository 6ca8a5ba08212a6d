"""What a run trains for: its model, its batches, its losses and its measure.

The loop knows nothing of these; classification, here, is one task, and what stands on
a backbone (`slimnets.tasks`) gives others.
"""

from __future__ import annotations

from typing import Any, Protocol

import tensorflow as tf

from slimnets import layers
from slimnets.data import training_batches
from slimnets.model import Model
from slimnets.scopes import arg_scope
from slimnets.training.config import TrainingConfig
from slimnets.training.evaluation import Evaluation, evaluate
from slimnets.training.losses import softmax_cross_entropy


class Measured(Protocol):
    """What evaluation gives: `str()` is one line, and `summaries` names its numbers."""

    @property
    def summaries(self) -> dict[str, float]: ...


class Task(Protocol):
    """What the training loop asks for."""

    def make_network(self, config: TrainingConfig) -> Model:
        """Returns the model, built."""

    def batches(self, config: TrainingConfig, first_step: int) -> tf.data.Dataset:
        """Returns pairs of inputs and targets from `first_step` on, without end."""

    def losses(
        self, config: TrainingConfig, targets: Any, outputs: Any
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Returns the losses `[batch]`, and what the log shows, `{name: [batch]}`."""

    def evaluate(self, config: TrainingConfig, model: Model) -> Measured:
        """Measures a trained model."""

    def metadata(self, config: TrainingConfig) -> dict[str, Any]:
        """Returns what is written beside a checkpoint, as JSON can hold it."""


def make_model(config: TrainingConfig, network: Any, **kwargs: Any) -> Model:
    """Returns a model, not yet built, with the config's weight decay and seed."""
    with arg_scope(
        [layers.conv1d, layers.conv2d, layers.fully_connected],
        weights_regularizer=layers.l2_regularizer(config.weight_decay),
    ):
        return Model(network, precision=config.precision, seed=config.seed, **kwargs)


class Classification:
    """Labels for images: softmax cross-entropy, and accuracy."""

    def make_network(self, config: TrainingConfig) -> Model:
        dataset = config.dataset
        model = make_model(config, config.model_name, num_classes=dataset.num_classes)
        model.build([None, *dataset.input_shape(config.image_size)])
        return model

    def batches(self, config: TrainingConfig, first_step: int) -> tf.data.Dataset:
        return training_batches(
            config.dataset,
            batch_size=config.batch_size,
            image_size=config.image_size,
            seed=config.seed,
            first_step=first_step,
            preprocessing=config.preprocessing,
        )

    def losses(self, config, targets, outputs):
        losses = softmax_cross_entropy(targets, outputs, config.label_smoothing)
        hits = tf.equal(tf.argmax(outputs, axis=-1), targets)
        return losses, {"train_accuracy": tf.cast(hits, tf.float32)}

    def evaluate(self, config: TrainingConfig, model: Model) -> Evaluation:
        return evaluate(
            model,
            config.dataset,
            image_size=config.eval_image_size or config.image_size,
            batch_size=config.batch_size,
            preprocessing=config.preprocessing,
        )

    def metadata(self, config: TrainingConfig) -> dict[str, Any]:
        dataset = config.dataset
        return {
            "num_classes": dataset.num_classes,
            "labels_offset": 0,
            "image_size": config.eval_image_size or config.image_size,
            "input_channels": dataset.image_shape[-1],
            "preprocessing_name": config.preprocessing,
            "dataset_name": dataset.name,
            "label_names": list(dataset.label_names),
        }
