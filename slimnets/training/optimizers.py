"""Optimizers and learning-rate schedules by name, as tables.

An entry says which options it has and their defaults; an option that the chosen entry
does not have is refused rather than ignored.
"""

import dataclasses
import difflib
import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Entry:
    """What a name stands for: a function of the options, with their defaults."""

    make: Callable[..., Any]
    options: Mapping[str, float] = dataclasses.field(default_factory=dict)


def _momentum(learning_rate: Any, momentum: float) -> keras.optimizers.Optimizer:
    return keras.optimizers.SGD(
        learning_rate, momentum=momentum, nesterov=True, name="optimizer"
    )


# Named as research/slim names them.
OPTIMIZERS = {
    "sgd": Entry(lambda rate: keras.optimizers.SGD(rate, name="optimizer")),
    "momentum": Entry(_momentum, {"momentum": 0.9}),
    "adam": Entry(
        lambda rate, adam_beta1, adam_beta2, opt_epsilon: keras.optimizers.Adam(
            rate, adam_beta1, adam_beta2, opt_epsilon, name="optimizer"
        ),
        {"adam_beta1": 0.9, "adam_beta2": 0.999, "opt_epsilon": 1e-8},
    ),
    "rmsprop": Entry(
        lambda rate, rmsprop_decay, momentum, opt_epsilon: keras.optimizers.RMSprop(
            rate, rmsprop_decay, momentum, opt_epsilon, name="optimizer"
        ),
        {"rmsprop_decay": 0.9, "momentum": 0.9, "opt_epsilon": 1.0},
    ),
}

# Functions of the share of the run that is done, after warm-up; each gives a factor.
DECAYS = {
    "fixed": Entry(lambda done: tf.ones_like(done)),
    "cosine": Entry(lambda done: 0.5 * (1.0 + tf.cos(math.pi * done))),
    "linear": Entry(lambda done: 1.0 - done),
    "exponential": Entry(
        lambda done, learning_rate_decay_factor, number_of_decays: tf.pow(
            learning_rate_decay_factor, tf.floor(done * number_of_decays)
        ),
        {"learning_rate_decay_factor": 0.1, "number_of_decays": 3.0},
    ),
}


# By the name of the setting that chooses from it.
TABLES = {"optimizer": OPTIMIZERS, "learning_rate_decay_type": DECAYS}


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up to the peak over warmup_steps, then the decay to the last step."""

    def __init__(
        self,
        peak: float,
        decay: Callable[[tf.Tensor], tf.Tensor],
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
        rate = self.peak * self.decay(done)
        if self.warmup_steps:
            rate *= tf.minimum(1.0, (step + 1.0) / self.warmup_steps)
        return rate


def make_schedule(
    name: str,
    learning_rate: float,
    *,
    warmup_steps: int,
    number_of_steps: int,
    options: Mapping[str, float],
) -> Schedule:
    """The schedule called `name`; see `DECAYS` for its options.

    Raises:
        ValueError: for an unknown name or option.
    """
    entry = find("learning_rate_decay_type", name, DECAYS)
    values = {**entry.options, **options}
    return Schedule(
        learning_rate,
        lambda done: entry.make(done, **values),
        warmup_steps=warmup_steps,
        number_of_steps=number_of_steps,
    )


def make_optimizer(
    name: str, learning_rate: Schedule | float, options: Mapping[str, float]
) -> keras.optimizers.Optimizer:
    """The Keras optimizer called `name`; see `OPTIMIZERS` for its options.

    Raises:
        ValueError: for an unknown name or option.
        RuntimeError: if Keras runs on another backend than TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "Training needs Keras on TensorFlow; the environment variable "
            f"KERAS_BACKEND chose {keras.backend.backend()}."
        )
    entry = find("optimizer", name, OPTIMIZERS)
    return entry.make(learning_rate, **{**entry.options, **options})


def find(argument: str, name: str, table: Mapping[str, Entry]) -> Entry:
    """The entry of `table` called `name`; an unknown one raises ValueError."""
    if name not in table:
        near = difflib.get_close_matches(name, table, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(
            f"{argument}={name!r} is not one of {', '.join(sorted(table))}{hint}"
        )
    return table[name]
