"""The training loop: tf.function, tf.distribute, checkpoints, summaries.

A run is a pure function of its TrainingConfig: initial weights, data order and
augmentation follow from the seed and the step. So one that was interrupted goes on
from its last checkpoint as if nothing had happened.
"""

import dataclasses
import functools
import math
import os
import time
from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf

from slimnets.checkpoints import read_checkpoint
from slimnets.model import Model
from slimnets.training.config import TrainingConfig
from slimnets.training.optimizers import make_optimizer, make_schedule
from slimnets.training.progress import show_progress
from slimnets.training.signals import TrainingInterrupted, stop_on_signals
from slimnets.training.step import Totals, make_step_function
from slimnets.training.task import Classification, Measured, Task
from slimnets.training.train_dir import TrainDir, has_checkpoint
from slimnets.version import __version__

# The host looks for signals and shows progress between calls of about this length.
SECONDS_PER_CALL = 0.5


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """What a run came to.

    Attributes:
        model: the trained network.
        evaluation: on what the task holds out, such as a dataset's test split.
        checkpoint: the prefix of the last checkpoint.
        first_step: where this run began: 0, or the step of what it went on from.
        seconds: how long it took, with building and evaluation.
    """

    model: Model
    evaluation: Measured
    checkpoint: str
    first_step: int
    seconds: float


def train(
    config: TrainingConfig,
    task: Task | None = None,
    *,
    strategy: tf.distribute.Strategy | None = None,
    show: bool = True,
) -> TrainingResult:
    """Trains a network, or goes on with the run that `config.train_dir` holds.

    The global seed of TensorFlow's random numbers is set. What draws on them inside of
    a network (dropout) is the one thing that a continued run draws anew.

    Args:
        config: the run.
        task: what it trains for; None for classification.
        strategy: where to run; None for what `config.strategy` says.
        show: whether progress goes to standard error.

    Raises:
        ValueError: if train_dir holds another run, or a checkpoint that does not fit.
        FloatingPointError: if the loss is no longer finite.
        TrainingInterrupted: on SIGINT or SIGTERM, after a checkpoint is written.
    """
    started = time.monotonic()
    os.makedirs(config.train_dir, exist_ok=True)
    if resuming := has_checkpoint(config.train_dir):
        latest = read_checkpoint(config.train_dir)
        config.check_continues(latest.metadata.get("config", {}), latest.prefix)
    tf.random.set_seed(config.seed)
    task = task or Classification()
    run = _Run(config, task, strategy or _make_strategy(config.strategy))
    first_step = run.train_dir.restore() if resuming else 0
    if first_step < config.max_number_of_steps:
        run.run_steps(first_step, show)
    evaluation = task.evaluate(config, run.model)
    run.write_summaries(config.max_number_of_steps, **evaluation.summaries)
    return TrainingResult(
        model=run.model,
        evaluation=evaluation,
        checkpoint=read_checkpoint(config.train_dir).prefix,
        first_step=first_step,
        seconds=time.monotonic() - started,
    )


