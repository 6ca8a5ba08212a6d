"""In which order training sees examples: a function of the seed and the epoch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

# Tells what an epoch draws for its classes from what it draws for its examples.
_OF_CLASSES = 1

Order = Callable[[int | tf.Tensor], tf.Tensor]


def shuffled(number: int, seed: int) -> Order:
    """A function of the epoch that gives all indices `[number]` in a new order."""

    def order(epoch: int | tf.Tensor) -> tf.Tensor:
        return tf.random.experimental.stateless_shuffle(
            tf.range(number), seed=_epoch_seed(seed, epoch)
        )

    return order


def balanced(labels: np.ndarray, seed: int) -> Order:
    """The same, with every class as often: indices `[number]`, some of them repeated.

    In each epoch the numbers of examples of two classes, and how often two examples of
    a class come, differ by one at most. Examples without a label, -1, do not come.

    Raises:
        ValueError: if there are no labels.
    """
    number = len(labels)
    classes = np.unique(labels[labels >= 0])
    if not len(classes):
        raise ValueError("balanced_sampling: no example has a label.")
    counts = tf.constant([np.sum(labels == c) for c in classes], tf.int32)
    known = np.searchsorted(classes, labels)
    # Those without a label are behind all classes, and out of reach.
    by_index = tf.constant(np.where(labels >= 0, known, len(classes)), tf.int32)
    starts = tf.cumsum(counts, exclusive=True)
    plain = shuffled(number, seed)

    def order(epoch: int | tf.Tensor) -> tf.Tensor:
        examples = plain(epoch)
        grouped = tf.argsort(tf.gather(by_index, examples), stable=True)
        examples = tf.gather(examples, grouped)
        of_classes = tf.random.experimental.stateless_fold_in(
            _epoch_seed(seed, epoch), _OF_CLASSES
        )
        slots = tf.random.experimental.stateless_shuffle(tf.range(number), of_classes)
        kind, turn = slots % len(classes), slots // len(classes)
        place = tf.gather(starts, kind) + turn % tf.gather(counts, kind)
        return tf.gather(examples, place)

    return order


def steps_of(
    order: Order, number: int, size: int, first_step: int | tf.Tensor = 0
) -> tf.data.Dataset:
    """The indices `[size]` of each step, from `first_step` on, epoch after epoch."""
    first = tf.cast(first_step, tf.int64) * size
    first_epoch, start = first // number, first % number

    def epoch_order(epoch: tf.Tensor) -> tf.data.Dataset:
        begun = tf.where(epoch == first_epoch, start, 0)
        return tf.data.Dataset.from_tensor_slices(order(epoch)[begun:])

    epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
    return epochs.flat_map(epoch_order).batch(size, drop_remainder=True)


def _epoch_seed(seed: int, epoch: int | tf.Tensor) -> tf.Tensor:
    return tf.stack([tf.cast(seed, tf.int64), epoch])
