"""Training by parameter servers: workers take steps on their own, in no fixed order.

The variables lie on processes of the job `ps`. The chief has the workers, of the job
`worker`, take steps, each with a batch of its own: a worker reads the variables, and
adds its update to what they have become meanwhile. Between the calls of the loop, where
the chief writes and measures, no worker changes anything. It is
`tf.distribute.ParameterServerStrategy` with its `ClusterCoordinator`, which gives a
lost worker's steps to the others and takes the worker back when it is there again.

Source: Dean et al., Large Scale Distributed Deep Networks, 2012, section 4.1.
"""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import tensorflow as tf

from slimnets.listing import one_line
from slimnets.training import feeding
from slimnets.training.signals import TrainingInterrupted, stop_on_signals
from slimnets.training.step import Sums, Training, make_step_function

# How long a worker or a parameter server waits for the chief, at its start or when it
# is lost; and how long the chief waits for any worker to end its steps.
SECONDS_WITHOUT_CHIEF = 600
SECONDS_WITHOUT_STEP = 600
# Steps of each worker in a call of the loop, at least: the workers wait for the last
# of them at its end.
STEPS_PER_WORKER = 4
_SECONDS_TO_CONNECT = 5
_SECONDS_BETWEEN_LOOKS = 1.0
# Ends what a process is told; a file without it is still being written.
_END = "\n"
_LONGEST_NAP = 0.02


def is_asynchronous(strategy: tf.distribute.Strategy) -> bool:
    """Whether workers change the weights in no fixed order."""
    return isinstance(strategy, tf.distribute.ParameterServerStrategy)


@functools.cache
def make_strategy() -> tf.distribute.Strategy:
    """The chief's strategy, of the environment's cluster, whose processes it waits for.

    Raises:
        ValueError: if the workers have more than one GPU each.
    """
    # One for all runs of a process: TensorFlow connects to one cluster.
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    strategy = tf.distribute.ParameterServerStrategy(resolver)
    if strategy.num_replicas_in_sync > 1:
        raise ValueError(
            f"The workers have {strategy.num_replicas_in_sync} GPUs each; with "
            "strategy=parameter_server one process has one at most. Start one worker "
            "for each GPU, with CUDA_VISIBLE_DEVICES naming it."
        )
    return strategy


