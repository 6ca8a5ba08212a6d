"""Who works on shards: this process, one after the other, or a cluster's workers."""

from __future__ import annotations

import concurrent.futures
import os
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
    threads: int | None = 1,
) -> Iterator[tuple[int, Any]]:
    """Yields the numbers of shards with what was made of them, as they are finished.

    Args:
        shards: all of them.
        numbers: of those to work on.
        open_work: what every worker calls once; for Ray, which sends it, a function of
            a module or a `functools.partial` of one.
        options: who works.
        say: is told what becomes of workers.
        threads: how many shards a process takes on at a time; None for one for each of
            its processors.

    Raises:
        ShardsFailed: at the end, if some could not be finished.
        ImportError: without Ray, if it is to work.
        ConnectionError: if there is no such cluster.
    """
    if options.engine == RAY:
        yield from finished_by_ray(shards, numbers, open_work, options, say, threads)
        return
    work = open_work()
    if threads == 1:
        for number in numbers:
            yield number, work(shards[number].items)
        return
    with concurrent.futures.ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        asked = {pool.submit(work, shards[n].items): n for n in numbers}
        try:
            for done in concurrent.futures.as_completed(asked):
                yield asked[done], done.result()
        finally:
            pool.shutdown(cancel_futures=True)
