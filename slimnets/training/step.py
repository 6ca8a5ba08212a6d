"""What one training step computes, and the sums that the log shows of it."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from slimnets.layers import recomputing
from slimnets.model import Model
from slimnets.training.averages import Averages
from slimnets.training.input_profile import Waits

Losses = Callable[[Any, Any], tuple[tf.Tensor, dict[str, tf.Tensor]]]
Sums = dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Training:
    """All that a step needs and changes.

    Attributes:
        strategy: where the model and the optimizer have their variables.
        model: what is trained.
        variables: those that the optimizer changes.
        optimizer: built of the variables.
        losses: a function of targets and outputs that gives the losses `[batch]` and
            more values by name, `[batch]` each.
        batch_size: images per step over all replicas and parts.
        targets: a function of inputs and targets that gives what the losses take.
        parts: into how many parts a step is divided, one after the other.
        clip_norm: the largest norm of the gradients of all variables; None for any.
        averages: of the model's variables; None for none.
        seed: of what layers draw at random, together with the step.
        waits: counts how long steps wait for their batches; None for nobody.
    """

    strategy: tf.distribute.Strategy
    model: Model
    variables: Sequence[tf.Variable]
    optimizer: keras.optimizers.Optimizer
    losses: Losses
    batch_size: int
    targets: Callable[[Any, Any], Any] = lambda inputs, targets: targets
    parts: int = 1
    clip_norm: float | None = None
    averages: Averages | None = None
    seed: int = 0
    waits: Waits | None = None

    def next_of(self, iterator: Iterator) -> Any:
        """The next batch."""
        return self.waits.next_of(iterator) if self.waits else next(iterator)

    @property
    def loss_scale(self) -> tf.Tensor | None:
        """By what float16's gradients are too large."""
        scale = getattr(self.optimizer, "dynamic_scale", None)
        return None if scale is None else tf.convert_to_tensor(scale)


def make_step_function(training: Training) -> Callable[[Iterator, tf.Tensor], Sums]:
    """Returns `run(iterator, number)`, which takes a number of steps.

    It returns sums over the steps: of `loss`, regularization included, and of the
    means over a batch of what the losses' function names.
    """
    step = _accumulating(training) if training.parts > 1 else _whole(training)

    # A function of its own, so that the network is traced once for both calls below.
    # AutoGraph, which nothing in it needs, would take longer than the tracing.
    @tf.function(autograph=False)
    def averaged_step(iterator):
        sums = step(iterator)
        if training.averages is not None:
            updates = tf.convert_to_tensor(training.optimizer.iterations) - 1
            training.averages.update(updates)
        return sums

    @tf.function(autograph=False)
    def run(iterator, number):
        sums = averaged_step.get_concrete_function(iterator).structured_outputs
        totals = {name: tf.zeros(sum_.shape, sum_.dtype) for name, sum_ in sums.items()}
        return _looped(lambda _: averaged_step(iterator), 0, number, totals)

    return run


def _whole(training: Training) -> Callable[[Iterator], Sums]:
    """A step of one part."""
    compute = _compiled(training)

    def replica_step(inputs: Any, targets: Any) -> Sums:
        gradients, sums = compute(inputs, targets, tf.constant(0))
        _apply(training, gradients)
        return sums

    def step(iterator: Iterator) -> Sums:
        results = training.strategy.run(replica_step, args=training.next_of(iterator))
        return _over_replicas(training, results)

    return step


def _accumulating(training: Training) -> Callable[[Iterator], Sums]:
    """A step of several parts, whose gradients are summed before they are applied."""
    strategy, compute = training.strategy, _compiled(training)
    with strategy.scope():
        kept = [
            tf.Variable(
                tf.zeros(variable.shape, variable.dtype),
                trainable=False,
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.SUM,
            )
            for variable in training.variables
        ]

    def replica_part(inputs: Any, targets: Any, part: tf.Tensor) -> Sums:
        gradients, sums = compute(inputs, targets, part)
        for total, gradient in zip(kept, gradients, strict=True):
            if gradient is not None:
                total.assign_add(gradient)
        return sums

    def replica_apply() -> None:
        _apply(training, [total.read_value() for total in kept])
        for total in kept:
            total.assign(tf.zeros_like(total))

    def part_sums(iterator: Iterator, part: tf.Tensor) -> Sums:
        args = (*training.next_of(iterator), part)
        return _over_replicas(training, strategy.run(replica_part, args=args))

    @tf.function(autograph=False)
    def step(iterator: Iterator) -> Sums:
        totals = part_sums(iterator, tf.constant(0))
        sums_of = functools.partial(part_sums, iterator)
        totals = _looped(sums_of, 1, training.parts, totals)
        strategy.run(replica_apply)
        return totals

    return step


def _compiled(training: Training) -> Callable:
    """Returns `_gradients` of inputs, targets and part, by XLA for a Model with jit.

    Raises:
        ValueError: for jit with several replicas.
    """
    compute = functools.partial(_gradients, training)
    if not training.model.jit:
        return tf.autograph.experimental.do_not_convert(compute)
    replicas = training.strategy.num_replicas_in_sync
    if replicas > 1:
        raise ValueError(
            f"jit is for one replica; here are {replicas}, which speak with each other "
            "inside of what XLA would compile."
        )
    return tf.function(compute, jit_compile=True, autograph=False)


