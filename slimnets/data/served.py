"""Batches that the workers of a tf.data service make, for steps of training elsewhere.

A worker gets a few steps in a row at a time, and makes of each what this process would:
a batch is a function of the seed and the step. So each step's batch comes once, and a
run with one worker is the run without; with several the steps come in the order in
which workers end them. What a worker that is lost had in hand does not come.

Source: Audibert et al., tf.data service, arXiv:2210.14826, section 3.3 (dynamic
sharding).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import tensorflow as tf

# So many steps in a row are one worker's: it shuffles the epoch once for all of them.
STEPS = 16
_SECONDS_TO_CONNECT = 60.0
_PROTOCOL = "grpc://"


def served(
    batches: Callable[[tf.Tensor], tf.data.Dataset], first_step: int, service: str
) -> tf.data.Dataset:
    """Has batches made elsewhere.

    Args:
        batches: gives them from a step on, without Python.
        first_step: where to begin.
        service: `grpc://host:port` of the dispatcher.

    Raises:
        ValueError: for another form of service.
        ConnectionError: if nobody listens there.
    """
    check_reachable(service)

    @tf.autograph.experimental.do_not_convert
    def part(step: tf.Tensor) -> tf.data.Dataset:
        return batches(step).take(STEPS)

    whole = tf.data.Dataset.range(first_step, tf.int64.max, STEPS).flat_map(part)
    distribute = tf.data.experimental.service.distribute(
        tf.data.experimental.service.ShardingPolicy.DYNAMIC, service
    )
    return whole.prefetch(tf.data.AUTOTUNE).apply(distribute)


def check_reachable(service: str, seconds: float = _SECONDS_TO_CONNECT) -> None:
    """Raises ConnectionError if nobody listens at `grpc://host:port` for so long, for
    which TensorFlow would wait without end."""
    host, _, port = service.removeprefix(_PROTOCOL).rpartition(":")
    if not service.startswith(_PROTOCOL) or not host or not port.isdecimal():
        raise ValueError(f"data_service={service!r} is not {_PROTOCOL}host:port.")
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((host, int(port)), 5).close()
            return
        except OSError as error:
            if time.monotonic() > end:
                raise ConnectionError(
                    f"Nobody answers at data_service={service} ({error}): start "
                    "`slimnets data-service dispatcher` there, and workers."
                ) from None
            time.sleep(0.2)
