"""tf.data pipelines over images in memory.

What a training step sees is a pure function of the seed and the step's number, so a
run that goes on from a checkpoint sees what it would have seen uninterrupted.
"""

import tensorflow as tf

from slimnets.data.datasets import Dataset
from slimnets.data.preprocessing import Preprocessing, get_preprocessing


def training_batches(
    dataset: Dataset,
    *,
    batch_size: int,
    image_size: int,
    seed: int,
    first_step: int = 0,
    split: str = "train",
    preprocessing: str | None = None,
) -> tf.data.Dataset:
    """Batches without end, each epoch in a new order, every image once per epoch.

    Args:
        dataset: what to read.
        batch_size: images per step; a batch may reach from one epoch into the next.
        image_size: height and width of the network's input, or its number of points.
        seed: order and augmentation follow from it and the step alone.
        first_step: where to begin; 0 is the first batch of the first epoch.
        split: the split to read.
        preprocessing: a name from `preprocessing_names()`; None for the dataset's own.

    Returns:
        Pairs of images float32 `[batch_size, image_size, image_size, channels]` (of
        clouds: `[batch_size, image_size, dims]`) and labels int64 `[batch_size]`.

    Raises:
        ValueError: for an unknown split or preprocessing, or a batch larger than the
            split.
    """
    images, labels = dataset.load(split)
    number = len(images)
    if not 1 <= batch_size <= number:
        raise ValueError(
            f"batch_size={batch_size} does not fit the split {split!r} of "
            f"{dataset.name!r}: it must be from 1 to {number}."
        )
    recipe = _recipe_for(dataset, preprocessing)
    images, labels = tf.constant(images), tf.constant(labels, tf.int64)

    def epoch_order(epoch: tf.Tensor) -> tf.Tensor:
        return tf.random.experimental.stateless_shuffle(
            tf.range(number), seed=tf.stack([tf.cast(seed, tf.int64), epoch])
        )

    def batch_of_step(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        epoch, start = step * batch_size // number, step * batch_size % number
        order = tf.concat([epoch_order(epoch), epoch_order(epoch + 1)], axis=0)
        chosen = order[start : start + batch_size]
        batch = recipe.prepare(
            tf.gather(images, chosen), image_size, dataset.value_range
        )
        # Negative, so that no step shares its random numbers with an epoch's order.
        batch = recipe.augment(batch, tf.stack([tf.cast(seed, tf.int64), -1 - step]))
        chosen = tf.ensure_shape(chosen, [batch_size])
        return tf.ensure_shape(batch, [batch_size, *batch.shape[1:]]), tf.gather(
            labels, chosen
        )

    steps = tf.data.Dataset.range(first_step, tf.int64.max)
    batches = steps.map(batch_of_step, num_parallel_calls=1, deterministic=True)
    return _unsharded(batches.prefetch(tf.data.AUTOTUNE))


def evaluation_batches(
    dataset: Dataset,
    *,
    split: str,
    batch_size: int,
    image_size: int,
    preprocessing: str | None = None,
) -> tf.data.Dataset:
    """Every image of the split once, in its stored order; the last batch may be short.

    Returns pairs of images float32 `[batch, image_size, image_size, channels]` and
    labels int64 `[batch]`. Raises ValueError for an unknown split or preprocessing, or
    a batch_size below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be at least 1.")
    recipe = _recipe_for(dataset, preprocessing)

    def prepare(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = recipe.prepare(images, image_size, dataset.value_range)
        return images, tf.cast(labels, tf.int64)

    pairs = tf.data.Dataset.from_tensor_slices(dataset.load(split))
    return _unsharded(pairs.batch(batch_size).map(prepare).prefetch(1))


def _recipe_for(dataset: Dataset, name: str | None) -> Preprocessing:
    name = name or dataset.default_preprocessing
    recipe = get_preprocessing(name)
    if recipe.rank != len(dataset.image_shape):
        raise ValueError(
            f"Preprocessing {name!r} does not fit {dataset.name!r}, whose examples are "
            f"of shape {dataset.image_shape}; {dataset.default_preprocessing!r} does."
        )
    return recipe


def _unsharded(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Keeps tf.distribute from trying to shard by files, of which there are none."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.OFF
    )
    return batches.with_options(options)
