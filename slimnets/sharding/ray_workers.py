"""The workers of a Ray cluster, each an actor that opens what it needs once.

Why actors, and not Ray Data: it gives no promise that what a lost worker has written is
not there twice, forms batches of whatever rows arrive together, and keeps no note of
what a driver that was killed had finished. Why no plain tasks: Ray may run those of one
driver in as many processes as a machine has processors, each with a network of its own.

A worker has two processors, or a GPU with its share of them, and one shard at a time:
more would wait in its memory. Its images are decoded under Python's lock, so that it
makes no use of many processors. One that is lost is begun anew as
long as its machine is there, and machines that come later get workers too.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import importlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from slimnets import extras
from slimnets.listing import one_line
from slimnets.sharding.options import EngineOptions
from slimnets.sharding.shards import Shard, ShardsFailed, Work

# A shard that ends so many workers, or fails so often, is given up; a machine whose
# workers cannot begin as often, too.
MOST_TRIES = 3
# Nothing large goes through Ray's store: names of images there, results back.
_STORE = 200 * 2**20
_SECONDS_BETWEEN_LOOKS = 2.0
_SECONDS_IN_SILENCE = 60.0
# Ray would end workers where other programs fill the memory, and tell its makers of
# its use.
_ENVIRONMENT = {
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}


class _Worker:
    """Runs in a process of the cluster."""

    def __init__(self, open_work: Callable[[], Work], folder: str, modules: list[str]):
        with contextlib.suppress(OSError):  # Paths may be relative to it.
            os.chdir(folder)
        sys.path.insert(0, folder)
        for module in modules:
            importlib.import_module(module)
        self._work = open_work()

    def begun(self) -> None:
        """Returns when it has."""

    def do(self, items: Any) -> Any:
        return self._work(items)


def finished_by_ray(
    shards: Sequence[Shard],
    numbers: Sequence[int],
    open_work: Callable[[], Work],
    options: EngineOptions,
    say: Callable[[str], None],
    at_a_time: int | None,
) -> Iterator[tuple[int, Any]]:
    """As `engines.finished`."""
    if not numbers:
        return
    ray = extras.require("engine='ray' needs", "ray", "ray")
    with _joined(ray, options.engine_address):
        begin = (open_work, os.getcwd(), list(options.imports))
        cpus = options.engine_cpus
        yield from _Pool(ray, shards, numbers, begin, say, cpus, at_a_time).results()


@contextlib.contextmanager
def _joined(ray: Any, address: str | None) -> Iterator[None]:
    """The cluster at an address, or one of this machine; one that the program has
    joined before, if there is one."""
    if ray.is_initialized():
        yield
        return
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    of_one = {
        "num_cpus": os.cpu_count(),
        "object_store_memory": _STORE,
        "include_dashboard": False,
    }
    for left in reversed(range(1 if address else MOST_TRIES)):
        try:
            ray.init(
                address=address or "local",
                logging_level="ERROR",
                log_to_driver=False,
                **({} if address else of_one),
            )
            break
        except Exception as error:  # Ray's own are of many kinds.
            ray.shutdown()
            # On a busy machine half a minute, which it has, may not be enough.
            if not left:
                where = f"Ray at engine_address={address}" if address else "a Ray here"
                raise ConnectionError(
                    f"Cannot reach {where}: {one_line(error, 200)}"
                ) from None
    try:
        yield
    finally:
        ray.shutdown()


@dataclasses.dataclass
class _Place:
    """A part of a machine, for one worker.

    Attributes:
        node, host: the machine.
        cpus, gpus: what the worker gets of it.
        worker: which is there; None for one that is to begin.
        free: how many more shards it takes on; none before it has begun.
        begun: how many workers have begun here.
        closed: why none begins here any more.
    """

    node: str
    host: str
    cpus: int
    gpus: int
    worker: Any = None
    free: int = 0
    begun: int = 0
    closed: str = ""


@dataclasses.dataclass(frozen=True)
class _Asked:
    """What a worker was asked for: a shard, or with None whether it has begun."""

    place: _Place
    worker: Any
    number: Any = None


class _Pool:
    """Hands shards to workers, one by one, and takes what they make of them."""

    def __init__(self, ray, shards, numbers, begin, say, cpus, at_a_time):
        self._ray, self._shards, self._say = ray, shards, say
        self._begin, self._cpus, self._at_a_time = begin, cpus, at_a_time
        self._queue = collections.deque(numbers)
        self._asked: dict[Any, _Asked] = {}
        self._places: dict[tuple[str, int], _Place] = {}
        self._tries: collections.Counter = collections.Counter()
        self._failed: dict[int, str] = {}
        # When there was something to wait for beside results, or it was said.
        self._moved = time.monotonic()

    def results(self) -> Iterator[tuple[int, Any]]:
        """Yields numbers of shards and results until all are there, or given up."""
        while self._queue or any(a.number is not None for a in self._asked.values()):
            self._hand_out()
            if not self._asked:  # For machines to come.
                time.sleep(_SECONDS_BETWEEN_LOOKS)
                continue
            ready, _ = self._ray.wait(
                list(self._asked), num_returns=1, timeout=_SECONDS_BETWEEN_LOOKS
            )
            for reference in ready:
                asked = self._asked.pop(reference)
                place = asked.place
                try:
                    result = self._ray.get(reference)
                except self._ray.exceptions.RayTaskError as error:
                    self._fail(asked.number, place, str(error.cause))
                except self._ray.exceptions.RayError as error:
                    self._lose(asked, error)
                    continue
                else:
                    if asked.number is None:
                        processors = max(place.cpus, 1)
                        place.free = min(self._at_a_time or processors, processors)
                        continue
                    yield asked.number, result
                if place.worker is asked.worker:  # Not of one that was lost meanwhile.
                    place.free += 1
        self._check_failed()

    def _hand_out(self) -> None:
        """Begins workers wherever there is room for one, and gives those that are free
        something to do.

        Raises:
            RuntimeError: if none can begin anywhere.
        """
        alive = [node for node in self._ray.nodes() if node["Alive"]]
        for node in alive:
            for index, place in enumerate(_places_of(node, self._cpus)):
                self._places.setdefault((place.node, index), place)
        nodes = {node["NodeID"] for node in alive}
        there = [place for place in self._places.values() if place.node in nodes]
        for place in there:
            if place.worker is None and not place.closed:
                self._start(place)
            while place.free and self._queue:
                place.free -= 1
                number = self._queue.popleft()
                reference = place.worker.do.remote(self._shards[number].items)
                self._asked[reference] = _Asked(place, place.worker, number)
        if there and all(place.closed for place in there):
            raise RuntimeError(
                f"No worker could begin; of the last the reason was: {there[-1].closed}"
            )
        now = time.monotonic()
        if any(asked.number is not None for asked in self._asked.values()):
            self._moved = now
        elif now > self._moved + _SECONDS_IN_SILENCE:
            self._moved = now
            self._say(
                f"waits for workers: {len(there)} are to begin, on {len(alive)} "
                "machines, once their processors are free"
            )

    def _start(self, place: _Place) -> None:
        on_node = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        options = {
            "num_cpus": place.cpus,
            "num_gpus": place.gpus,
            "max_concurrency": max(place.cpus, 1),
            "scheduling_strategy": on_node(place.node, soft=False),
        }
        place.worker = self._ray.remote(_Worker).options(**options).remote(*self._begin)
        place.begun += 1
        self._asked[place.worker.begun.remote()] = _Asked(place, place.worker)

    def _lose(self, asked: _Asked, error: Any) -> None:
        """Takes back what was asked of a worker that is no more."""
        place, reason = asked.place, _last_line(error)
        if place.worker is asked.worker:  # Else that is known.
            place.worker, place.free = None, 0
            if getattr(error, "actor_init_failed", False):
                place.closed = f"{place.host}: {reason}"
            elif place.begun >= MOST_TRIES and asked.number is None:
                place.closed = f"{place.host}: {place.begun} workers were lost"
            what = place.closed or f"{place.host} is lost, what it had is done again"
            self._say(f"a worker of {what}")
        if asked.number is not None:
            self._fail(asked.number, place, f"its worker was lost: {reason}")

    def _fail(self, number: int, place: _Place, reason: str) -> None:
        """Puts a shard back, or gives it up."""
        self._tries[number] += 1
        if self._tries[number] < MOST_TRIES:
            self._queue.appendleft(number)
            return
        self._failed[number] = f"{place.host}: {one_line(reason, 300)}"

    def _check_failed(self) -> None:
        """Raises ShardsFailed with a table of those that were given up."""
        if not self._failed:
            return
        rows = [(self._shards[n].title, why) for n, why in sorted(self._failed.items())]
        width = max(len(title) for title, _ in rows)
        for title, why in rows:
            self._say(f"failed: {title:{width}}  {why}")
        raise ShardsFailed(
            f"{len(rows)} of {len(self._shards)} shards failed {MOST_TRIES} times each "
            f"({rows[0][0]}: {rows[0][1]}); the others are finished, and the same "
            "command goes on with these."
        )


def _places_of(node: dict[str, Any], cpus: int) -> list[_Place]:
    """Where workers of a machine go, which have so many processors, or a GPU."""
    resources = node["Resources"]
    gpus, there = int(resources.get("GPU", 0)), int(resources.get("CPU", 0))
    if not gpus and not there:  # Such as a head that is not to compute.
        return []
    number = gpus or max(there // cpus, 1)
    share = there // number if gpus else min(cpus, there)
    name = node["NodeManagerHostname"]
    return [_Place(node["NodeID"], name, share, min(gpus, 1)) for _ in range(number)]


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
