"""Strategies of tf.distribute by name, and what processes of one run must agree on."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from slimnets.listing import one_line
from slimnets.training import parameter_server
from slimnets.training.cluster import set_cluster

_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


def make_strategy(name: str, **given: Any) -> tf.distribute.Strategy:
    """The strategy called `name`, which must be made before anything is computed.

    Args:
        name: `one` device, `mirrored` over all GPUs of this machine, `multi_worker`
            over several processes, `tpu`, or `parameter_server`, by its chief.
        **given: values of `cluster.CLUSTER_SETTINGS`, None or left out where they are
            not given: `workers`, `host:port,host:port ...` of all processes, of which
            in `multi_worker` the first is the chief, and `task_index`, which of them
            this process is; `chief`, `parameter_servers` and `task_type`, of
            `parameter_server`; None for the cluster of the environment's TF_CONFIG.
            `tpu`, the address of the TPU; None for this machine's.

    Raises:
        ValueError: if the cluster is not given, or given twice, or this process is not
            its chief.
        ConnectionError: if there is no such TPU.
    """
    if name == "mirrored":
        return _mirrored()
    if name == "multi_worker":
        set_cluster(name, **given)
        return _multi_worker()
    if name == "parameter_server":
        task = set_cluster(name, **given)["task"]
        if task["type"] != "chief":
            raise ValueError(
                f"This process is {task['type']} {task['index']}: only the chief "
                "trains, and the others serve (parameter_server.serve)."
            )
        return parameter_server.make_strategy()
    if name == "tpu":
        return _tpu(given.get("tpu") or "local")
    return tf.distribute.get_strategy()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes checkpoints and logs."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    if resolver.task_type == "chief":
        return True
    alone = "chief" not in resolver.cluster_spec().as_dict()
    return alone and resolver.task_type == "worker" and resolver.task_id == 0


def number_of_workers(strategy: tf.distribute.Strategy) -> int:
    """How many processes compute gradients together."""
    resolver = strategy.cluster_resolver
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 1
    jobs = resolver.cluster_spec().as_dict() if resolver else {}
    return max(1, sum(len(jobs.get(job, ())) for job in ("chief", "worker")))


@contextlib.contextmanager
def explained_losses(
    strategy: tf.distribute.Strategy, train_dir: str
) -> Iterator[None]:
    """Says what to do where one of several processes is lost.

    Raises:
        ConnectionError: in place of TensorFlow's errors.
    """
    asynchronous = parameter_server.is_asynchronous(strategy)
    try:
        yield
    except tf.errors.OpError as error:
        lost = isinstance(error, _LOST)
        if asynchronous:
            # One that was started again at once is there, without its variables.
            lost |= "/job:ps" in (error.message or "")
        if not lost or not (asynchronous or number_of_workers(strategy) > 1):
            raise
        who = "A parameter server" if asynchronous else "Another worker"
        raise ConnectionError(
            f"{who} is lost ({_reason(error)}). Start the same command again "
            "on all machines whose process has ended: the run goes on from the last "
            f"checkpoint in {train_dir}."
        ) from error


def _reason(error: tf.errors.OpError) -> str:
    """What an error says, without where in the program its operation was made."""
    lines = (error.message or "").splitlines()
    where = (" ", "Graph execution error", "Detected at")
    said = [line for line in lines if line.strip() and not line.startswith(where)]
    return one_line(" ".join(said or lines))


def _tpu(address: str) -> tf.distribute.Strategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(address)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (OSError, RuntimeError, ValueError, KeyError, tf.errors.OpError) as error:
        raise ConnectionError(
            f"Cannot reach the TPU {address}: {one_line(error)}."
        ) from error
    return tf.distribute.TPUStrategy(resolver)


@functools.cache
def _mirrored() -> tf.distribute.Strategy:
    # One for all runs of a process: two would number their collectives alike.
    return tf.distribute.MirroredStrategy()


@functools.cache
def _multi_worker() -> tf.distribute.Strategy:
    return tf.distribute.MultiWorkerMirroredStrategy()
