"""What a run trains for: its model, its batches, its losses and its measure.

The loop knows nothing of these; classification, here, is one task, and what stands on
a backbone (`slimnets.tasks`) gives others.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Protocol

import tensorflow as tf

from slimnets import factory, layers
from slimnets.blocks import stack_blocks
from slimnets.data import training_batches
from slimnets.layers import common
from slimnets.model import Model
from slimnets.nets.roots import build_root
from slimnets.scopes import arg_scope
from slimnets.training.config import TrainingConfig
from slimnets.training.evaluation import Evaluation, Evaluator
from slimnets.training.losses import LOSSES, hits

AUXILIARY = "AuxLogits"


class Measured(Protocol):
    """What evaluation gives: `str()` is one line, and `summaries` names its numbers.

    The first of the summaries, of which more is better, tells the best checkpoint.
    """

    @property
    def summaries(self) -> dict[str, float]: ...


class Task(Protocol):
    """What the training loop asks for."""

    def make_network(self, config: TrainingConfig) -> Model:
        """Returns the model, built."""

    def batches(
        self,
        config: TrainingConfig,
        first_step: int,
        input_context: tf.distribute.InputContext,
    ) -> tf.data.Dataset:
        """Returns pairs of inputs and targets from `first_step` on, without end.

        Of several workers, of which input_context tells, each gets its share.
        """

    def losses(
        self, config: TrainingConfig, targets: Any, outputs: Any
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Returns the losses `[batch]`, and what the log shows, `{name: [batch]}`."""

    def evaluate(self, config: TrainingConfig, model: Model) -> Measured:
        """Measures a trained model."""

    def metadata(self, config: TrainingConfig) -> dict[str, Any]:
        """Returns what is written beside a checkpoint, as JSON can hold it."""


def make_model(config: TrainingConfig, network: Any, **kwargs: Any) -> Model:
    """Returns a model, not yet built, with the config's L2 loss, recomputing and seed.

    Decoupled weight decay is the optimizer's.
    """
    l2 = 0.0 if config.decouples_weight_decay else config.weight_decay
    with (
        arg_scope(
            [layers.conv1d, layers.conv2d, layers.fully_connected],
            weights_regularizer=layers.l2_regularizer(l2),
        ),
        arg_scope([stack_blocks, build_root], recompute=config.recompute),
    ):
        return Model(
            network,
            precision=config.precision,
            seed=config.seed,
            jit=config.jit,
            **kwargs,
        )


class Classification:
    """Labels for images, or clouds: cross entropy, and accuracy."""

    def __init__(self) -> None:
        self._evaluator: tuple[Model, Evaluator] | None = None

    def make_network(self, config: TrainingConfig) -> Model:
        dataset = config.dataset
        network: Any = config.model_name
        if config.auxiliary_loss_weight is not None:
            network = _with_auxiliary(factory.network_info(network).network)
        model = make_model(config, network, num_classes=dataset.num_classes)
        model.build([None, *dataset.input_shape(config.image_size)])
        return model

    def batches(self, config, first_step, input_context):
        return training_batches(
            config,
            batch_size=config.batch_size,
            seed=config.seed,
            first_step=first_step,
            input_context=input_context,
        )

    def losses(self, config, targets, outputs):
        loss = functools.partial(
            LOSSES[config.loss], targets, label_smoothing=config.label_smoothing
        )
        if config.auxiliary_loss_weight is None:
            return loss(outputs), {"train_accuracy": hits(targets, outputs)}
        logits, auxiliary = outputs["logits"], outputs[AUXILIARY]
        losses = loss(logits) + config.auxiliary_loss_weight * loss(auxiliary)
        return losses, {"train_accuracy": hits(targets, logits)}

    def evaluate(self, config: TrainingConfig, model: Model) -> Evaluation:
        # Kept, so that evaluations while training trace the network once.
        if self._evaluator is None or self._evaluator[0] is not model:
            evaluator = Evaluator(
                model, config, batch_size=config.batch_size, loss=config.loss
            )
            self._evaluator = model, evaluator
        return self._evaluator[1]()

    def metadata(self, config: TrainingConfig) -> dict[str, Any]:
        dataset = config.dataset
        return {
            "num_classes": dataset.num_classes,
            "labels_offset": 0,
            "image_size": config.evaluation_size,
            "input_channels": dataset.image_shape[-1],
            "preprocessing_name": config.preprocessing,
            "dataset_name": dataset.name,
            "label_names": list(dataset.label_names),
            "loss": config.loss,
        }


def _with_auxiliary(network: Callable) -> Callable:
    """The network, which in training gives both its logits and AuxLogits by name."""

    @functools.wraps(network)
    def both(*args: Any, is_training: bool | tf.Tensor = False, **kwargs: Any):
        if "is_training" in inspect.signature(network).parameters:
            kwargs["is_training"] = is_training
        result = network(*args, **kwargs)
        logits, end_points = result if isinstance(result, tuple) else (result, {})
        if AUXILIARY not in end_points:
            raise ValueError(
                "auxiliary_loss_weight is of no effect: the network "
                f"{network.__name__} has no end point {AUXILIARY}."
            )
        if common.static_bool(is_training) is False:
            return logits, end_points
        return {"logits": logits, AUXILIARY: end_points[AUXILIARY]}, end_points

    return both
