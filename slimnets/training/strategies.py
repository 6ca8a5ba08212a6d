"""Strategies of tf.distribute by name, and what processes of one run must agree on."""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import Iterator

import tensorflow as tf

CLUSTER = "TF_CONFIG"
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


def make_strategy(
    name: str,
    workers: str | None = None,
    task_index: int | None = None,
    tpu: str | None = None,
) -> tf.distribute.Strategy:
    """The strategy called `name`, which must be made before anything is computed.

    Args:
        name: `one` device, `mirrored` over all GPUs of this machine, `multi_worker`
            over several processes, or `tpu`.
        workers: `host:port,host:port ...` of all processes, of which the first is the
            chief; None to take the cluster from the environment's TF_CONFIG.
        task_index: which of the workers this process is.
        tpu: the address of the TPU; None for this machine's.

    Raises:
        ValueError: if the cluster is not given, or given twice.
        ConnectionError: if there is no such TPU.
    """
    if name == "mirrored":
        return _mirrored()
    if name == "multi_worker":
        set_cluster(workers, task_index)
        return _multi_worker()
    if name == "tpu":
        return _tpu(tpu or "local")
    return tf.distribute.get_strategy()


def set_cluster(workers: str | None, task_index: int | None) -> None:
    """Writes the cluster to the environment, where TensorFlow looks for it.

    Raises:
        ValueError: if the environment has another one, or none is given.
    """
    there = os.environ.get(CLUSTER)
    if workers is None:
        if not there:
            raise ValueError(
                "strategy=multi_worker needs workers=host:port,... and task_index, or "
                f"the environment variable {CLUSTER}."
            )
        return
    cluster = json.dumps(
        {
            "cluster": {"worker": [worker.strip() for worker in workers.split(",")]},
            "task": {"type": "worker", "index": task_index},
        }
    )
    if there and json.loads(there) != json.loads(cluster):
        raise ValueError(
            f"workers={workers!r} and task_index={task_index} differ from the "
            f"environment's {CLUSTER}={there!r}: give one of them."
        )
    os.environ[CLUSTER] = cluster


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
def explained_losses(workers: int, train_dir: str) -> Iterator[None]:
    """Says what to do where one of several processes is lost.

    Raises:
        ConnectionError: in place of TensorFlow's errors.
    """
    try:
        yield
    except _LOST as error:
        if workers == 1:
            raise
        raise ConnectionError(
            f"Another worker is lost ({_reason(error)}). Start the same command again "
            "on all workers whose process has ended: the run goes on from the last "
            f"checkpoint in {train_dir}."
        ) from error


def _reason(error: tf.errors.OpError) -> str:
    """What an error says, without where in the program its operation was made."""
    lines = (error.message or "").splitlines()
    where = (" ", "Graph execution error", "Detected at")
    said = [line for line in lines if line.strip() and not line.startswith(where)]
    return " ".join(" ".join(said or lines).split())[:160]


def _tpu(address: str) -> tf.distribute.Strategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(address)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (OSError, RuntimeError, ValueError, KeyError, tf.errors.OpError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ConnectionError(f"Cannot reach the TPU {address}: {reason}.") from error
    return tf.distribute.TPUStrategy(resolver)


@functools.cache
def _mirrored() -> tf.distribute.Strategy:
    # One for all runs of a process: two would number their collectives alike.
    return tf.distribute.MirroredStrategy()


@functools.cache
def _multi_worker() -> tf.distribute.Strategy:
    return tf.distribute.MultiWorkerMirroredStrategy()