class Workers:
    """The workers, as the chief sees them.

    Attributes:
        number: how many there are.
    """

    def __init__(self, strategy: tf.distribute.Strategy):
        self._strategy = strategy
        self._coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
        # The strategy does not tell its cluster.
        devices = [
            tf.DeviceSpec.from_string(device.name)
            for device in tf.config.list_logical_devices("CPU")
        ]
        self._others = [
            (device.job, device.task)
            for device in devices
            if device.job in ("worker", "ps") and device.device_index == 0
        ]
        self.number = sum(job == "worker" for job, _ in self._others)

    def batches(
        self,
        read: Callable[[int, tf.distribute.InputContext], tf.data.Dataset],
        batch_size: int,
    ) -> Iterable:
        """Batches for the workers: each has the share that its index says.

        Rounds of `number * batch_size` images are read in the order of the seed, and
        each worker gets its `batch_size` of every round: no two see the same image in
        a pass over the data, as long as they are equally fast. One that is started
        again begins where all began when this was called.

        Args:
            read: gives, for the size of a round and the worker's context, its share.
            batch_size: images of one worker's step.

        Raises:
            ValueError: if a round is larger than the data.
        """

        def share(context: tf.distribute.InputContext) -> tf.data.Dataset:
            index = tf.distribute.coordinator.experimental_get_current_worker_index()
            return share_of(read, self.number, index, batch_size)

        @tf.autograph.experimental.do_not_convert
        def dataset() -> Iterable:
            return feeding.distribute(
                self._strategy, share, batch_size=batch_size, parts=1
            )

        try:
            return self._coordinator.create_per_worker_dataset(dataset)
        except ValueError as error:
            raise ValueError(
                f"{error} A round of all {self.number} workers with batch_size="
                f"{batch_size} each is read at once."
            ) from None

    def make_step_function(
        self, training: Training
    ) -> Callable[[Any, tf.Tensor], Sums]:
        """Returns what `step.make_step_function` does, with the steps on the workers.

        Steps of a worker that is lost are taken again by another, so that some may
        count twice in the weights.
        """
        run = make_step_function(training)
        iterations = training.optimizer.iterations

        def take(iterator: Any, number: tf.Tensor) -> Sums:
            done, number = int(iterations), int(number)
            parts = min(number, STEPS_PER_WORKER * self.number)
            sizes = [(number + part) // parts for part in range(parts)]
            results = [
                self._coordinator.schedule(run, args=(iterator, tf.constant(size)))
                for size in sizes
            ]
            self._join()
            # The workers count by reading and writing, not in one operation.
            iterations.assign(done + number)
            sums = [result.fetch() for result in results]
            return {name: sum(values[name] for values in sums) for name in sums[0]}

        return take

    def tell(self, train_dir: str, message: str) -> None:
        """Tells all other processes that the run has ended; see `serve`."""
        for kind, index in self._others:
            device = f"/job:{kind}/task:{index}/device:CPU:0"
            # One that is lost waits for nothing.
            with contextlib.suppress(tf.errors.OpError), tf.device(device):
                tf.io.write_file(_mark(train_dir, kind, index), message + _END)

    def _join(self) -> None:
        """Waits until the workers have taken all steps.

        Raises:
            ConnectionError: if they do not for too long.
        """
        end = time.monotonic() + SECONDS_WITHOUT_STEP
        nap = 0.0005
        while not self._coordinator.done():
            if time.monotonic() > end:
                raise ConnectionError(
                    f"No worker has ended its steps for {SECONDS_WITHOUT_STEP} s: all "
                    "are lost, or far too slow. Start the same command again on all "
                    "machines; the run goes on from its last checkpoint."
                )
            time.sleep(nap)
            nap = min(2 * nap, _LONGEST_NAP)


def share_of(
    read: Callable[[int, tf.distribute.InputContext], tf.data.Dataset],
    number: int,
    index: tf.Tensor,
    batch_size: int,
) -> tf.data.Dataset:
    """One worker's share of each round; see `Workers.batches`.

    Args:
        read: gives, for the size of a round and a worker's context, its share.
        number: of workers.
        index: which of them, a scalar tensor.
        batch_size: images of a share.

    Returns:
        Any structure of tensors `[batch_size, ...]`.
    """
    context = tf.distribute.InputContext(number, tf.cast(index, tf.int32), number)

    def shaped(tensor: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(tensor, [batch_size, *tensor.shape[1:]])

    return read(number * batch_size, context).map(
        lambda *batch: tf.nest.map_structure(shaped, batch)
    )


@contextlib.contextmanager
def telling_workers(strategy: tf.distribute.Strategy, train_dir: str) -> Iterator[None]:
    """Tells workers and parameter servers, if there are any, how the run ended.

    After an error they are told nothing: they wait for the chief to be started again.
    """
    if not is_asynchronous(strategy):
        yield
        return
    workers = Workers(strategy)
    try:
        yield
    except TrainingInterrupted as interrupt:
        workers.tell(train_dir, str(interrupt))
        raise
    workers.tell(train_dir, "finished")


def serve(cluster: dict[str, Any], train_dir: str) -> str:
    """Is a worker or a parameter server until the chief has ended.

    Args:
        cluster: as `set_cluster` gives it.
        train_dir: the run's, where the chief has this process find that the run has
            ended; it need not be the same disk.

    Returns:
        How the run ended, for people.

    Raises:
        ConnectionError: if this process cannot listen at its address, or the chief is
            away for more than SECONDS_WITHOUT_CHIEF.
        TrainingInterrupted: on SIGINT or SIGTERM.
    """
    jobs, task = cluster["cluster"], cluster["task"]
    kind, index = task["type"], task["index"]
    own, chief = jobs[kind][index], jobs["chief"][0]
    mark = _mark(train_dir, kind, index)
    with contextlib.suppress(FileNotFoundError):
        os.remove(mark)
    with stop_on_signals() as stop, stop.at_once(f"{kind} {index} at {own}"):
        try:
            _server = tf.distribute.Server(
                jobs, job_name=kind, task_index=index, protocol="grpc"
            )
        except tf.errors.OpError as error:
            reason = one_line(error.message or "")
            raise ConnectionError(f"Cannot listen at {own}: {reason}.") from error
        seen = time.monotonic()
        while not (message := _text_of(mark)).endswith(_END):
            if _listens(chief):
                seen = time.monotonic()
            elif time.monotonic() - seen > SECONDS_WITHOUT_CHIEF:
                raise ConnectionError(
                    f"The chief at {chief} is away for {SECONDS_WITHOUT_CHIEF} s. "
                    "Start the same command again on all machines whose process has "
                    "ended; the run goes on from its last checkpoint."
                )
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        os.remove(mark)
    return message.removesuffix(_END)


def _mark(train_dir: str, kind: str, index: int) -> str:
    """The file that tells one process of a run that the run has ended."""
    return os.path.join(train_dir, f".ended-{kind}-{index}")


def _text_of(mark: str) -> str:
    try:
        with open(mark, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection(
            (host.strip("[]"), int(port)), _SECONDS_TO_CONNECT
        ).close()
    except OSError:
        return False
    return True
