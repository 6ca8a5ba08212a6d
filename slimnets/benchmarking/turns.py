"""Subjects of a comparison in processes of their own, which take turns."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any, TypeVar

from slimnets.benchmarking.peers import MATRIX
from slimnets.benchmarking.workload import Work
from slimnets.listing import one_line

# A turn is as many steps as take about this long, but at least one.
_SECONDS_PER_TURN = 0.5
_Key = TypeVar("_Key")


def in_turns(
    subjects: Mapping[_Key, tuple[str, Work, str]], turns: int
) -> dict[_Key, Child]:
    """Runs subjects, each in a process of its own, turn by turn.

    Args:
        subjects: by any key; see `Child`.
        turns: how often each has its turn, unless it has failed.
    """
    with contextlib.ExitStack() as stack:
        # Made one after the other: building is timed too.
        children = {
            key: stack.enter_context(Child(*subject))
            for key, subject in subjects.items()
        }
        for _ in range(turns):
            for child in children.values():
                if not child.error:
                    child.take_turn()
    return children


class Child:
    """A worker process, and what it has said.

    Args:
        name: of the subject.
        work: what it does.
        directory: where the exported network lies.

    Attributes:
        about: what it said when it was ready, and its memory.
        error: why it cannot do the work, or did not go on with it; empty if it can.
        turns: the seconds of each step, of each turn.
        shares: of the processors, what the process had of what it could have used, in
            each turn.
    """

    def __init__(self, name: str, work: Work, directory: str):
        self.about: dict[str, Any] = {}
        self.error = ""
        self.turns: list[list[float]] = []
        self.shares: list[float] = []
        self._steps: int | None = None
        # Closed in __exit__.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "slimnets.benchmarking.worker",
                name,
                json.dumps(dataclasses.asdict(work)),
                directory,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment(work),
        )
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin and stdout  # Both are pipes.
        self._stdin, self._stdout = stdin, stdout

    def __enter__(self) -> Child:
        self.about = self._read()
        return self

    def __exit__(self, *error: Any) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stdout.close()
        self._errors.close()

    def take_turn(self) -> None:
        with contextlib.suppress(BrokenPipeError):  # What it died of is read below.
            self._stdin.write(f"{self._steps or 1}\n")
            self._stdin.flush()
        said = self._read()
        if self.error:
            return
        seconds = said["seconds"]
        if self._steps is None:  # The first turn tells how long a step takes.
            self._steps = max(1, int(_SECONDS_PER_TURN / max(seconds)))
        else:
            self.about["peak_memory_mb"] = said["peak_memory_mb"]
            self.about.setdefault("cpu_seconds", []).append(said["cpu_seconds"])
        self.turns.append(seconds)
        self.shares.append(said["share"])

    def matrix_rate(self) -> float:
        """Multiply-adds in a second, of the matrix product."""
        return MATRIX**3 / statistics.median(itertools.chain(*self.turns))

    def _read(self) -> dict[str, Any]:
        line = self._stdout.readline()
        if line:
            said = json.loads(line)
            self.error = said.get("error", "")
            return said
        self._errors.seek(0)
        last = self._errors.read().decode(errors="replace").strip().splitlines()[-1:]
        self.error = f"the process ended: {one_line(' '.join(last), 200)}"
        return {}


def environment(work: Work) -> dict[str, str]:
    """Returns the variables of a process that does some work."""
    variables = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
    if work.threads:
        variables["OMP_NUM_THREADS"] = str(work.threads)
    return variables
