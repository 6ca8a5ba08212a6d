"""A run's variables and where they are kept: network, optimizer, averages."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import re
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from slimnets.layers import recomputing
from slimnets.rules import quantization
from slimnets.training import feeding, optimizers
from slimnets.training.averages import Averages
from slimnets.training.cluster import check_asynchronous
from slimnets.training.continuing import changes
from slimnets.training.input_profile import counted_waits
from slimnets.training.parameter_server import (
    STEPS_PER_WORKER,
    Workers,
    is_asynchronous,
)
from slimnets.training.recalibration import Recalibration, statistics_of
from slimnets.training.schedules import Schedule, make_schedule
from slimnets.training.starting import load_initial_weights, variables_to_train
from slimnets.training.step import Sums, Training, make_step_function
from slimnets.training.strategies import is_chief, number_of_workers
from slimnets.training.task import Measured, Task
from slimnets.training.train_dir import TrainDir, has_checkpoint, latest
from slimnets.training.training_config import TrainingConfig
from slimnets.version import __version__

# By how much a recovery changes the seed of the data's order.
_OTHER_ORDER = 1_000_003


class Run:
    """What a run computes with, under a strategy.

    Args:
        config, task, strategy: as of `train`.
        schedule: of the learning rate; None for what the config says.

    Attributes:
        model, optimizer: as they are called.
        trained: the variables that the optimizer changes, by name.
        averages: of the model's variables, or None.
        waits: how long steps waited for their batches; None where workers take them,
            or kernels are deterministic.
        recoveries: how often the run has gone back to a checkpoint.
        beginning: one line on how it begins: from which step or whose weights; empty
            for a new run with new weights.
    """

    def __init__(
        self,
        config: TrainingConfig,
        task: Task,
        strategy: tf.distribute.Strategy,
        schedule: Schedule | None = None,
    ):
        feeding.check_divides(
            config.batch_size, strategy.num_replicas_in_sync, config.accumulation_steps
        )
        self.config, self.task, self.strategy = config, task, strategy
        self.is_chief = is_chief(strategy)
        self.number_of_workers = number_of_workers(strategy)
        self._workers = None
        if is_asynchronous(strategy):
            check_asynchronous(config)
            self._workers = Workers(strategy)
        self.waits = None if self._workers else counted_waits()
        self.recoveries, self.beginning = 0, ""
        with strategy.scope(), recomputing.counting() as recomputed:
            self.model = task.make_network(config)
        if config.recompute and not recomputed:
            raise ValueError(
                f"recompute is of no effect: {config.model_name} has no blocks that "
                "stack_blocks builds."
            )
        named = self.model.variables_by_name
        for name in ("batch_norm_decay", "recalibrate_batches", "freeze_bn_delay"):
            given = getattr(config, name) not in (None, 0)
            if given and not statistics_of(self.model):
                raise ValueError(
                    f"{name} is of no effect: the network has no batch norm with "
                    "moving averages."
                )
        self.trained = variables_to_train(named, config.trainable_scopes)
        with strategy.scope():
            self.optimizer = _make_optimizer(config, self.trained, schedule)
        self.averages = None
        if config.moving_average_decay is not None:
            self.averages = Averages(strategy, named, config.moving_average_decay)
        self.weights = {
            **named,
            **(self.averages.variables_by_name if self.averages else {}),
        }
        self._mean = tf.function(
            lambda values: strategy.reduce(
                tf.distribute.ReduceOp.MEAN,
                strategy.run(tf.identity, args=(values,)),
                axis=None,
            )
        )
        self._recalibrate = Recalibration(strategy, self.model)
        self._train_dir = TrainDir(
            config.train_dir,
            {**self.weights, **_optimizer_variables(self.optimizer)},
            self._metadata,
            config.keep_checkpoints,
        )

    @property
    def training(self) -> Training:
        """What a step needs."""
        config = self.config
        return Training(
            strategy=self.strategy,
            model=self.model,
            variables=tuple(self.trained.values()),
            optimizer=self.optimizer,
            losses=functools.partial(self.task.losses, config),
            targets=getattr(self.task, "targets", lambda inputs, targets: targets),
            batch_size=config.batch_size,
            parts=config.accumulation_steps,
            clip_norm=config.gradient_clip_norm,
            averages=self.averages,
            seed=config.seed,
            waits=self.waits,
        )

    @property
    def training_share(self) -> str:
        """How many of the weights train, for people; empty if all do."""
        statistics, names = statistics_of(self.model), self.model.variables_by_name
        ranges = re.compile(quantization.VARIABLES)
        weights = [n for n in names if n not in statistics and not ranges.fullmatch(n)]
        if len(self.trained) == len(weights):
            return ""
        return f"{len(self.trained)} of {len(weights)} variables train"

    @property
    def asynchronous_workers(self) -> int:
        """How many workers take steps of their own; 0 where a step is of all."""
        return self._workers.number if self._workers else 0

    @property
    def least_steps_per_call(self) -> int:
        """Fewer steps in a call would not keep all processes at work."""
        return max(1, STEPS_PER_WORKER * self.asynchronous_workers)

    def step_function(self) -> Callable[[Any, tf.Tensor], Sums]:
        """Returns what takes a number of steps; see `make_step_function`."""
        if self._workers:
            return self._workers.make_step_function(self.training)
        return make_step_function(self.training)

    def load_initial(self) -> None:
        """Fills a new run's weights from the checkpoint that its settings name."""
        if self.config.checkpoint_path is None:
            return
        label_names = self.task.metadata(self.config).get("label_names")
        loaded = load_initial_weights(self.config, self.model, label_names)
        self.beginning = f"begins with {loaded}"
        if self.averages is not None:
            self.averages.restart()

    def restore(self) -> int:
        """Loads the latest checkpoint of train_dir; returns its step."""
        step = self._train_dir.restore()
        self.recoveries = latest(self.config.train_dir).metadata.get("recoveries", 0)
        return step

    def save(self, step: int) -> None:
        """Writes a checkpoint, if this process is to write any."""
        if self.is_chief:
            self._train_dir.save(step)

    def save_best(self, step: int, score: float) -> None:
        """Writes the weights beside those of the run, in place of the best so far."""
        if self.is_chief and score > self._train_dir.best_score:
            self._train_dir.save_best(step, self.weights, score)

    def agree(self, numbers: list[float]) -> list[float]:
        """The means of numbers over all workers, which all of them get."""
        if self.number_of_workers == 1:
            return numbers
        values = tf.constant(numbers, tf.float32)
        return self._mean(values).numpy().tolist()

    def all_finite(self) -> bool:
        """Whether every weight is a finite number."""
        return bool(_all_finite(list(self.trained.values())))

    def batches(self, first_step: int) -> Any:
        """Batches from a step on, for `strategy.run`; after a recovery other ones."""
        config = self.config
        if self.recoveries:
            seed = config.seed + self.recoveries * _OTHER_ORDER
            config = dataclasses.replace(config, seed=seed)
        if self._workers:

            def read(size: int, context: tf.distribute.InputContext) -> tf.data.Dataset:
                rounds = dataclasses.replace(config, batch_size=size)
                first_round = first_step // self._workers.number
                return self.task.batches(rounds, first_round, context)

            return self._workers.batches(read, config.batch_size)
        return feeding.distribute(
            self.strategy,
            lambda context: self.task.batches(config, first_step, context),
            batch_size=config.batch_size,
            parts=config.accumulation_steps,
        )

    def recalibrate(self, step: int) -> None:
        """Takes batch norm's statistics anew, of the weights that are evaluated."""
        number = self.config.recalibrate_batches * self.config.accumulation_steps
        with self.evaluated_weights():
            self._recalibrate(iter(self.batches(step)), number)

    def evaluate(self, watch: contextlib.AbstractContextManager) -> Measured:
        """Measures the weights, or their averages.

        Args:
            watch: is open while it measures, and may end that by an exception, which
                leaves all weights as they were.
        """
        with self.evaluated_weights(), watch:
            return self.task.evaluate(self.config, self.model)

    def evaluated_weights(self) -> contextlib.AbstractContextManager:
        """A context in which the model has the averages, if there are any."""
        return self.averages.in_place() if self.averages else contextlib.nullcontext()

    def _metadata(self, step: int) -> dict[str, Any]:
        config, rules = self.config, self.model.rules.to_json()
        return {
            "slimnets_version": __version__,
            "model_name": config.model_name,
            **({"rules": rules} if rules else {}),
            "precision": config.precision,
            **self.task.metadata(config),
            "step": step,
            "recoveries": self.recoveries,
            "config": config.to_json(),
        }


