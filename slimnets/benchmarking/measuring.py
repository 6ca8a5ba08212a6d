"""Runs the subjects of a comparison in turns."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from slimnets import factory
from slimnets.benchmarking.comparison_table import Result, result_of
from slimnets.benchmarking.peers import MATRIX
from slimnets.benchmarking.workload import MATMUL, OWN, PEERS, Work, file_of
from slimnets.checkpoints.base import one_line
from slimnets.export.formats import get_format
from slimnets.inspection import summarize

# A turn is as many steps as take about this long, but at least one.
_SECONDS_PER_TURN = 0.5
_ONNX_PACKAGES = ("onnx", "onnxruntime")


def measure(
    works: Iterable[Work],
    *,
    compare: Sequence[str] = (),
    turns: int = 10,
    report: Callable[[Result], None] | None = None,
) -> list[Result]:
    """Measures works one after the other, each by slimnets and its peers in turns.

    Args:
        works: what is measured.
        compare: some of PEERS. One that is not installed, or does not have the
            network, gives a result that says so.
        turns: how often each subject has its turn.
        report: called with each result as it comes.

    Returns:
        For each work a result of slimnets, and one of each peer.

    Raises:
        ValueError: for an unknown peer or network, one without an image size, a form
            that does not exist in the precision, or fewer than one turn.
        RuntimeError: if slimnets itself cannot do the work.
    """
    for name in compare:
        if name not in PEERS:
            raise ValueError(f"compare={name!r}; allowed are {', '.join(PEERS)}.")
    if turns < 1:
        raise ValueError(f"turns={turns}; allowed is 1 or more.")
    works = [sized(work) for work in works]
    for work in works:
        if work.from_file:
            get_format(work.form, work.precision)
    results = []
    for work in works:
        for result in _measure_one(work, compare, turns):
            results.append(result)
            if report is not None:
                report(result)
    return results


def sized(work: Work) -> Work:
    """Returns the work with an image size. Raises ValueError if there is none."""
    size = work.image_size or factory.network_info(work.network).default_image_size
    if size is None:
        raise ValueError(f"{work.network} has no default image size; give one.")
    return dataclasses.replace(work, image_size=size)


def _measure_one(work: Work, compare: Sequence[str], turns: int) -> list[Result]:
    names = [OWN, *(name for name in compare if name != OWN)]
    shape = [work.batch_size, work.image_size, work.image_size, 3]
    network, options = work.built
    counted = summarize(
        network, num_classes=work.num_classes, input_shape=shape, **options
    ).multiply_adds
    with tempfile.TemporaryDirectory() as directory:
        errors = _prepare(work, names, directory)
        ready = [name for name in (MATMUL, *names) if name not in errors]
        children = in_turns({name: (name, work, directory) for name in ready}, turns)
    errors |= {name: child.error for name, child in children.items() if child.error}
    if OWN in errors:
        raise RuntimeError(f"slimnets cannot run {work}: {errors[OWN]}")
    rate = None
    if MATMUL not in errors:
        rate = MATRIX**3 / statistics.median(itertools.chain(*children[MATMUL].turns))
    own, results = children[OWN], []
    for name in names:
        if name in errors:
            results.append(Result(name, work, error=errors[name]))
        else:
            about, steps = children[name].about, children[name].turns
            results.append(
                result_of(name, work, about, steps, own.turns, counted, rate)
            )
    return results


def _prepare(work: Work, names: Sequence[str], directory: str) -> dict[str, str]:
    """Exports what the subjects load. Returns what went wrong, by subject."""
    loading = [name for name in names if file_of(name, work, directory)]
    # A peer that is not installed says so itself.
    if not all(map(importlib.util.find_spec, _ONNX_PACKAGES)):
        loading = [name for name in loading if name != "onnxruntime"]
    text = json.dumps(dataclasses.asdict(work))
    program = [sys.executable, "-m", "slimnets.benchmarking.prepare", text, directory]
    errors = {}
    for name in loading:
        done = subprocess.run(
            [*program, name], capture_output=True, text=True, env=_environment(work)
        )
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:]
            errors[name] = f"it cannot be exported: {one_line(' '.join(last), 300)}"
    return errors


def _environment(work: Work) -> dict[str, str]:
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
    if work.threads:
        environment["OMP_NUM_THREADS"] = str(work.threads)
    return environment


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
    """

    def __init__(self, name: str, work: Work, directory: str):
        self.about: dict[str, Any] = {}
        self.error = ""
        self.turns: list[list[float]] = []
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
            env=_environment(work),
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
