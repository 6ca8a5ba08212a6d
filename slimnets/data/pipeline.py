"""tf.data pipelines over a dataset's examples.

What a training step sees is a pure function of the seed and the step's number, so a
run that goes on from a checkpoint sees what it would have seen uninterrupted, and
several workers see together what one would have seen.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from slimnets.data.augmentation import Augmentation
from slimnets.data.bad_records import BadRecords
from slimnets.data.corruptions import Corruption
from slimnets.data.datasets import Dataset
from slimnets.data.decoding import decoded_evaluation, decoded_training
from slimnets.data.input_config import FALLBACK, AugmentationOptions, InputConfig
from slimnets.data.label_check import label_counts, labels_in
from slimnets.data.mixing import Mix, mix_pairs
from slimnets.data.orders import Order, balanced, shuffled, steps_of
from slimnets.data.pixel_limit import Decoding
from slimnets.data.preprocessing import Preprocessing, get_preprocessing
from slimnets.data.sources import Arrays, Encoded


def training_batches(
    data: Dataset | InputConfig,
    *,
    batch_size: int,
    seed: int,
    image_size: int | None = None,
    first_step: int | tf.Tensor = 0,
    split: str | None = None,
    preprocessing: str | None = None,
    options: AugmentationOptions | None = None,
    input_context: tf.distribute.InputContext | None = None,
    bad_records: BadRecords | None = None,
    python: bool = True,
) -> tf.data.Dataset:
    """Batches without end, each epoch in a new order, every image once per epoch.

    Args:
        data: what to read; a config says the following too, where they are None.
        batch_size: images per step, over all workers; a batch may reach from one epoch
            into the next.
        seed: order and augmentation follow from it and the step alone.
        image_size: height and width of the network's input, or its number of points.
        first_step: where to begin; 0 is the first batch of the first epoch.
        split: the split to read; None for the dataset's own choice.
        preprocessing: a name from `preprocessing_names()`; None for the dataset's own.
        options: what the preprocessing does beside its own.
        input_context: which of several workers this is; it gets its share of each
            batch. None for all of it.
        bad_records: counts examples that cannot be used; by default none may be.
        python: whether Python may read records, and name an example that cannot be
            used; without it another process can run the pipeline.

    Returns:
        Pairs of images float32 `[batch_size, image_size, image_size, channels]` (of
        clouds: `[batch_size, image_size, dims]`) and labels int64 `[batch_size]`; or
        float32 `[batch_size, classes]` where mixup, cutmix or several labels of an
        example make them so.

    Raises:
        ValueError: for an unknown split or preprocessing, an option that does not fit,
            or a batch that is larger than the split, or not to be shared or repeated.
    """
    reading = _reading(data, image_size, split, preprocessing, bad_records, train=True)
    options = options or (data if isinstance(data, InputConfig) else None)
    options = options or AugmentationOptions()
    options.check_options()
    reading.recipe.check_training(options)
    augmentation = Augmentation(reading.recipe, options, reading.image_size)
    share = _Share.of(batch_size, augmentation, input_context)
    number = reading.source.number
    distinct = batch_size // augmentation.repeats
    if not 1 <= batch_size <= number * augmentation.repeats:
        raise ValueError(
            f"batch_size={batch_size} does not fit the split {reading.split!r} of "
            f"{reading.dataset.name!r}: it must be from 1 to {number}."
        )
    order = _order(data, reading, seed)
    orders = steps_of(order, number, distinct, first_step)
    steps = tf.data.Dataset.range(first_step, tf.int64.max)

    def examples(chosen: tf.Tensor, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # A repeated image's copies lie apart, so that no pair is of one image.
        chosen = tf.tile(chosen, [augmentation.repeats])
        draws = tf.random.stateless_uniform(
            [batch_size, augmentation.draws], step_seed(seed, step)
        )
        # The share may begin at a tensor; its size is known.
        own = share.start + tf.range(share.size)
        return tf.gather(chosen, own), tf.gather(draws, own)

    def locate(element: int) -> int:
        """The index of the example that comes as that one, from `first_step` on."""
        step, slot = divmod(element, share.size)
        position = (first_step + step) * distinct + (share.start + slot) % distinct
        epoch, place = divmod(position, number)
        return int(order(epoch)[place])

    chosen = tf.data.Dataset.zip(orders, steps).map(examples)
    if isinstance(reading.source, Arrays):
        batches = _stored(reading, reading.source, augmentation, chosen)
    else:
        batches = decoded_training(
            reading.source, augmentation, chosen, share.size, reading.decoding,
            reading.bad_records if python else None, locate,
        )  # fmt: skip
    if augmentation.mixes:
        mixes = steps.map(
            lambda step: augmentation.draw_mix(
                (batch_size + 1) // 2, step_seed(seed, step)
            )
        )
        classes = reading.dataset.num_classes

        def mixed(batch, mix):
            images, labels = batch
            if labels.shape.rank == 1:
                labels = tf.one_hot(labels, classes)
            first, pairs = share.start // 2, (share.size + 1) // 2
            parts = (tf.gather(part, first + tf.range(pairs)) for part in mix)
            return mix_pairs(images, labels, Mix(*parts))

        batches = tf.data.Dataset.zip(batches, mixes).map(mixed)
    return unsharded(batches.prefetch(tf.data.AUTOTUNE))


def evaluation_batches(
    data: Dataset | InputConfig,
    *,
    batch_size: int,
    split: str | None = None,
    image_size: int | None = None,
    preprocessing: str | None = None,
    crop_fraction: float | None = None,
    input_context: tf.distribute.InputContext | None = None,
    bad_records: BadRecords | None = None,
    corruption: Corruption | None = None,
    indices: range | None = None,
) -> tf.data.Dataset:
    """Every image of the split once, in its stored order; the last batch may be short,
    and any that has had examples that cannot be used.

    Args:
        data: what to read; a config says the following too, where they are None.
        batch_size: images at a time.
        split: the split to read; None for the dataset's own choice.
        image_size: height and width of the network's input, or its number of points.
        preprocessing: a name from `preprocessing_names()`; None for the dataset's own.
        crop_fraction: the share of the sides that is seen; None for the
            preprocessing's.
        input_context: which of several workers this is; it gets every so-many-th
            image. None for all.
        bad_records: counts examples that cannot be used, which are left out; by default
            none may be.
        corruption: what happens to images; None for nothing.
        indices: of the images; None for all.

    Returns:
        Pairs of images float32 `[batch, image_size, image_size, channels]` and labels
        int64 `[batch]`, or float32 `[batch, classes]` of examples with several labels.

    Raises:
        ValueError: for an unknown split or preprocessing, or a batch_size below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be at least 1.")
    reading = _reading(data, image_size, split, preprocessing, bad_records, train=False)
    if crop_fraction is None and isinstance(data, InputConfig):
        crop_fraction = data.eval_crop_fraction
    recipe = reading.recipe.with_crop_fraction(crop_fraction).corrupted(corruption)
    read = range(reading.source.number) if indices is None else indices
    if context := input_context:
        read = read[context.input_pipeline_id :: context.num_input_pipelines]
    chosen = tf.data.Dataset.range(read.start, read.stop, read.step)
    if not isinstance(reading.source, Arrays):
        batches = decoded_evaluation(
            reading.source, recipe, chosen, batch_size, reading.image_size,
            reading.decoding, reading.bad_records,
        )  # fmt: skip
        return unsharded(batches.prefetch(tf.data.AUTOTUNE))
    images, labels = _constants(reading.source)

    def prepare(chosen: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        batch, value_range = tf.gather(images, chosen), reading.dataset.value_range
        prepared = recipe.prepare(batch, reading.image_size, value_range)
        return prepared, tf.gather(labels, chosen)

    return unsharded(chosen.batch(batch_size).map(prepare).prefetch(1))


@dataclasses.dataclass(frozen=True)
class _Reading:
    """What both kinds of batches need to know."""

    dataset: Dataset
    source: Arrays | Encoded
    split: str
    recipe: Preprocessing
    image_size: int
    bad_records: BadRecords

    @property
    def decoding(self) -> Decoding:
        dataset = self.dataset
        return Decoding(dataset.image_shape[-1], dataset.exif_orientation)


def _reading(data, image_size, split, preprocessing, bad_records, train) -> _Reading:
    config = data if isinstance(data, InputConfig) else None
    dataset = config.dataset if config else data
    if config:
        preprocessing = preprocessing or config.preprocessing
        own_size = config.image_size if train else None
        image_size = image_size or own_size or config.evaluation_size
        split = split or (config.train_split if train else None)
    if image_size is None:
        raise ValueError("image_size is missing; only a config has one of its own.")
    split = split or (dataset.train_split if train else dataset.test_split)
    name = preprocessing or dataset.default_preprocessing or FALLBACK
    limit = config.max_bad_records if config else 0
    with tf.init_scope():  # It is kept, for use outside of a graph too.
        source = dataset.source(split)
    return _Reading(
        dataset,
        source,
        split,
        get_preprocessing(name).for_dataset(dataset),
        image_size,
        bad_records or BadRecords(limit),
    )


@dataclasses.dataclass(frozen=True)
class _Share:
    """The part of a batch that one worker gets: where it begins, and its size."""

    start: int
    size: int

    @classmethod
    def of(cls, batch_size, augmentation, context) -> _Share:
        if batch_size % augmentation.repeats:
            raise ValueError(
                f"batch_size={batch_size} is no multiple of "
                f"repeated_augmentation={augmentation.repeats}."
            )
        workers = context.num_input_pipelines if context else 1
        size = batch_size // workers
        if batch_size % workers:
            raise ValueError(
                f"batch_size={batch_size} is no multiple of the {workers} workers."
            )
        if workers > 1 and augmentation.mixes and size % 2:
            raise ValueError(
                f"batch_size={batch_size} gives each of {workers} workers {size} "
                "images; mixup and cutmix need an even number."
            )
        return cls(context.input_pipeline_id * size if context else 0, size)


def _order(data: Dataset | InputConfig, reading: _Reading, seed: int) -> Order:
    if not getattr(data, "balanced_sampling", False):
        return shuffled(reading.source.number, seed)
    label_counts(reading.dataset, reading.split)  # Raises for several labels.
    return balanced(labels_in(reading.source), seed)


def step_seed(seed: int, step: tf.Tensor) -> tf.Tensor:
    # Negative, so that no step shares its random numbers with an epoch's order.
    return tf.stack([tf.cast(seed, tf.int64), -1 - step])


def _constants(source: Arrays) -> tuple[tf.Tensor, tf.Tensor]:
    kind = np.float32 if source.multi_label else np.int64
    # TensorFlow takes neither every type of label nor the other order of bytes.
    images = source.images.astype(source.images.dtype.newbyteorder("="))
    return tf.constant(images), tf.constant(source.labels.astype(kind))


def _stored(
    reading: _Reading,
    source: Arrays,
    augmentation: Augmentation,
    chosen: tf.data.Dataset,
) -> tf.data.Dataset:
    images, labels = _constants(source)

    def prepare(indices: tf.Tensor, draws: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        batch = augmentation.stored(
            tf.gather(images, indices), draws, reading.dataset.value_range
        )
        shape = reading.dataset.input_shape(reading.image_size)
        batch = tf.ensure_shape(batch, [indices.shape[0], *shape])
        return batch, tf.gather(labels, indices)

    return chosen.map(prepare, num_parallel_calls=1, deterministic=True)


def unsharded(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Keeps tf.distribute from trying to shard by files, of which there are none."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.OFF
    )
    return batches.with_options(options)
