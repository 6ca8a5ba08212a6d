"""tf.data pipelines from encoded images, and what happens to those that are none.

Nothing of Python runs for an example that can be used, but for reading records by
their index. One that cannot be parsed or decoded, or whose label is out of range, is
looked at again in Python, which names and counts it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from slimnets.data import geometry
from slimnets.data.augmentation import Augmentation
from slimnets.data.bad_records import UNUSABLE, BadRecords, reason
from slimnets.data.pixel_limit import Decoding
from slimnets.data.preprocessing import Preprocessing
from slimnets.data.sources import Encoded, Files

# Records that are read in one call, and how many such calls run at a time.
_CHUNK, _CALLS = 16, 4
# Such as for boxes that are none.
_NOT_PREPARED = "it cannot be prepared"


def decoded_training(
    source: Encoded,
    augmentation: Augmentation,
    chosen: tf.data.Dataset,
    batch_size: int,
    decode: Decoding,
    bad_records: BadRecords | None,
    locate: Callable[[int], int],
) -> tf.data.Dataset:
    """Batches of augmented images and labels.

    Args:
        source: what to read.
        augmentation: what is done to images.
        chosen: pairs of indices `[batch_size]` and draws `[batch_size, draws]`.
        batch_size: of these.
        decode: makes pixels of encoded images.
        bad_records: counts the examples that others stand in for; None for a pipeline
            without Python, which ends at the first of them.
        locate: tells the index of an example by its place in `chosen`.

    Raises:
        TooManyBadRecords: if none may be bad, and the first one is.
    """

    def prepare(index, data, draws):
        image, label, boxes = _checked(source, index, data)
        return augmentation.encoded(image, boxes, draws, decode), label

    if bad_records is None:

        def read_and_prepare(index, draws):
            return prepare(index, source.read_in_graph(index), draws)

        made = chosen.unbatch().map(
            read_and_prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )
        return made.batch(batch_size, drop_remainder=True)

    # Traced once for both of its uses.
    traced = tf.function(prepare)

    def prepare_other(index, data, draws):
        def usable(index, draws):
            # Operation by operation: a tf.function that is called from here might wait
            # for threads that wait for this one.
            def look(image, boxes):
                if augmentation.window is not None:
                    size = image.shape[:2]
                    augmentation.window(*size, boxes, draws[: geometry.WINDOW_DRAWS])

            return _usable(source, int(index), decode, bad_records, look)

        index, data = tf.numpy_function(usable, [index, draws], (tf.int64, tf.string))
        return traced(tf.ensure_shape(index, []), tf.ensure_shape(data, []), draws)

    examples = _read(source, chosen.unbatch())
    if bad_records.limit:
        made = _first_made(examples, traced, prepare_other)
    else:
        made = _all_good(source, examples, prepare, decode, bad_records, locate)
    return made.batch(batch_size, drop_remainder=True)


def _first_made(
    examples: tf.data.Dataset, prepare: Callable, otherwise: Callable
) -> tf.data.Dataset:
    """What `prepare` makes of each example or, if it fails, what `otherwise` does."""

    def made(*example):
        one = tf.data.Dataset.from_tensors(example)
        both = one.map(prepare).ignore_errors().concatenate(one.map(otherwise))
        return both.take(1).get_single_element()

    return examples.map(made, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _all_good(
    source: Encoded,
    examples: tf.data.Dataset,
    prepare: Callable,
    decode: Decoding,
    bad_records: BadRecords,
    locate: Callable[[int], int],
) -> tf.data.Dataset:
    """What `prepare` makes of each example; one that it fails for ends all.

    That costs a third less than to have a substitute at hand for each example.
    """

    def explain(place: int) -> np.int64:
        index = locate(int(place))
        problem = _problem(source, index, decode) or _NOT_PREPARED
        bad_records.add(source.name(index), problem)
        return np.int64(place)

    def check(expected, element):
        place, image, label = element
        known = tf.cond(
            place == expected,
            lambda: place,
            lambda: tf.ensure_shape(
                tf.numpy_function(explain, [expected], tf.int64), []
            ),
        )
        with tf.control_dependencies([known]):
            return place + 1, (tf.identity(image), tf.identity(label))

    # Were all examples bad, the search for a good one would not end.
    first = locate(0)
    if problem := _problem(source, first, decode):
        bad_records.add(source.name(first), problem)
    made = examples.enumerate().map(
        lambda place, example: (place, *prepare(*example)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    return made.ignore_errors().scan(tf.constant(0, tf.int64), check)


def decoded_evaluation(
    source: Encoded,
    recipe: Preprocessing,
    indices: tf.data.Dataset,
    batch_size: int,
    image_size: int,
    decode: Decoding,
    bad_records: BadRecords,
) -> tf.data.Dataset:
    """Batches of images as evaluation sees them, and labels.

    The last may be short, and those with examples that cannot be used: which are in a
    batch does not depend on what comes before it.
    """

    def prepare(index, data):
        image, label, _ = _checked(source, index, data)
        pixels = decode(image)[tf.newaxis]
        return recipe.prepare(pixels, image_size)[0], label, True

    def count(index):
        problem = _problem(source, int(index), decode)
        bad_records.add(source.name(int(index)), problem or _NOT_PREPARED)
        return np.int64(0)

    def left_out(index, data):
        image = tf.zeros([image_size, image_size, decode.channels])
        shape = [source.num_classes] if source.multi_label else []
        label = tf.zeros(shape, tf.float32 if source.multi_label else tf.int64)
        with tf.control_dependencies([tf.numpy_function(count, [index], tf.int64)]):
            return tf.identity(image), tf.identity(label), False

    examples = _read(source, indices.map(lambda index: (index,)))
    made = _first_made(examples, prepare, left_out)

    def good(images, labels, usable):
        return tf.cond(
            tf.reduce_all(usable),
            lambda: (images, labels),
            lambda: (tf.boolean_mask(images, usable), tf.boolean_mask(labels, usable)),
        )

    batches = made.batch(batch_size).map(good)
    return batches.filter(lambda images, labels: tf.size(images) > 0)


def _read(source: Encoded, examples: tf.data.Dataset) -> tf.data.Dataset:
    """Adds what `source.read` gives behind each example's index."""
    if isinstance(source, Files):
        return examples.map(lambda index, *rest: (index, tf.constant(b""), *rest))

    def read_all(indices: np.ndarray) -> np.ndarray:
        return np.array([_data(source, index) for index in indices], object)

    def read(indices, *rest):
        data = tf.numpy_function(read_all, [indices], tf.string)
        return (indices, tf.ensure_shape(data, indices.shape), *rest)

    chunks = examples.batch(_CHUNK)
    return chunks.map(read, num_parallel_calls=_CALLS, deterministic=True).unbatch()


