"""Who works on shards: this process, one after the other, or a cluster's workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from slimnets.sharding.options import RAY, EngineOptions
from slimnets.sharding.ray_workers import finished_by_ray
from slimnets.sharding.shards import Shard, Work


def finished(
    shards: Sequence[Shard],
    numbers: Sequence[int],
    open_work: Callable[[], Work],
    options: EngineOptions,
    say: Callable[[str], None] = lambda line: None,
    at_a_time: int | None = 1,
) -> Iterator[tuple[int, Any]]:
    """Yields the numbers of shards with what was made of them, as they are finished.

    Args:
        shards: all of them.
        numbers: of those to work on.
        open_work: what every worker calls once; for Ray, which sends it, a function of
            a module or a `functools.partial` of one.
        options: who works.
        say: is told what becomes of workers.
        at_a_time: how many shards a worker of a cluster takes on, in threads; None for
            one for each of its processors.

    Raises:
        ShardsFailed: at the end, if some could not be finished.
        ImportError: without Ray, if it is to work.
        ConnectionError: if there is no such cluster.
    """
    if options.engine == RAY:
        yield from finished_by_ray(shards, numbers, open_work, options, say, at_a_time)
        return
    work = open_work()
    for number in numbers:
        yield number, work(shards[number].items)
