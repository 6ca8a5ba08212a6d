"""Whether a run waits for its input or for its device, and for which part of the input.

A step that finds its batch ready has the device to wait for; one that does not, the
input. How fast the input's stages are is measured before the first step, each with all
that come before it, while nothing else is computed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from slimnets.data.input_stages import input_stages
from slimnets.training.training_config import TrainingConfig

# From this share of its time on, a run is one that waits for its input.
LARGE_SHARE = 0.1
SECONDS_PER_STAGE = 3.0


class Waits:
    """How many seconds steps have waited for their batches, counted in graphs."""

    def __init__(self) -> None:
        with tf.device("CPU:0"):
            self._seconds = tf.Variable(0.0, trainable=False, dtype=tf.float64)

    def next_of(self, iterator: Iterator) -> Any:
        """The next batch, in a tf.function; the time until it is there is added."""
        before = tf.timestamp()
        with tf.control_dependencies([before]):
            batch = next(iterator)
        parts = tf.nest.flatten(batch, expand_composites=True)
        with tf.control_dependencies(parts):
            after = tf.timestamp()
        self._seconds.assign_add(after - before)
        # On one thread the clock would else be read when the step is done.
        return tf.nest.map_structure(
            lambda part: _behind(after, part), batch, expand_composites=True
        )

    def verdict(self, seconds: float) -> str:
        """What steps that took so long all together have waited for."""
        share = min(1.0, float(self._seconds) / max(seconds, 1e-9))
        limit = "input" if share >= LARGE_SHARE else "device"
        return (
            f"steps waited {100 * share:.0f} % of their time for the input: the "
            f"{limit} is what limits their speed"
        )


def _behind(moment: tf.Tensor, part: tf.Tensor) -> tf.Tensor:
    """Returns a part of a batch, where it is, once a moment is over."""
    with tf.control_dependencies([moment]), tf.device(part.device or None):
        return tf.identity(part)


def counted_waits() -> Waits | None:
    """What counts them; None where TensorFlow's kernels have to be deterministic, as a
    clock is not."""
    try:
        tf.timestamp()
    except tf.errors.FailedPreconditionError:
        return None
    return Waits()


def profile_stages(
    config: TrainingConfig, batches: tf.data.Dataset, seconds: float = SECONDS_PER_STAGE
) -> list[str]:
    """Lines that say how fast the stages of a run's input are.

    Args:
        config: the run's.
        batches: its input as a whole.
        seconds: how long each stage is measured.
    """
    stages = [*input_stages(config), ("augment and batch", batches, config.batch_size)]
    lines, own, before = [], {}, 0.0
    for name, dataset, images in stages:
        each = 1.0 / _images_per_second(dataset, images, seconds)
        own[name] = max(each - before, 0.0)
        before = each
        lines.append(
            f"{name}: {1e3 * own[name]:.3f} ms an image, {1 / each:.0f} a second so far"
        )
    slowest = max(own, key=lambda name: own[name])
    return [*lines, f"the slowest stage of the input is: {slowest}"]


def _images_per_second(dataset: Any, images: int, seconds: float) -> float:
    iterator = iter(dataset)
    next(iterator)  # Which starts threads, and fills buffers.
    began, number = time.monotonic(), 0
    while time.monotonic() < began + seconds:
        next(iterator)
        number += images
    return number / (time.monotonic() - began)
