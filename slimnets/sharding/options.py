"""Who works on the shards of a command, without TensorFlow: the command line reads
it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from slimnets.settings import DISTRIBUTION, setting

ONE, RAY = "one", "ray"


@dataclasses.dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """Who works on the shards of a command."""

    # fmt: off
    engine: str = setting(ONE, DISTRIBUTION, "Who works: one, this process; or ray, "
        "the workers of a Ray cluster, of as many machines as it has.",
        choices=(ONE, RAY))
    engine_address: str | None = setting(None, DISTRIBUTION, "host:port of the head of "
        "a Ray cluster; by default one is started on this machine, and ends with the "
        "command.", needs="engine")
    engine_cpus: int = setting(2, DISTRIBUTION, "Processors of a worker, of which a "
        "machine has as many as fit, each with a network of its own; one that has GPUs "
        "has one for each GPU.", least=1, needs="engine")
    # fmt: on
    # Modules that a worker imports first: what they register is there by its name.
    imports: Sequence[str] = ()

    def check_task(self, task: str, only: str, path: str) -> None:
        """Raises ValueError if an engine is to do what only one process does.

        Args:
            task: what a network is for.
            only: what engines are for.
            path: where the network is.
        """
        if self.engine != ONE and task != only:
            raise ValueError(
                f"engine={self.engine!r} is for {only} alone, and {path} is of {task}."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ManifestOptions(EngineOptions):
    """Who works, and where it is noted what is finished."""

    # fmt: off
    manifest: str | None = setting(None, DISTRIBUTION, "File of the shards that are "
        "finished, with which the same command goes on if it was stopped; it is "
        "removed at the end. By default it lies beside the output, else in this "
        "directory.", needs="engine")
    shard_size: int = setting(1024, DISTRIBUTION, "About so many images are a worker's "
        "at a time; it has whole batches.", least=1, needs="engine")
    # fmt: on
