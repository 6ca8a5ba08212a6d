"""Runs the subjects of a comparison in turns."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence

from slimnets.benchmarking.comparison_table import Result, result_of
from slimnets.benchmarking.turns import Child, environment, in_turns
from slimnets.benchmarking.workload import MATMUL, OWN, PEERS, Work, file_of
from slimnets.export.formats import get_format
from slimnets.inspection import summarize
from slimnets.listing import one_line

__all__ = ["Child", "measure"]
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
    works = [work.sized() for work in works]
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
        rate = children[MATMUL].matrix_rate()
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
            [*program, name], capture_output=True, text=True, env=environment(work)
        )
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:]
            errors[name] = f"it cannot be exported: {one_line(' '.join(last), 300)}"
    return errors
