"""Layers that run more than once, or otherwise, for one training step.

`recomputed` runs a function again for its gradients, so that what it holds need not
stay in memory (Chen et al., arXiv:1604.06174). The second time must give what the
first gave: random choices come from the same seeds, and moving averages are left
alone. Every context here is of its thread, as the replicas of a strategy have one each.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence

import tensorflow as tf


class _Local(threading.local):
    def __init__(self):
        self.seed: tf.Tensor | None = None
        self.draws = 0
        self.replaying = False
        self.takes_batch_statistics = False
        self.updates: tf.Tensor | None = None
        self.counts: list[list] = []


_local = _Local()


@contextlib.contextmanager
def noise_from(seed: tf.Tensor | None) -> Iterator[None]:
    """Makes what layers draw at random a function of `seed`, int `[2]`, and order."""
    before = _local.seed, _local.draws
    _local.seed, _local.draws = seed, 0
    try:
        yield
    finally:
        _local.seed, _local.draws = before


def next_seed() -> tf.Tensor | None:
    """A seed, int `[2]`, for the next random choice; None outside of `noise_from`."""
    if _local.seed is None:
        return None
    _local.draws += 1
    return tf.random.experimental.stateless_fold_in(_local.seed, _local.draws)


@contextlib.contextmanager
def batch_statistics() -> Iterator[None]:
    """Has batch norms in training keep the batch's statistics as they are.

    Whatever their decay, the moving averages are those of the last batch alone.
    """
    before, _local.takes_batch_statistics = _local.takes_batch_statistics, True
    try:
        yield
    finally:
        _local.takes_batch_statistics = before


@contextlib.contextmanager
def after_updates(number: tf.Tensor) -> Iterator[None]:
    """Has moving averages soon forget the values that they began with.

    After n updates their decay is `min(decay, (1 + n) / (10 + n))`, as that of
    `tf.train.ExponentialMovingAverage(decay, num_updates=n)`: an average is one of
    about the last ninth of the updates, until its own decay is slower.

    Args:
        number: of the updates before, a scalar.
    """
    before, _local.updates = _local.updates, tf.cast(number, tf.float32)
    try:
        yield
    finally:
        _local.updates = before


def updates_before() -> tf.Tensor | None:
    """How many updates were before, in `after_updates`; else None."""
    return _local.updates


def effective_decay(decay: float, warm_up: bool = True) -> float | tf.Tensor:
    """The decay of moving averages here; a scalar tensor in `after_updates`."""
    if _local.takes_batch_statistics:
        return 0.0
    if _local.updates is None or not warm_up:
        return decay
    return tf.minimum(decay, (1.0 + _local.updates) / (10.0 + _local.updates))


@contextlib.contextmanager
def counting() -> Iterator[list[str]]:
    """Yields a list that gets the scope of whatever is `recomputed`."""
    scopes: list[str] = []
    _local.counts.append(scopes)
    try:
        yield scopes
    finally:
        _local.counts.remove(scopes)


def is_replay() -> bool:
    """Whether layers run for the second time, and should change no averages."""
    return _local.replaying


def moves_averages() -> bool:
    """Whether moving averages other than batch norms' change in training here."""
    return not (_local.replaying or _local.takes_batch_statistics)


def recomputed(function: Callable[..., tf.Tensor], *inputs: tf.Tensor):
    """Returns `function(*inputs)`, which runs once more for its gradients.

    Args:
        function: of tensors. What it depends on beside these and variables must be no
            tensor of which gradients are asked.
        *inputs: what stays in memory.
    """
    seed = next_seed()
    if seed is None:
        seed = tf.random.uniform([2], maxval=tf.int32.max, dtype=tf.int32)
    for scopes in _local.counts:
        scopes.append(tf.compat.v1.get_variable_scope().name)
    scope = tf.compat.v1.get_variable_scope()

    def run(nets: Sequence[tf.Tensor], replaying: bool) -> tf.Tensor:
        before = _local.replaying
        _local.replaying = before or replaying
        try:
            with noise_from(seed):
                return function(*nets)
        finally:
            _local.replaying = before

    @tf.custom_gradient
    def once_more(*nets: tf.Tensor):
        def gradient(upstream: tf.Tensor, variables: Sequence[tf.Variable] = ()):
            # Not before its gradients are asked for, weights' casts included.
            with (
                tf.compat.v1.variable_scope(scope, reuse=True),
                tf.control_dependencies([upstream]),
                tf.GradientTape() as tape,
            ):
                again = list(map(tf.identity, nets))
                tape.watch(again)
                outputs = run(again, True)
            gradients = tape.gradient(
                outputs,
                [*again, *variables],
                upstream,
                unconnected_gradients=tf.UnconnectedGradients.ZERO,
            )
            own, others = gradients[: len(nets)], gradients[len(nets) :]
            # What comes before is computed again when all of this is done and gone.
            with tf.control_dependencies(others):
                own = list(map(tf.identity, own))
            return own, others

        return run(nets, False), gradient

    return once_more(*inputs)
