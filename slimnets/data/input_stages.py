"""The stages of an input pipeline of encoded images, for who measures them."""

from __future__ import annotations

import tensorflow as tf

from slimnets.data.input_config import InputConfig
from slimnets.data.orders import shuffled, steps_of
from slimnets.data.pixel_limit import Decoding
from slimnets.data.sources import Arrays


def input_stages(
    config: InputConfig, batch_size: int = 32
) -> list[tuple[str, tf.data.Dataset, int]]:
    """What training's pipeline does before it changes images, each stage with those
    before it; nothing of images in memory, or that have boxes or masks.

    Args:
        config: what is read.
        batch_size: images of an element.

    Returns:
        The name of each stage, batches without end of what it gives, and how many
        images are in one.
    """
    dataset = config.dataset
    source = dataset.source(config.train_split)
    if isinstance(source, Arrays) or not hasattr(source, "read_in_graph"):
        return []
    decode = Decoding(dataset.image_shape[-1], dataset.exif_orientation)

    def read(index: tf.Tensor) -> tf.Tensor:
        index = tf.cast(index, tf.int64)
        return source.parse(index, source.read_in_graph(index))[0]

    indices = steps_of(shuffled(source.number, 0), source.number, batch_size).unbatch()
    encoded = indices.map(read, num_parallel_calls=tf.data.AUTOTUNE)
    decoded = indices.map(
        lambda index: tf.reduce_sum(tf.cast(decode(read(index)), tf.int32)),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    return [
        (name, stage.batch(batch_size).prefetch(tf.data.AUTOTUNE), batch_size)
        for name, stage in (("read", encoded), ("decode", decoded))
    ]
