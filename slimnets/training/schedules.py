"""Learning-rate schedules by name: a linear warm-up, then one of `DECAYS`.

Source: cosine: Loshchilov & Hutter, arXiv:1608.03983, without restarts; warm-up and
steps: Goyal et al., arXiv:1706.02677; polynomial: You et al., arXiv:1708.03888.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from slimnets.training.choices import Entry, find


class Moment(NamedTuple):
    """A point of a run.

    Attributes:
        step: float32, counted from 0.
        done: the share of the steps after warm-up that are done, 0 to 1.
        peak: the highest learning rate.
    """

    step: tf.Tensor
    done: tf.Tensor
    peak: float


def _cosine(at: Moment, end_learning_rate: float) -> tf.Tensor:
    factor = 0.5 * (1.0 + tf.cos(math.pi * at.done))
    return end_learning_rate + (at.peak - end_learning_rate) * factor


def _polynomial(
    at: Moment, end_learning_rate: float, decay_power: float = 1.0
) -> tf.Tensor:
    factor = tf.pow(1.0 - at.done, decay_power)
    return end_learning_rate + (at.peak - end_learning_rate) * factor


def _exponential(
    at: Moment, learning_rate_decay_factor: float, number_of_decays: float
) -> tf.Tensor:
    decays = tf.floor(at.done * number_of_decays)
    return at.peak * tf.pow(learning_rate_decay_factor, decays)


def _steps(
    at: Moment, learning_rate_decay_factor: float, boundaries: Sequence[float]
) -> tf.Tensor:
    passed = tf.cast(at.step >= tf.constant(boundaries, tf.float32), tf.float32)
    return at.peak * tf.pow(learning_rate_decay_factor, tf.reduce_sum(passed))


def _fixed(at: Moment) -> tf.Tensor:
    return at.peak * tf.ones_like(at.done)


# Functions of the moment and of options. What `steps` calls its boundaries, a run's
# settings give as decay_steps or decay_epochs.
DECAYS = {
    "fixed": Entry(_fixed),
    "constant": Entry(_fixed),
    "cosine": Entry(_cosine, {"end_learning_rate": 0.0}),
    "linear": Entry(_polynomial, {"end_learning_rate": 0.0}),
    "polynomial": Entry(_polynomial, {"end_learning_rate": 0.0, "decay_power": 2.0}),
    "exponential": Entry(
        _exponential, {"learning_rate_decay_factor": 0.1, "number_of_decays": 3.0}
    ),
    "steps": Entry(_steps, {"learning_rate_decay_factor": 0.1, "boundaries": None}),
}
# Those that do not depend on when the run ends.
ENDLESS = ("fixed", "constant", "steps")


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up to the peak over warmup_steps, then the decay to the last step."""

    def __init__(
        self,
        peak: float,
        decay: Callable[[Moment], tf.Tensor],
        *,
        warmup_steps: int,
        number_of_steps: int,
    ):
        self.peak = peak
        self.decay = decay
        self.warmup_steps = warmup_steps
        self.number_of_steps = number_of_steps

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        step = tf.cast(step, tf.float32)
        decaying_steps = max(1, self.number_of_steps - self.warmup_steps)
        done = tf.clip_by_value((step - self.warmup_steps) / decaying_steps, 0.0, 1.0)
        rate = self.decay(Moment(step, done, self.peak))
        if self.warmup_steps:
            rate *= tf.minimum(1.0, (step + 1.0) / self.warmup_steps)
        return rate


def make_schedule(
    name: str,
    learning_rate: float,
    *,
    warmup_steps: int,
    number_of_steps: int,
    options: Mapping[str, Any],
) -> Schedule:
    """The schedule called `name`; see `DECAYS` for its options.

    Raises:
        ValueError: for an unknown name or option.
    """
    entry = find("learning_rate_decay_type", name, DECAYS)
    values = {**entry.options, **options}
    return Schedule(
        learning_rate,
        lambda moment: entry.make(moment, **values),
        warmup_steps=warmup_steps,
        number_of_steps=number_of_steps,
    )
