"""The training loop: steps, checkpoints, evaluations, and what to do when it breaks.

A run is a pure function of its TrainingConfig: initial weights, data order,
augmentation and dropout follow from the seed and the step. So one that was interrupted
goes on from its last checkpoint as if nothing had happened; with `parameter_server`,
whose updates come in no fixed order, from its weights.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import signal
import time

import tensorflow as tf

from slimnets.data.bad_records import explained_errors
from slimnets.model import Model
from slimnets.progress import show_progress
from slimnets.training.early_stopping import reason_to_end
from slimnets.training.input_profile import profile_stages
from slimnets.training.logs import Logs
from slimnets.training.measures import far_below
from slimnets.training.parameter_server import telling_workers
from slimnets.training.run import Run, begin
from slimnets.training.signals import StopRequest, TrainingInterrupted, stop_on_signals
from slimnets.training.step import Totals
from slimnets.training.strategies import explained_losses, is_chief, make_strategy
from slimnets.training.task import Classification, Measured, Task
from slimnets.training.train_dir import held, latest
from slimnets.training.training_config import TrainingConfig
from slimnets.version import __version__

# The host looks for signals and shows progress between calls of about this length.
SECONDS_PER_CALL = 0.5


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """What a run came to.

    Attributes:
        model: the trained network; with averaged weights, if the run has averages.
        evaluation: on what the task holds out, such as a dataset's test split.
        checkpoint: the prefix of the last checkpoint.
        first_step: where this run began: 0, or the step of what it went on from.
        seconds: how long it took, with building and evaluation.
        hint: one line on what to try; empty where nothing is odd.
    """

    model: Model
    evaluation: Measured
    checkpoint: str
    first_step: int
    seconds: float
    hint: str = ""


def train(
    config: TrainingConfig,
    task: Task | None = None,
    *,
    strategy: tf.distribute.Strategy | None = None,
    show: bool = True,
) -> TrainingResult:
    """Trains a network, or goes on with the run that `config.train_dir` holds.

    The global seed of TensorFlow's random numbers is set.

    Args:
        config: the run.
        task: what it trains for; None for classification.
        strategy: where to run; None for what `config.strategy` says.
        show: whether progress goes to standard error.

    Raises:
        ValueError: if train_dir holds another run, or a checkpoint that does not fit,
            or a setting is of no effect on this network.
        OSError: if train_dir cannot be written to, or another process trains there, or
            a checkpoint or the log cannot be written.
        ConnectionError: if another of several processes is lost.
        FloatingPointError: if the loss is not finite, again and again.
        TrainingInterrupted: on SIGINT or SIGTERM, after a checkpoint is written.
    """
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals())
        with stop.at_once("before the first step, with nothing to save"):
            if strategy is None:
                strategy = make_strategy(config.strategy, **config.cluster_settings)
            if is_chief(strategy):
                stack.enter_context(held(config.train_dir))
            stack.enter_context(telling_workers(strategy, config.train_dir))
            run, first_step = begin(config, task or Classification(), strategy)
        loop = _Loop(run, first_step, stop, show)
        evaluation = loop.run()
        if run.averages is not None:
            run.averages.swap()
        result = TrainingResult(
            model=run.model,
            evaluation=evaluation,
            checkpoint=latest(config.train_dir).prefix,
            first_step=first_step,
            seconds=time.monotonic() - started,
            hint=loop.hint(evaluation),
        )
        loop.finish(result)
        return result


class _Loop:
    """Takes a run from a step to its end."""

    def __init__(self, run: Run, first_step: int, stop: StopRequest, show: bool):
        self._run, self._config = run, run.config
        self._stop = stop
        self._step, self._last = first_step, run.config.number_of_steps
        self._show = show and run.is_chief
        self._logs = Logs(run.config.train_dir, first_step, run.is_chief)
        self._steps_per_call = run.least_steps_per_call
        self._totals, self._seconds = Totals(), 0.0
        self._evaluation: Measured | None = None
        self._train_accuracy: float | None = None

    def run(self) -> Measured:
        """Takes all steps, and measures the result."""
        run, title = self._run, self._config.model_name
        with (
            show_progress(title, self._step, self._last, show=self._show) as progress,
            explained_errors(),
            explained_losses(self._run.strategy, self._config.train_dir),
        ):
            self._progress = progress
            if self._run.beginning:
                self._say(self._run.beginning)
            if self._step < self._last:
                with self._stop.at_once(f"at step {self._step}, where it began"):
                    self._begin()
                if self._step and self._is_due(self._config.eval_interval_steps):
                    # It may have been stopped before it had measured this.
                    self._evaluation = self._evaluate()
                    self._end_if_stopped()
                    self._end_if_no_better()
            while self._step < self._last:
                self._take_steps()
            if self._seconds and (waits := run.waits):
                self._say(waits.verdict(self._seconds))
            evaluation = self._evaluation or self._evaluate()
            assert evaluation is not None  # All measure at the end.
            # No worker leaves before the chief has written everything.
            self._run.agree([0.0])
            return evaluation

    def hint(self, evaluation: Measured) -> str:
        """What to try where training and evaluation do not agree; see `far_below`."""
        measured = evaluation.summaries.get("test_accuracy")
        return far_below(self._train_accuracy, measured)

    def finish(self, result: TrainingResult) -> None:
        """Writes the summary."""
        self._logs.summary(
            {
                "model_name": self._config.model_name,
                "result": str(result.evaluation),
                "evaluation": result.evaluation.summaries,
                "checkpoint": os.path.basename(result.checkpoint),
                "steps": self._step,
                "first_step": result.first_step,
                "recoveries": self._run.recoveries,
                "seconds": round(result.seconds, 3),
                "tensorflow_version": tf.__version__,
                "slimnets_version": __version__,
                "config": self._config.to_json(),
            }
        )
        self._logs.close()

    def _begin(self) -> None:
        run, config = self._run, self._config
        agreed = run.agree([self._step])[0]
        if agreed != self._step:
            raise ValueError(
                f"The workers are at different steps, here {self._step}: "
                f"train_dir={config.train_dir} must be the same for all of them."
            )
        parts = run.strategy.num_replicas_in_sync * config.accumulation_steps
        shares = f"{parts} x {config.batch_size // parts}"
        if run.asynchronous_workers:
            workers = f"one of {run.asynchronous_workers} workers"
            shares = f"each an asynchronous update by {workers}"
        self._say(
            f"{config.batch_size} images a step, {shares}, "
            f"learning rate {config.peak_learning_rate:.4g}"
            + (" by default" if config.learning_rate is None else "")
            + (f", {run.training_share}" if run.training_share else "")
        )
        self._logs.settings(config.to_json())
        if config.graph_summary or config.image_summaries:
            inputs, _ = next(iter(run.batches(self._step)))
            inputs = run.strategy.experimental_local_results(inputs)[0]
            if config.graph_summary:
                self._logs.graph(run.model, tf.TensorSpec.from_tensor(inputs))
            if config.image_summaries:
                self._logs.images(self._step, inputs, config.image_summaries)
        if not self._step and config.max_recoveries:
            run.save(0)
        if config.profile_input:
            for line in profile_stages(config, run.batches(self._step)):
                self._say(line)
        self._function = run.step_function()
        self._batches = iter(run.batches(self._step))

    def _take_steps(self) -> None:
        """Takes a few steps, and does what is due after them."""
        run, config = self._run, self._config
        number = min(self._steps_per_call, self._steps_to_pause())
        started = time.monotonic()
        sums = self._function(self._batches, tf.constant(number))
        loss = float(sums["loss"])
        if not math.isfinite(loss):
            self._recover(f"the loss is {loss}")
            return
        self._totals.add(number, sums)
        self._step += number
        seconds = time.monotonic() - started
        self._seconds += seconds
        stops, steps_per_call = run.agree(
            [float(bool(self._stop.signum)), SECONDS_PER_CALL * number / seconds]
        )
        self._steps_per_call = max(run.least_steps_per_call, int(steps_per_call))
        ended = self._step == self._last
        saves = stops or ended or self._is_due(config.save_interval_steps)
        evaluates = ended or self._is_due(config.eval_interval_steps)
        if (saves or evaluates) and not run.all_finite():
            self._recover("a weight is not finite")
            return
        self._report(ended)
        if evaluates and config.recalibrate_batches:
            run.recalibrate(self._step)
        if saves:
            run.save(self._step)
            if config.histograms:
                self._logs.histograms(self._step, run.model)
        if evaluates and not (stops and not ended):
            self._evaluation = self._evaluate()
            if not ended:
                self._end_if_stopped()
                self._end_if_no_better()
        if stops and not ended:
            # No worker leaves before the chief has written everything.
            run.agree([0.0])
            signum = self._stop.signum or signal.SIGTERM
            raise TrainingInterrupted(f"stopped {self._here}", signum)

    def _end_if_stopped(self) -> None:
        """Ends a run that was asked to stop while it measured; several workers agree
        on that after their next step."""
        if self._stop.signum and self._run.number_of_workers == 1:
            self._run.save(self._step)
            raise TrainingInterrupted(f"stopped {self._here}", self._stop.signum)

    def _end_if_no_better(self) -> None:
        """Makes this step the last where evaluations say that it is time; only the
        chief has measured, and all workers end together."""
        if not self._config.early_stop_patience:
            return
        reason = ""
        if self._evaluation:
            summaries, history = self._evaluation.summaries, self._logs.history
            reason = reason_to_end(self._config, summaries, history)
        if reason:
            self._say(f"ends early at step {self._step}: {reason}")
        if any(self._run.agree([float(bool(reason))])):
            self._run.save(self._step)
            self._last = self._step

    def _report(self, ended: bool) -> None:
        values = None
        if ended or self._is_due(self._config.log_every_n_steps):
            values = self._totals.means(self._config.batch_size)
            values["learning_rate"] = float(self._run.optimizer.learning_rate)
            self._logs.scalars(self._step, values)
            self._train_accuracy = values.get("train_accuracy")
            self._totals = Totals()
        self._progress.update(self._step, values)

    def _evaluate(self) -> Measured | None:
        """Measures the weights of now; only the chief does so before the end."""
        ended = self._step >= self._last
        if not (ended or self._run.is_chief):
            return None
        try:
            evaluation = self._run.evaluate(self._stop.at_once(self._here))
        except TrainingInterrupted:
            if ended:
                raise
            # The next step ends the run, for all workers together.
            return None
        values = evaluation.summaries
        self._logs.scalars(self._step, values)
        if self._config.keep_best:
            self._run.save_best(self._step, next(iter(values.values())))
        if not ended:
            odd = ", far below training's" if self.hint(evaluation) else ""
            self._say(f"step {self._step}, {evaluation}{odd}")
        return evaluation

    def _recover(self, what: str) -> None:
        """Goes back to the last checkpoint, to go on with other data.

        Raises:
            FloatingPointError: if that was done as often as it may be.
        """
        run, config = self._run, self._config
        where = f"{what[0].upper()}{what[1:]} after step {self._step}"
        if run.recoveries >= config.max_recoveries:
            raise FloatingPointError(
                f"{where}, {run.recoveries} recoveries before; the last checkpoint is "
                "from before. Try a lower learning_rate or more warmup_steps."
            )
        recoveries = run.recoveries + 1
        self._step = run.restore()
        run.recoveries = recoveries
        where += f"; back to step {self._step} with other data"
        self._say(f"{where}, recovery {recoveries} of {config.max_recoveries}")
        self._logs.go_back(self._step)
        self._totals = Totals()
        self._batches = iter(run.batches(self._step))

    def _say(self, what: str) -> None:
        self._progress.say(f"{self._config.model_name}: {what}")

    @property
    def _here(self) -> str:
        train_dir = self._config.train_dir
        return f"at step {self._step} of {self._last}, saved in {train_dir}"

    def _is_due(self, interval: int) -> bool:
        return bool(interval) and self._step % interval == 0

    def _steps_to_pause(self) -> int:
        """Steps until the next line of the log, checkpoint, evaluation or the end."""
        config = self._config
        intervals = [config.log_every_n_steps, config.save_interval_steps]
        intervals.append(config.eval_interval_steps or self._last)
        ahead = [interval - self._step % interval for interval in intervals]
        return min(*ahead, self._last - self._step)