def _gradients(
    training: Training, inputs: Any, targets: Any, part: tf.Tensor
) -> tuple[list[tf.Tensor | None], Sums]:
    """The gradients of one replica's images, times the loss scale, and their sums."""
    # The gradients of replicas and parts are summed, so each gives its share.
    share = 1.0 / (training.strategy.num_replicas_in_sync * training.parts)
    scale = 1.0 if training.loss_scale is None else training.loss_scale
    targets = training.targets(inputs, targets)
    with tf.GradientTape() as tape:
        with (
            recomputing.noise_from(_noise_seed(training, part)),
            recomputing.after_updates(
                tf.convert_to_tensor(training.optimizer.iterations)
            ),
        ):
            outputs = training.model(inputs, training=True)
        losses, shown = training.losses(targets, outputs)
        loss = tf.reduce_sum(losses) / training.batch_size
        for activation_loss in training.model.activation_losses():
            loss += share * activation_loss
        scaled = loss * scale
    gradients = tape.gradient(scaled, list(training.variables))
    gradients, weight_losses = _regularized(training, gradients, share * scale)
    if weight_losses:
        loss += share * tf.add_n(weight_losses)
    means = {
        name: tf.reduce_sum(value) / training.batch_size
        for name, value in shown.items()
    }
    return gradients, {"loss": loss, **means}


def _regularized(
    training: Training, gradients: Sequence[tf.Tensor | None], factor: float | tf.Tensor
) -> tuple[list[tf.Tensor | None], list[tf.Tensor]]:
    """Adds to each gradient that of its variable's own loss, times a factor.

    Such a loss depends on nothing but the variable. Its gradient would be there before
    all others and wait for them in memory, were it not made to come after.

    Returns:
        The gradients, and the losses of all of the model's variables.
    """
    by_variable = {
        variable.ref(): gradient
        for variable, gradient in zip(training.variables, gradients, strict=True)
    }
    losses = []
    for name, regularizer in training.model.regularizers.items():
        variable = training.model.variable_by_name(name)
        gradient = by_variable.get(variable.ref())
        after = [] if gradient is None else [gradient]
        with tf.control_dependencies(after), tf.GradientTape() as tape:
            loss = regularizer(variable)
        if loss is None:
            continue
        losses.append(loss)
        if variable.ref() in by_variable:
            with tf.control_dependencies(after):
                own = factor * tape.gradient(loss, variable)
            by_variable[variable.ref()] = own if gradient is None else gradient + own
    return [by_variable[variable.ref()] for variable in training.variables], losses


def _noise_seed(training: Training, part: tf.Tensor) -> tf.Tensor:
    """A seed that no other step, part or replica has."""
    context = tf.distribute.get_replica_context()
    seed = tf.constant([training.seed, 0], tf.int32)
    for number in (
        training.optimizer.iterations,
        part,
        context.replica_id_in_sync_group,
    ):
        number = tf.cast(tf.convert_to_tensor(number), tf.int32)
        seed = tf.random.experimental.stateless_fold_in(seed, number)
    return seed


def _apply(training: Training, gradients: Sequence[tf.Tensor | None]) -> None:
    """Gives one replica's gradients to the optimizer, which sums them over all."""
    pairs = [
        (gradient, variable)
        for gradient, variable in zip(gradients, training.variables, strict=True)
        if gradient is not None
    ]
    gradients, variables = [list(column) for column in zip(*pairs, strict=True)]
    scale = training.loss_scale
    replicas = training.strategy.num_replicas_in_sync
    shared = replicas > 1 and (training.clip_norm or scale is not None)
    if shared:
        # The norm, and whether all is finite, is of the sum.
        context = tf.distribute.get_replica_context()
        gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
    if training.clip_norm:
        norm = training.clip_norm * (1.0 if scale is None else scale)
        gradients, _ = tf.clip_by_global_norm(gradients, norm)
    if shared:
        gradients = [gradient / replicas for gradient in gradients]
    training.optimizer.apply(gradients, variables)


def _over_replicas(training: Training, results: Mapping[str, Any]) -> Sums:
    total = tf.distribute.ReduceOp.SUM
    return {
        name: training.strategy.reduce(total, value, axis=None)
        for name, value in results.items()
    }


def _looped(
    step: Callable[[tf.Tensor], Sums], start: int, end: int | tf.Tensor, totals: Sums
) -> Sums:
    """Adds what the steps from a number to another, not included, return."""

    def add(number: tf.Tensor, totals: Sums) -> tuple[tf.Tensor, Sums]:
        sums = step(number)
        return number + 1, {name: total + sums[name] for name, total in totals.items()}

    numbers = tf.constant(start), totals
    return tf.while_loop(lambda number, _: number < end, add, numbers)[1]


class Totals:
    """Sums over the steps since the last line of the log."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._steps = 0
        self._sums: dict[str, float] = {}

    def add(self, steps: int, sums: Mapping[str, tf.Tensor]) -> None:
        self._steps += steps
        for name, value in sums.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value)

    def means(self, batch_size: int) -> dict[str, float]:
        images = self._steps * batch_size
        means = {name: value / self._steps for name, value in self._sums.items()}
        rate = images / (time.monotonic() - self._started)
        return {**means, "images_per_second": rate}
