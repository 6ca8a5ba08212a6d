"""A learning rate for a network and a dataset, from a few steps of training.

The rate rises exponentially from step to step, and the loss falls until the rate is too
high. Source: Smith, arXiv:1506.01186, section 3.3.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from slimnets.data.bad_records import explained_errors
from slimnets.files import write_table
from slimnets.progress import show_progress
from slimnets.training.figures import draw
from slimnets.training.run import Run
from slimnets.training.schedules import Schedule
from slimnets.training.strategies import make_strategy
from slimnets.training.task import Classification
from slimnets.training.training_config import TrainingConfig

LOWEST, HIGHEST, STEPS = 1e-6, 10.0, 100
TABLE, PICTURE = "rates.csv", "rates.png"
# The loss of a step is smoothed with those before it, each by this less.
_SMOOTHING = 0.9
# The rate is too high where the smoothed loss is so many times its least.
_TOO_HIGH = 4.0
# How far below the rate of the least loss training is safe.
_SAFE = 10.0


class Rising(Schedule):
    """From `low` to `high` by the same factor each step."""

    def __init__(self, low: float, high: float, steps: int):
        super().__init__(
            high, lambda at: at.peak, warmup_steps=0, number_of_steps=steps
        )
        self._low, self._high = low, high

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        share = tf.cast(step, tf.float32) / max(1, self.number_of_steps - 1)
        return self._low * tf.pow(self._high / self._low, share)


@dataclasses.dataclass(frozen=True)
class Rates:
    """What came of each learning rate.

    Attributes:
        rates: those that were tried, rising.
        losses: of the step that each was tried in.
        smoothed: the same, averaged with those before.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]

    @property
    def suggestion(self) -> float:
        """A tenth of the rate at which the smoothed loss is least."""
        least = self.smoothed.index(min(self.smoothed))
        return self.rates[least] / _SAFE

    def rows(self) -> list[tuple[float, float, float]]:
        return list(zip(self.rates, self.losses, self.smoothed, strict=True))

    def write(self, directory: str) -> list[str]:
        """Writes `rates.csv`, and `rates.png` if there is matplotlib; returns their
        paths."""
        table, picture = (os.path.join(directory, name) for name in (TABLE, PICTURE))
        rows = ([f"{value:.6g}" for value in row] for row in self.rows())
        write_table(table, ["learning_rate", "loss", "smoothed_loss"], rows)
        return [table, *draw(picture, (7, 4), functools.partial(_draw, self))]


def find_rate(
    config: TrainingConfig,
    *,
    lowest: float = LOWEST,
    highest: float = HIGHEST,
    steps: int = STEPS,
    show: bool = True,
) -> Rates:
    """Tries rising learning rates on a new run, of which nothing is written.

    Args:
        config: the run; its learning rate and schedule, and its end, do not count.
        lowest, highest: the first rate and the last, which need not be reached.
        steps: how many rates there are.
        show: whether progress goes to standard error.

    Raises:
        ValueError: if the rates do not rise, or as `train`.
    """
    if not 0 < lowest < highest or steps < 2:
        raise ValueError(
            f"lowest={lowest}, highest={highest}, steps={steps}; allowed is 0 < lowest "
            "< highest and at least 2 steps."
        )
    tf.random.set_seed(config.seed)
    strategy = make_strategy(config.strategy, **config.cluster_settings)
    schedule = Rising(lowest, highest, steps)
    run = Run(config, Classification(), strategy, schedule)
    run.load_initial()
    take, batches = run.step_function(), iter(run.batches(0))
    losses: list[float] = []
    with (
        show_progress(config.model_name, 0, steps, show=show) as progress,
        explained_errors(),
    ):
        for step in range(steps):
            loss = float(take(batches, tf.constant(1))["loss"])
            if not math.isfinite(loss):
                break
            losses.append(loss)
            progress.update(
                step + 1, {"loss": loss, "learning_rate": _at(schedule, step)}
            )
            smoothed = smooth(losses)
            if smoothed[-1] > _TOO_HIGH * min(smoothed):
                break
    if not losses:
        raise ValueError(f"The loss is not finite at lowest={lowest} already.")
    rates = tuple(_at(schedule, step) for step in range(len(losses)))
    return Rates(rates, tuple(losses), tuple(smooth(losses)))


def smooth(values: Sequence[float]) -> list[float]:
    """Exponential averages, of which none leans towards where they begin."""
    smoothed, total, weight = [], 0.0, 0.0
    for value in values:
        total = _SMOOTHING * total + (1 - _SMOOTHING) * value
        weight = _SMOOTHING * weight + (1 - _SMOOTHING)
        smoothed.append(total / weight)
    return smoothed


def _at(schedule: Schedule, step: int) -> float:
    return float(schedule(tf.constant(step)))


def _draw(rates: Rates, axes: Any) -> None:
    axes.plot(rates.rates, rates.losses, color="lightgray", label="loss")
    axes.plot(rates.rates, rates.smoothed, label="smoothed")
    axes.axvline(
        rates.suggestion, linestyle="--", color="tab:green",
        label=f"{rates.suggestion:.2g}",
    )  # fmt: skip
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
    axes.legend()
