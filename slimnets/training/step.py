"""What one training step computes, and the sums that the log shows of it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from slimnets.layers import replay
from slimnets.model import Model
from slimnets.training.averages import Averages

Losses = Callable[[Any, Any], tuple[tf.Tensor, dict[str, tf.Tensor]]]
Sums = dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Training:
    """All that a step needs and changes.

    Attributes:
        strategy: where the model and the optimizer have their variables.
        model: what is trained.
        variables: those that the optimizer changes.
        optimizer: built of the variables.
        losses: a function of targets and outputs that gives the losses `[batch]` and
            more values by name, `[batch]` each.
        batch_size: images per step over all replicas and parts.
        parts: into how many parts a step is divided, one after the other.
        clip_norm: the largest norm of the gradients of all variables; None for any.
        averages: of the model's variables; None for none.
        seed: of what layers draw at random, together with the step.
    """

    strategy: tf.distribute.Strategy
    model: Model
    variables: Sequence[tf.Variable]
    optimizer: keras.optimizers.Optimizer
    losses: Losses
    batch_size: int
    parts: int = 1
    clip_norm: float | None = None
    averages: Averages | None = None
    seed: int = 0

    @property
    def loss_scale(self) -> tf.Tensor | None:
        """By what float16's gradients are too large."""
        scale = getattr(self.optimizer, "dynamic_scale", None)
        return None if scale is None else tf.convert_to_tensor(scale)


def make_step_function(training: Training) -> Callable[[Iterator, tf.Tensor], Sums]:
    """Returns `run(iterator, number)`, which takes a number of steps.

    It returns sums over the steps: of `loss`, regularization included, and of the
    means over a batch of what the losses' function names.
    """
    step = _accumulating(training) if training.parts > 1 else _whole(training)

    # A function of its own, so that the network is traced once for both calls below.
    @tf.function
    def averaged_step(iterator):
        sums = step(iterator)
        if training.averages is not None:
            updates = tf.convert_to_tensor(training.optimizer.iterations) - 1
            training.averages.update(updates)
        return sums

    @tf.function
    def run(iterator, number):
        totals = averaged_step(iterator)
        for _ in tf.range(number - 1):
            totals = _added(totals, averaged_step(iterator))
        return totals

    return run


def _whole(training: Training) -> Callable[[Iterator], Sums]:
    """A step of one part."""

    def replica_step(inputs: Any, targets: Any) -> Sums:
        gradients, sums = _gradients(training, inputs, targets, tf.constant(0))
        _apply(training, gradients)
        return sums

    def step(iterator: Iterator) -> Sums:
        results = training.strategy.run(replica_step, args=next(iterator))
        return _over_replicas(training, results)

    return step


def _accumulating(training: Training) -> Callable[[Iterator], Sums]:
    """A step of several parts, whose gradients are summed before they are applied."""
    strategy = training.strategy
    with strategy.scope():
        kept = [
            tf.Variable(
                tf.zeros(variable.shape, variable.dtype),
                trainable=False,
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.SUM,
            )
            for variable in training.variables
        ]

    def replica_part(inputs: Any, targets: Any, part: tf.Tensor) -> Sums:
        gradients, sums = _gradients(training, inputs, targets, part)
        for total, gradient in zip(kept, gradients, strict=True):
            if gradient is not None:
                total.assign_add(gradient)
        return sums

    def replica_apply() -> None:
        _apply(training, [total.read_value() for total in kept])
        for total in kept:
            total.assign(tf.zeros_like(total))

    def part_sums(iterator: Iterator, part: tf.Tensor) -> Sums:
        args = (*next(iterator), part)
        return _over_replicas(training, strategy.run(replica_part, args=args))

    def step(iterator: Iterator) -> Sums:
        totals = part_sums(iterator, tf.constant(0))
        for part in tf.range(1, training.parts):
            totals = _added(totals, part_sums(iterator, part))
        strategy.run(replica_apply)
        return totals

    return step


def _gradients(
    training: Training, inputs: Any, targets: Any, part: tf.Tensor
) -> tuple[list[tf.Tensor | None], Sums]:
    """The gradients of one replica's images, times the loss scale, and their sums."""
    replicas = training.strategy.num_replicas_in_sync
    with tf.GradientTape() as tape:
        with replay.noise_from(_noise_seed(training, part)):
            outputs = training.model(inputs, training=True)
        losses, shown = training.losses(targets, outputs)
        # The gradients of replicas and parts are summed, so each gives its share.
        loss = tf.reduce_sum(losses) / training.batch_size
        loss += training.model.regularization_loss() / (replicas * training.parts)
        scale = training.loss_scale
        scaled = loss if scale is None else loss * scale
    gradients = tape.gradient(scaled, list(training.variables))
    means = {
        name: tf.reduce_sum(value) / training.batch_size
        for name, value in shown.items()
    }
    return gradients, {"loss": loss, **means}


def _noise_seed(training: Training, part: tf.Tensor) -> tf.Tensor:
    """A seed that no other step, part or replica has."""
    context = tf.distribute.get_replica_context()
    seed = tf.constant([training.seed, 0], tf.int32)
    for number in (
        training.optimizer.iterations,
        part,
        context.replica_id_in_sync_group,
    ):
        number = tf.cast(tf.convert_to_tensor(number), tf.int32)
        seed = tf.random.experimental.stateless_fold_in(seed, number)
    return seed


def _apply(training: Training, gradients: Sequence[tf.Tensor | None]) -> None:
    """Gives one replica's gradients to the optimizer, which sums them over all."""
    pairs = [
        (gradient, variable)
        for gradient, variable in zip(gradients, training.variables, strict=True)
        if gradient is not None
    ]
    gradients, variables = [list(column) for column in zip(*pairs, strict=True)]
    scale = training.loss_scale
    replicas = training.strategy.num_replicas_in_sync
    shared = replicas > 1 and (training.clip_norm or scale is not None)
    if shared:
        # The norm, and whether all is finite, is of the sum.
        context = tf.distribute.get_replica_context()
        gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
    if training.clip_norm:
        norm = training.clip_norm * (1.0 if scale is None else scale)
        gradients, _ = tf.clip_by_global_norm(gradients, norm)
    if shared:
        gradients = [gradient / replicas for gradient in gradients]
    training.optimizer.apply(gradients, variables)


def _over_replicas(training: Training, results: Mapping[str, Any]) -> Sums:
    total = tf.distribute.ReduceOp.SUM
    return {
        name: training.strategy.reduce(total, value, axis=None)
        for name, value in results.items()
    }


def _added(first: Sums, second: Sums) -> Sums:
    return {name: value + second[name] for name, value in first.items()}


class Totals:
    """Sums over the steps since the last line of the log."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._steps = 0
        self._sums: dict[str, float] = {}

    def add(self, steps: int, sums: Mapping[str, tf.Tensor]) -> None:
        self._steps += steps
        for name, value in sums.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value)

    def means(self, batch_size: int) -> dict[str, float]:
        images = self._steps * batch_size
        means = {name: value / self._steps for name, value in self._sums.items()}
        rate = images / (time.monotonic() - self._started)
        return {**means, "images_per_second": rate}
