"""What a run trains for: its model, its batches, its losses and its measure.

The loop knows nothing of these; classification, here, is one task, and what stands on
a backbone (`slimnets.tasks`) gives others.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from slimnets import factory, layers
from slimnets.blocks import stack_blocks
from slimnets.data import training_batches
from slimnets.data.label_check import check_labels
from slimnets.data.served import served
from slimnets.end_points import EndPoints
from slimnets.layers import building
from slimnets.model import Model
from slimnets.model.arguments import outputs_of
from slimnets.scopes import arg_scope
from slimnets.training.class_weights import class_weights
from slimnets.training.distillation import (
    END_POINTS_WEIGHT,
    TEMPERATURE,
    WEIGHT,
    Teacher,
    attention_loss,
    attentions_of,
    distillation_loss,
    paired,
)
from slimnets.training.evaluation import Evaluation, Evaluator
from slimnets.training.evaluation_data import check_loss
from slimnets.training.losses import LOSSES, hits, shares_of_classes
from slimnets.training.starting import scopes_of
from slimnets.training.training_config import TrainingConfig

AUXILIARY = "AuxLogits"
_LOGITS, _ATTENTIONS = "logits", "attentions"


class Measured(Protocol):
    """What evaluation gives: `str()` is one line, and `summaries` names its numbers.

    The first of the summaries, of which more is better, tells the best checkpoint.
    """

    @property
    def summaries(self) -> dict[str, float]: ...


class Task(Protocol):
    """What the training loop asks for.

    A task may have a function `targets` of inputs and targets, too, which gives what
    `losses` takes for the targets, on the device.
    """

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
    """Returns a model, not yet built, with the config's rules, L2 loss, batch norms'
    decay and where they are frozen, recomputing and seed.

    Decoupled weight decay is the optimizer's. Beside it there may be an L1 loss of the
    gammas.
    """
    batch_norm: dict[str, Any] = {}
    if config.batch_norm_decay is not None:
        batch_norm["decay"] = config.batch_norm_decay
    if config.trainable_scopes and not config.update_frozen_statistics:
        batch_norm["only_in"] = scopes_of(config.trainable_scopes)
    if config.freeze_bn_delay is not None:
        batch_norm["freeze_delay"] = config.freeze_bn_delay
    if config.gamma_l1:
        l1 = layers.l1_regularizer(config.gamma_l1)
        batch_norm["param_regularizers"] = {"gamma": l1}
    l2 = 0.0 if config.decouples_weight_decay else config.weight_decay
    with (
        arg_scope(
            [layers.conv1d, layers.conv2d, layers.fully_connected],
            weights_regularizer=layers.l2_regularizer(l2),
        ),
        arg_scope([stack_blocks], recompute=config.recompute),
        arg_scope([layers.batch_norm], **batch_norm),
    ):
        return Model(
            network,
            precision=config.precision,
            seed=config.seed,
            jit=config.jit,
            rules=config.layer_rules,
            **kwargs,
        )


class Classification:
    """Labels for images, or clouds: cross entropy, and accuracy."""

    def __init__(self) -> None:
        self._evaluator: tuple[Model, Evaluator] | None = None
        self._weights: np.ndarray | None = None
        self._teacher: Teacher | None = None

    def make_network(self, config: TrainingConfig) -> Model:
        dataset = config.dataset
        network: Any = config.model_name
        further = {}
        if config.auxiliary_loss_weight is not None:
            further[AUXILIARY] = _auxiliary
        if config.teacher_end_points:
            names = [ours for ours, _ in paired(config.teacher_end_points)]
            further[_ATTENTIONS] = functools.partial(attentions_of, names=names)
        if further:
            network = _with_further(factory.network_info(network), further)
        model = make_model(
            config, network, num_classes=dataset.num_classes, **config.network_options
        )
        model.build([None, *dataset.input_shape(config.image_size)])
        if config.gamma_l1 and not any(
            n.endswith("/gamma") for n in model.regularizers
        ):
            raise ValueError(
                f"gamma_l1={config.gamma_l1} is of no effect: {config.model_name} has "
                "no gammas of batch norms."
            )
        if config.teacher:
            self._teacher = Teacher(config)
        if config.class_weights:
            self._weights = class_weights(
                config.class_weights, dataset, config.train_split
            )
        check_loss(config.loss, dataset, config.train_split, "give loss=sigmoid")
        # What only the end would find.
        check_labels(dataset, dataset.test_split, config.max_bad_records)
        if config.evaluation_size != config.image_size:
            model.output_shape([None, *dataset.input_shape(config.evaluation_size)])
        return model

    def batches(self, config, first_step, input_context):
        batches = functools.partial(
            training_batches,
            config,
            batch_size=config.batch_size,
            seed=config.seed,
            input_context=input_context,
        )
        if config.data_service is None:
            return batches(first_step=first_step)
        return served(
            lambda step: batches(first_step=step, python=False),
            first_step,
            config.data_service,
        )

    def targets(self, inputs: Any, targets: Any) -> Any:
        """The labels, with what the teacher gives if there is one."""
        return (targets, *self._teacher(inputs)) if self._teacher else targets

    def losses(self, config, targets, outputs):
        targets, *taught = targets if self._teacher else (targets,)
        loss = self._loss(config, targets)
        if taught:
            loss = _taught(config, loss, taught[0])
        further = outputs if isinstance(outputs, dict) else {_LOGITS: outputs}
        logits = further[_LOGITS]
        losses = loss(logits)
        if AUXILIARY in further:
            losses += config.auxiliary_loss_weight * loss(further[AUXILIARY])
        if _ATTENTIONS in further:
            weight = config.teacher_end_points_weight
            weight = END_POINTS_WEIGHT if weight is None else weight
            apart = map(attention_loss, taught[1], further[_ATTENTIONS])
            losses += weight * tf.add_n(list(apart))
        return losses, {"train_accuracy": hits(targets, logits)}

    def _loss(self, config: TrainingConfig, targets: Any) -> Callable:
        """The loss of logits, each class with its weight."""
        options = {"label_smoothing": config.label_smoothing}
        if config.focal_gamma is not None:
            options["gamma"] = config.focal_gamma
        loss = functools.partial(LOSSES[config.loss], targets, **options)
        if self._weights is None:
            return loss
        by_class = shares_of_classes(targets, len(self._weights))
        weights = tf.linalg.matvec(by_class, self._weights)
        return lambda logits: weights * loss(logits)

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
        # The other norms are the same network to whoever does not train it.
        options = {"norm": config.norm} if config.norm == "group" else {}
        return {
            **({"network_options": options} if options else {}),
            "num_classes": dataset.num_classes,
            "labels_offset": 0,
            "image_size": config.evaluation_size,
            "input_channels": dataset.image_shape[-1],
            "preprocessing_name": config.preprocessing,
            "eval_crop_fraction": config.eval_crop_fraction,
            "dataset_name": dataset.name,
            "label_names": list(dataset.label_names),
            "dataset_fingerprint": dataset.fingerprint,
            "loss": config.loss,
        }


def _taught(config: TrainingConfig, loss: Callable, teacher: tf.Tensor) -> Callable:
    """The mean of a loss of logits and of how far they are from a teacher's."""
    weight = WEIGHT if config.teacher_weight is None else config.teacher_weight
    temperature = config.teacher_temperature or TEMPERATURE

    def both(logits: tf.Tensor) -> tf.Tensor:
        far = distillation_loss(teacher, logits, temperature)
        return (1.0 - weight) * loss(logits) + weight * far

    return both


def _with_further(info: factory.NetworkInfo, further: dict[str, Callable]) -> Callable:
    """A network, which in training gives by name its logits and what functions of its
    end points give."""
    network = info.network

    @functools.wraps(network)
    def both(*args: Any, is_training: bool | tf.Tensor = False, **kwargs: Any):
        if "is_training" in inspect.signature(network).parameters:
            kwargs["is_training"] = is_training
        logits, end_points = outputs_of(network(*args, **kwargs), info.name)
        if end_points is None:
            end_points = EndPoints(scope=info.name)
        found = {name: find(end_points) for name, find in further.items()}
        if building.static_bool(is_training) is False:
            return logits, end_points
        return {_LOGITS: logits, **found}, end_points

    return both


def _auxiliary(end_points: EndPoints) -> tf.Tensor:
    if AUXILIARY not in end_points:
        raise ValueError(
            "auxiliary_loss_weight is of no effect: the network "
            f"{end_points.scope} has no end point {AUXILIARY}."
        )
    return end_points[AUXILIARY]