def begin(
    config: TrainingConfig, task: Task, strategy: tf.distribute.Strategy
) -> tuple[Run, int]:
    """A run with its weights, and the step that it is at.

    Raises:
        ValueError: if train_dir holds another run; and as Run.
    """
    # All processes look before the first of them, having built its network together
    # with the others, writes anything.
    if resuming := has_checkpoint(config.train_dir):
        reader = latest(config.train_dir)
        known, at = reader.metadata, int(reader.metadata.get("step", 0))
        changed = changes(config, known.get("config", {}), reader.prefix, at)
    tf.random.set_seed(config.seed)
    run = Run(config, task, strategy)
    if resuming:
        step = run.restore()
        run.beginning = f"goes on from step {step} of {reader.prefix}"
        if step == config.number_of_steps:
            run.beginning = f"has ended at step {step} already, and is measured alone"
        run.beginning += f"; from here on {changed}" if changed else ""
        return run, step
    run.load_initial()
    return run, 0


@tf.function
def _all_finite(variables: list[tf.Variable]) -> tf.Tensor:
    return tf.reduce_all(
        [tf.reduce_all(tf.math.is_finite(variable)) for variable in variables]
    )


def _make_optimizer(
    config: TrainingConfig,
    trained: dict[str, tf.Variable],
    schedule: Schedule | None = None,
) -> keras.optimizers.Optimizer:
    """The optimizer, built of the variables; in the scope of their strategy."""
    schedule = schedule or make_schedule(
        config.learning_rate_decay_type,
        config.peak_learning_rate,
        warmup_steps=config.number_of_warmup_steps,
        number_of_steps=config.number_of_steps,
        options=config.options("learning_rate_decay_type"),
    )
    optimizer = optimizers.make_optimizer(
        config.optimizer, schedule, config.options("optimizer")
    )
    names = list(trained)
    factors = [1.0] * len(names)
    if config.layer_rate_decay is not None:
        factors = optimizers.layer_factors(names, config.layer_rate_decay)
    if config.learning_rate_scales:
        scales = optimizers.scope_factors(names, config.learning_rate_scales)
        factors = [a * b for a, b in zip(factors, scales, strict=True)]
    decay = config.weight_decay if config.decouples_weight_decay else 0.0
    decays = [
        decay if optimizers.decays(name, variable.shape) else 0.0
        for name, variable in trained.items()
    ]
    optimizers.change_updates(optimizer, factors, decays)
    if config.precision == "float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, name="optimizer")
    optimizer.build(list(trained.values()))
    return optimizer


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
