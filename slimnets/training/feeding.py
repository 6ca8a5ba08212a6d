"""How a step's batch is divided among processes, replicas and parts of a step."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import tensorflow as tf


def check_divides(batch_size: int, replicas: int, parts: int) -> None:
    """Raises ValueError unless all replicas and parts get as many images."""
    if batch_size % (replicas * parts):
        raise ValueError(
            f"batch_size={batch_size} cannot be divided among {replicas} replicas with "
            f"accumulation_steps={parts}: it must be a multiple of {replicas * parts}."
        )


def distribute(
    strategy: tf.distribute.Strategy,
    read: Callable[[tf.distribute.InputContext], tf.data.Dataset],
    *,
    batch_size: int,
    parts: int,
) -> Iterable:
    """Divides the batches of all images of a step for `strategy.run`.

    Args:
        strategy: where the parts go.
        read: gives, for each process, its share of every batch: any structure of
            tensors `[batch_size / processes, ...]`.
        batch_size: images of a step.
        parts: in how many elements for each replica a step's share comes.

    Returns:
        What gives, for each replica, `[batch_size / replicas / parts, ...]`.
    """

    def feed(context: tf.distribute.InputContext) -> tf.data.Dataset:
        processes = context.num_input_pipelines
        pieces = context.num_replicas_in_sync // processes * parts
        batches = read(context)
        if pieces == 1:
            return batches
        size = batch_size // processes // pieces
        divided = batches.map(
            lambda *batch: tf.nest.map_structure(
                lambda tensor: _divided(tensor, pieces, size), batch
            )
        )
        return divided.unbatch().prefetch(pieces)

    return strategy.distribute_datasets_from_function(feed)


def own_share(
    batches: tf.data.Dataset, context: tf.distribute.InputContext, batch_size: int
) -> tf.data.Dataset:
    """One process's share of batches that every process reads as a whole."""
    processes = context.num_input_pipelines
    if processes == 1:
        return batches

    def share(tensor: tf.Tensor) -> tf.Tensor:
        divided = _divided(tensor, processes, batch_size // processes)
        return divided[context.input_pipeline_id]

    return batches.map(lambda *batch: tf.nest.map_structure(share, batch))


def _divided(tensor: tf.Tensor, pieces: int, size: int) -> tf.Tensor:
    """`[pieces * size, ...]` as `[pieces, size, ...]`."""
    rest = tensor.shape[1:]
    divided = tf.reshape(
        tensor, tf.concat([[pieces, size], tf.shape(tensor)[1:]], axis=0)
    )
    return tf.ensure_shape(divided, [pieces, size, *rest])