class _Run:
    """A model and an optimizer under a strategy, and the directory of their run."""

    def __init__(
        self, config: TrainingConfig, task: Task, strategy: tf.distribute.Strategy
    ):
        self.config = config
        self.task = task
        self.strategy = strategy
        with strategy.scope():
            self.model = task.make_network(config)
            self.optimizer = _make_optimizer(config)
            self.optimizer.build(self.model.trainable_variables)
        self.train_dir = TrainDir(
            config.train_dir,
            {**self.model.variables_by_name, **_optimizer_variables(self.optimizer)},
            lambda step: _metadata(config, task, step),
            config.keep_checkpoints,
        )
        self._writer = tf.summary.create_file_writer(config.train_dir)

    def run_steps(self, step: int, show: bool) -> None:
        """Runs from `step` to the last one, saving and logging on the way."""
        config, last = self.config, self.config.max_number_of_steps
        run = make_step_function(
            self.strategy,
            self.model,
            self.optimizer,
            functools.partial(self.task.losses, config),
            batch_size=config.batch_size,
        )
        batches = iter(self._batches(step))
        totals = Totals()
        steps_per_call = 1
        with (
            stop_on_signals() as stop,
            show_progress(config.model_name, step, last, show=show) as progress,
        ):
            while step < last:
                number = min(steps_per_call, self._steps_to_pause(step))
                started = time.monotonic()
                sums = run(batches, tf.constant(number))
                loss = float(sums["loss"])
                totals.add(number, sums)
                seconds_per_step = (time.monotonic() - started) / number
                steps_per_call = max(1, int(SECONDS_PER_CALL / seconds_per_step))
                step += number
                values = None
                if step % config.log_every_n_steps == 0 or step == last:
                    values = totals.means(config.batch_size)
                    rate = float(self.optimizer.learning_rate)
                    self.write_summaries(step, learning_rate=rate, **values)
                    totals = Totals()
                progress.update(step, values)
                if not math.isfinite(loss):
                    raise FloatingPointError(_not_finite(loss, step))
                if (
                    stop.signum
                    or step % config.save_interval_steps == 0
                    or step == last
                ):
                    self.train_dir.save(step)
                if stop.signum and step < last:
                    where = f"step {step} of {last}, saved in {config.train_dir}"
                    raise TrainingInterrupted(f"stopped at {where}", stop.signum)

    def write_summaries(self, step: int, **values: float) -> None:
        """Appends to the run's TensorBoard summaries."""
        with self._writer.as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(name, value)
        self._writer.flush()

    def _batches(self, first_step: int) -> Iterable:
        batches = self.task.batches(self.config, first_step)
        return self.strategy.experimental_distribute_dataset(batches)

    def _steps_to_pause(self, step: int) -> int:
        """Steps until the next line of the log, checkpoint or the end."""
        config = self.config
        intervals = (config.log_every_n_steps, config.save_interval_steps)
        ahead = [interval - step % interval for interval in intervals]
        return min(*ahead, config.max_number_of_steps - step)


def _not_finite(loss: float, step: int) -> str:
    return (
        f"The loss is {loss} at step {step}; the last checkpoint is from before. "
        "Try a lower learning_rate or more warmup_steps."
    )


def _make_strategy(name: str) -> tf.distribute.Strategy:
    return _mirrored() if name == "mirrored" else tf.distribute.get_strategy()


@functools.cache
def _mirrored() -> tf.distribute.Strategy:
    # One for all runs of a process: two would number their collectives alike.
    return tf.distribute.MirroredStrategy()


def _make_optimizer(config: TrainingConfig) -> keras.optimizers.Optimizer:
    schedule = make_schedule(
        config.learning_rate_decay_type,
        config.learning_rate,
        warmup_steps=config.warmup_steps,
        number_of_steps=config.max_number_of_steps,
        options=config.options("learning_rate_decay_type"),
    )
    return make_optimizer(config.optimizer, schedule, config.options("optimizer"))


def _optimizer_variables(
    optimizer: keras.optimizers.Optimizer,
) -> dict[str, tf.Variable]:
    """The optimizer's variables by path, which begins with `optimizer/`."""
    named: dict[str, tf.Variable] = {}
    for variable in optimizer.variables:
        name, number = variable.path, 1
        # Keras writes both a/b and a_b as a_b; the order of the variables is fixed.
        while name in named:
            name, number = f"{variable.path}_{number}", number + 1
        named[name] = variable.value
    return named


def _metadata(config: TrainingConfig, task: Task, step: int) -> dict[str, Any]:
    return {
        "slimnets_version": __version__,
        "model_name": config.model_name,
        "precision": config.precision,
        **task.metadata(config),
        "step": step,
        "config": config.to_json(),
    }