def _data(source: Encoded, index: int) -> bytes:
    """What is read of an example; nothing, which is no example, if that fails."""
    try:
        return source.read(index)
    except OSError:
        return b""


def _checked(source: Encoded, index, data) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Parses an example; fails for a label out of range."""
    image, label, boxes = source.parse(tf.cast(index, tf.int64), data)
    if source.multi_label:
        return image, label, boxes
    fits = (label >= 0) & (label < source.num_classes)
    with tf.control_dependencies([tf.debugging.Assert(fits, ["label", label])]):
        return image, tf.identity(label), boxes


def _problem(
    source: Encoded,
    index: int,
    decode: Decoding,
    look: Callable = lambda image, boxes: None,
) -> str | None:
    """Why an example cannot be used, also by `look`; None if it can."""
    try:
        image, label, boxes = parsed(source, index)
        if not source.multi_label and not 0 <= int(label) < source.num_classes:
            return out_of_range(source, int(label))
        look(decode(image), boxes)
    except UNUSABLE as error:
        return reason(error)
    return None


def parsed(source: Encoded, index: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Reads an example outside of a pipeline: its encoded image, label and boxes.

    Raises:
        OSError, ValueError, tf.errors.OpError: if it cannot be read.
    """
    return source.parse(tf.constant(index, tf.int64), tf.constant(source.read(index)))


def out_of_range(source: Encoded, label: int) -> str:
    """What is wrong with a label that is no class."""
    return (
        f"its label {label} is out of range; there are {source.num_classes} classes, "
        f"from 0 on{source.counted_from}"
    )


def _usable(
    source: Encoded,
    index: int,
    decode: Decoding,
    bad_records: BadRecords,
    look: Callable,
) -> tuple[np.int64, bytes]:
    """The first example behind `index`, in a circle, that can be used."""
    for step in range(source.number):
        other = (index + step) % source.number
        problem = _problem(source, other, decode, look)
        if problem is None and step:
            return np.int64(other), source.read(other)
        bad_records.add(source.name(other), problem or _NOT_PREPARED)
    raise ValueError("No example of the dataset can be used.")
