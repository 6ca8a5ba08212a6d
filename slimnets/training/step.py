"""What one training step computes, and the sums that the log shows of it."""

import time
from collections.abc import Callable, Iterator

import keras
import tensorflow as tf

from slimnets.model import Model
from slimnets.training.losses import softmax_cross_entropy


def make_step_function(
    strategy: tf.distribute.Strategy,
    model: Model,
    optimizer: keras.optimizers.Optimizer,
    *,
    batch_size: int,
    label_smoothing: float,
) -> Callable[[Iterator, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """Returns `run(iterator, number)`, which takes a number of steps.

    It returns the sum of their losses, regularization included, and the number of
    images that were classified correctly.

    Args:
        strategy: where the model and the optimizer have their variables.
        model: its logits are `[batch, classes]`.
        optimizer: of the model's trainable variables.
        batch_size: images per step over all replicas.
        label_smoothing: see `softmax_cross_entropy`.
    """
    variables = model.trainable_variables
    replicas = strategy.num_replicas_in_sync

    def replica_step(images: tf.Tensor, labels: tf.Tensor):
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            losses = softmax_cross_entropy(labels, logits, label_smoothing)
            # The gradients of replicas are summed, so each gives its share.
            loss = tf.reduce_sum(losses) / batch_size
            loss += model.regularization_loss() / replicas
        optimizer.apply(tape.gradient(loss, variables), variables)
        hits = tf.equal(tf.argmax(logits, axis=-1), labels)
        return loss, tf.math.count_nonzero(hits)

    @tf.function
    def run(iterator, number):
        loss, correct = tf.constant(0.0), tf.constant(0, tf.int64)
        for _ in tf.range(number):
            results = strategy.run(replica_step, args=next(iterator))
            step_loss, step_correct = (
                strategy.reduce(tf.distribute.ReduceOp.SUM, result, axis=None)
                for result in results
            )
            loss, correct = loss + step_loss, correct + step_correct
        return loss, correct

    return run


class Totals:
    """Sums over the steps since the last line of the log."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._steps = self._correct = 0
        self._loss = 0.0

    def add(self, steps: int, loss: float, correct: int) -> None:
        self._steps += steps
        self._loss += loss
        self._correct += correct

    def means(self, batch_size: int) -> dict[str, float]:
        images = self._steps * batch_size
        return {
            "loss": self._loss / self._steps,
            "train_accuracy": self._correct / images,
            "images_per_second": images / (time.monotonic() - self._started),
        }
