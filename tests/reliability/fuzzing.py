"""Reads damaged files, one after the other, and counts what comes of it."""

from __future__ import annotations

import dataclasses
import faulthandler
import json
import os
import pathlib
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np

from tests.reliability.mutations import mutated

ROOT = pathlib.Path(__file__).parents[2]
SECONDS_PER_FILE = 120
_SECONDS = 3000
# Beyond what the process had after reading the undamaged file.
MEGABYTES = 400
# What is asked for in one piece and never used counts here; it fails as MemoryError.
_SPARE_ADDRESSES = 4 * 2**30


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of files.

    Attributes:
        write: writes an undamaged one.
        path: its name, or that of what it is a part of.
        read: reads it in every way that slimnets does.
        damaged: the name of the file that is damaged; None for `path`.
        damage: a function from random numbers and the undamaged bytes to damaged ones.
        refusals: what `read` may raise.
        megabytes: what reading may take.
    """

    write: Callable[[str], None]
    path: str
    read: Callable[[str], None]
    damaged: str | None = None
    damage: Callable[[np.random.Generator, bytes], bytes] = mutated
    refusals: tuple[type[Exception], ...] = (ValueError, FileNotFoundError)
    megabytes: int = MEGABYTES


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _limit_addresses(megabytes: int) -> None:
    with open("/proc/self/statm", encoding="ascii") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    limit = used + megabytes * 2**20 + _SPARE_ADDRESSES
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def run(kind: Kind, seed: int, count: int) -> dict[str, float]:
    """Reads `count` damaged files.

    Returns:
        How many were read and refused, the memory that it took beyond the first, and
        the seconds of the slowest.

    Raises:
        MemoryError: for a file that took too much. One that takes SECONDS_PER_FILE
            ends the process, with the stacks of its threads on standard error.
    """
    kind.write(kind.path)
    kind.read(kind.path)
    damaged = kind.damaged or kind.path
    with open(damaged, "rb") as file:
        original = file.read()
    before = _peak_megabytes()
    _limit_addresses(kind.megabytes)
    result = {"read": 0, "refused": 0}
    slowest = 0.0
    for number in range(count):
        with open(damaged, "wb") as file:
            file.write(kind.damage(np.random.default_rng([seed, number]), original))
        faulthandler.dump_traceback_later(SECONDS_PER_FILE, exit=True)
        start = time.monotonic()
        try:
            kind.read(kind.path)
            result["read"] += 1
        except kind.refusals:
            result["refused"] += 1
        slowest = max(slowest, time.monotonic() - start)
        faulthandler.cancel_dump_traceback_later()
        grown = _peak_megabytes() - before
        if grown > kind.megabytes:
            raise MemoryError(f"file {number} of seed {seed} took {grown:.0f} MB")
    return {**result, "megabytes": round(grown), "slowest": round(slowest, 2)}


def main(kinds: dict[str, Kind]) -> None:
    """`KIND,KIND... SEED COUNT` as arguments of a process; prints all as JSON."""
    faulthandler.enable()
    warnings.simplefilter("ignore")
    names, seed, count = sys.argv[1:]
    results, start = {}, os.getcwd()
    for name in names.split(","):
        os.makedirs(os.path.join(start, name))
        os.chdir(os.path.join(start, name))
        results[name] = run(kinds[name], int(seed), int(count))
    print(json.dumps(results))


def fuzz(module: str, names: str, seed: int, count: int, directory) -> None:
    """Runs a module of `main` in a process of its own and prints what it counts."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            f"tests.reliability.{module}",
            names,
            *map(str, (seed, count)),
        ],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_SECONDS,
    )
    assert done.returncode == 0, f"{names}, seed {seed}: {done.stderr[-3000:]}"
    for name, counts in json.loads(done.stdout).items():
        print(f"{name}: {counts}")
        assert counts["read"] + counts["refused"] == count
        # The damage is neither all harmless nor all noticed at once.
        assert counts["refused"] > 0
