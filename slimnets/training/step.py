"""What one training step computes, and the sums that the log shows of it."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import tensorflow as tf

from slimnets.model import Model

Losses = Callable[[Any, Any], tuple[tf.Tensor, dict[str, tf.Tensor]]]


def make_step_function(
    strategy: tf.distribute.Strategy,
    model: Model,
    optimizer: keras.optimizers.Optimizer,
    losses_fn: Losses,
    *,
    batch_size: int,
) -> Callable[[Iterator, tf.Tensor], dict[str, tf.Tensor]]:
    """Returns `run(iterator, number)`, which takes a number of steps.

    It returns sums over the steps: of `loss`, regularization included, and of the
    means over a batch of what losses_fn names.

    Args:
        strategy: where the model and the optimizer have their variables.
        model: what is trained.
        optimizer: of the model's trainable variables.
        losses_fn: a function of targets and outputs that gives the losses `[batch]`
            and more values by name, `[batch]` each.
        batch_size: images per step over all replicas.
    """
    variables = model.trainable_variables
    replicas = strategy.num_replicas_in_sync

    def replica_step(inputs: Any, targets: Any) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            outputs = model(inputs, training=True)
            losses, shown = losses_fn(targets, outputs)
            # The gradients of replicas are summed, so each gives its share.
            loss = tf.reduce_sum(losses) / batch_size
            loss += model.regularization_loss() / replicas
        optimizer.apply(tape.gradient(loss, variables), variables)
        means = {k: tf.reduce_sum(value) / batch_size for k, value in shown.items()}
        return {"loss": loss, **means}

    def step(iterator: Iterator) -> dict[str, tf.Tensor]:
        results = strategy.run(replica_step, args=next(iterator))
        return {
            name: strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None)
            for name, value in results.items()
        }

    @tf.function
    def run(iterator, number):
        totals = step(iterator)
        for _ in tf.range(number - 1):
            values = step(iterator)
            totals = {name: total + values[name] for name, total in totals.items()}
        return totals

    return run


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
