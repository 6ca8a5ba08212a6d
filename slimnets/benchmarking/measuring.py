"""Runs the subjects of a comparison in turns."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from slimnets import factory
from slimnets.benchmarking.comparison_table import Result, result_of
from slimnets.benchmarking.workload import MATMUL, OWN, PEERS, Work, file_of
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
    works = [_sized(work) for work in works]
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


def _sized(work: Work) -> Work:
    size = work.image_size or factory.network_info(work.network).default_image_size
    if size is None:
        raise ValueError(f"{work.network} has no default image size; give one.")
    return dataclasses.replace(work, image_size=size)


def _measure_one(work: Work, compare: Sequence[str], turns: int) -> list[Result]:
    names = [MATMUL, OWN, *(name for name in compare if name != OWN)]
    shape = [work.batch_size, work.image_size, work.image_size, 3]
    network, options = work.built
    counted = summarize(
        network, num_classes=work.num_classes, input_shape=shape, **options
    ).multiply_adds
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        errors = _prepare(work, names, directory)
        # Made one after the other: building is timed too.
        children = {
            name: stack.enter_context(Child(name, work, directory))
            for name in names
            if name not in errors
        }
        errors |= {
            name: child.about["error"]
            for name, child in children.items()
            if "error" in child.about
        }
        if OWN in errors:
            raise RuntimeError(f"slimnets cannot run {work}: {errors[OWN]}")
        running = [name for name in names if name not in errors]
        for _ in range(turns):
            for name in running:
                children[name].take_turn()
    own = children[OWN]
    rate = None
    if MATMUL in running:
        rate = children[MATMUL].matrix_rate()
    return [
        Result(name, work, error=errors[name])
        if name in errors
        else result_of(
            name,
            work,
            children[name].about,
            children[name].turns,
            own.turns,
            counted,
            rate,
        )
        for name in names
        if name != MATMUL
    ]


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
            errors[name] = f"it cannot be exported: {' '.join(last)[:300]}"
    return errors


def _environment(work: Work) -> dict[str, str]:
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
    if work.threads:
        environment["OMP_NUM_THREADS"] = str(work.threads)
    return environment


class Child:
    """A worker process, and what it has said.

    Attributes:
        about: what it said when it was ready, and its memory.
        turns: the seconds of each step, of each turn.
    """

    def __init__(self, name: str, work: Work, directory: str):
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
        self.about: dict[str, Any] = {}

    def __enter__(self) -> Child:
        self.about = self._read()
        return self

    def __exit__(self, *error: Any) -> None:
        self._stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stdout.close()
        self._errors.close()

    def take_turn(self) -> None:
        steps = self._steps or 1
        self._stdin.write(f"{steps}\n")
        self._stdin.flush()
        said = self._read()
        if "error" in said:
            raise RuntimeError(said["error"])
        seconds = said["seconds"]
        if self._steps is None:  # The first turn tells how long a step takes.
            self._steps = max(1, int(_SECONDS_PER_TURN / max(seconds)))
        else:
            self.about["peak_memory_mb"] = said["peak_memory_mb"]
            self.about.setdefault("cpu_seconds", []).append(said["cpu_seconds"])
        self.turns.append(seconds)

    def matrix_rate(self) -> float:
        """Multiply-adds in a second, of the matrix product."""
        from slimnets.benchmarking.peers import MATRIX

        steps = sorted(second for turn in self.turns for second in turn)
        return MATRIX**3 / steps[len(steps) // 2]

    def _read(self) -> dict[str, Any]:
        line = self._stdout.readline()
        if line:
            return json.loads(line)
        self._errors.seek(0)
        last = self._errors.read().decode(errors="replace").strip().splitlines()[-1:]
        return {"error": f"the process ended: {' '.join(last)[:200]}"}
