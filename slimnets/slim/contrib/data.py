"""The transformations of `tf.contrib.data` that became arguments or methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

Transformation = Callable[[tf.data.Dataset], tf.data.Dataset]


def batch_and_drop_remainder(batch_size: Any) -> Transformation:
    """`dataset.batch(batch_size, drop_remainder=True)`, for `dataset.apply`."""
    return lambda dataset: dataset.batch(batch_size, drop_remainder=True)


def padded_batch_and_drop_remainder(
    batch_size: Any, padded_shapes: Any, padding_values: Any = None
) -> Transformation:
    """`dataset.padded_batch(..., drop_remainder=True)`, for `dataset.apply`."""
    return lambda dataset: dataset.padded_batch(
        batch_size, padded_shapes, padding_values, drop_remainder=True
    )


def unbatch() -> Transformation:
    """`dataset.unbatch()`, for `dataset.apply`."""
    return lambda dataset: dataset.unbatch()
