"""What a comparison found, as a table, JSON, CSV or a plot."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import pathlib
import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from slimnets.benchmarking.workload import Work

FORMATS = (".json", ".csv", ".png", ".svg", ".pdf")
_TRAINING_PASSES = 3  # Forward, and gradients of activations and of weights.


@dataclasses.dataclass(frozen=True)
class Result:
    """One subject's figures for a work; None where there are none.

    Attributes:
        subject: who did it.
        work: what.
        images_per_second: at the median step.
        ratio: slimnets' images per second over the subject's: the median over turns
            of what the two had in the same turn.
        ratio_low, ratio_high: the quartiles of that.
        latency_ms: the median of a step, in milliseconds.
        latency_90_ms, latency_99_ms: percentiles of it.
        cpu_ms: the processors' time of a step, of all threads: the median over turns.
            With one thread it hardly depends on what else the machine does.
        build_seconds: until the network was there, imports included.
        first_call_seconds: of the first step, traces and optimizations included.
        peak_memory_mb: of its process.
        share: of the machine's own rate of multiply-adds in matrix products.
        steps: how many were timed.
        error: why there are no figures.
    """

    subject: str
    work: Work
    images_per_second: float | None = None
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    latency_ms: float | None = None
    latency_90_ms: float | None = None
    latency_99_ms: float | None = None
    cpu_ms: float | None = None
    build_seconds: float | None = None
    first_call_seconds: float | None = None
    peak_memory_mb: float | None = None
    share: float | None = None
    steps: int = 0
    error: str = ""

    def flat(self) -> dict[str, Any]:
        """Returns all of it in one row."""
        row = dataclasses.asdict(self)
        work = row.pop("work")
        return {"subject": row.pop("subject"), **work, **row}


def result_of(
    subject: str,
    work: Work,
    about: Mapping[str, Any],
    turns: Sequence[Sequence[float]],
    own_turns: Sequence[Sequence[float]],
    multiply_adds: int | None,
    rate: float | None,
) -> Result:
    """Returns the figures of a subject.

    Args:
        subject: its name.
        work: what it did.
        about: what its process said of itself.
        turns: seconds of the steps of each turn.
        own_turns: slimnets' own.
        multiply_adds: of a forward pass, if known.
        rate: multiply-adds in a second of a matrix product, if known.
    """
    steps = sorted(second for turn in turns for second in turn)
    middle = statistics.median(steps)
    low, ratio, high = quartiles(
        statistics.median(theirs) / statistics.median(ours)
        for theirs, ours in zip(turns, own_turns, strict=True)
    )
    share, cpu = None, about.get("cpu_seconds")
    if multiply_adds and rate:
        passes = _TRAINING_PASSES if work.mode == "training" else 1
        share = passes * multiply_adds / middle / rate
    return Result(
        subject,
        work,
        images_per_second=work.batch_size / middle,
        ratio=ratio,
        ratio_low=low,
        ratio_high=high,
        latency_ms=1e3 * middle,
        latency_90_ms=1e3 * percentile(steps, 90),
        latency_99_ms=1e3 * percentile(steps, 99),
        cpu_ms=1e3 * statistics.median(cpu) if cpu else None,
        build_seconds=about["build_seconds"],
        first_call_seconds=about["first_call_seconds"],
        peak_memory_mb=about.get("peak_memory_mb"),
        share=share,
        steps=len(steps),
    )


def quartiles(values: Iterable[float]) -> tuple[float, float, float]:
    """The lower quartile, the median and the upper quartile."""
    ordered = sorted(values)
    middle = statistics.median(ordered)
    return percentile(ordered, 25), middle, percentile(ordered, 75)


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest of sorted values that `percent` of them do not exceed."""
    index = -(-len(ordered) * percent // 100) - 1
    return ordered[max(int(index), 0)]


_INDENT = 12
_COLUMNS = (
    ("images/s", 9, "{0.images_per_second:.1f}"),
    ("ratio", 6, "{0.ratio:.2f}"),
    ("quartiles", 11, "{0.ratio_low:.2f}-{0.ratio_high:.2f}"),
    ("ms", 8, "{0.latency_ms:.1f}"),
    ("90 %", 8, "{0.latency_90_ms:.1f}"),
    ("99 %", 8, "{0.latency_99_ms:.1f}"),
    ("CPU ms", 8, "{0.cpu_ms:.1f}"),
    ("build s", 8, "{0.build_seconds:.1f}"),
    ("first s", 8, "{0.first_call_seconds:.1f}"),
    ("MB", 6, "{0.peak_memory_mb:.0f}"),
    ("of matmul", 10, "{0.share:.0%}"),
)


def header(width: int | None = None) -> str:
    """The names of a table's columns.

    Args:
        width: of the terminal, in characters; columns that it has no room for come in
            lines of their own. None for one line.
    """
    names = [f"{name:>{size}}" for name, size, _ in _COLUMNS]
    return _broken(f"{'subject':<{_INDENT}}", names, width)


def row(result: Result, width: int | None = None) -> str:
    """A result as a row of a table, broken as its header is."""
    start = f"{result.subject:<{_INDENT}}"
    if result.error:
        return start + result.error
    cells = []
    for _, size, text in _COLUMNS:
        try:
            cell = text.format(result)
        except TypeError:  # There is no such figure.
            cell = "-"
        cells.append(f"{cell:>{size}}")
    return _broken(start, cells, width)


def _broken(start: str, cells: Sequence[str], width: int | None) -> str:
    """Joins cells, in as many lines as it takes."""
    lines = [start]
    for cell in cells:
        if width and len(lines[-1]) > _INDENT and len(lines[-1] + cell) > width:
            lines.append(" " * _INDENT)
        lines[-1] += cell
    return "\n".join(lines)


def table(results: Sequence[Result]) -> str:
    """Returns the results as text, a table for each work."""
    lines: list[str] = []
    work = None
    for result in results:
        if result.work != work:
            work = result.work
            lines += ["" if lines else machine(), str(work), header()]
        lines.append(row(result))
    return "\n".join(lines)


def machine() -> str:
    """What the figures were measured on."""
    allowed = getattr(os, "sched_getaffinity", None)  # Not on macOS and Windows.
    cores = len(allowed(0)) if allowed else os.cpu_count()
    return f"{platform.machine()}, {platform.system()}, {cores} cores"


def checked_output(path: str) -> str:
    """Returns the path; raises ValueError unless it ends in one of FORMATS."""
    if pathlib.Path(path).suffix.lower() not in FORMATS:
        raise ValueError(f"The output {path} must end in {', '.join(FORMATS)}.")
    return path


def write(results: Sequence[Result], path: str) -> None:
    """Writes results as JSON or CSV, or draws them, by what the path ends in.

    Raises:
        ValueError: for another ending.
        ImportError: for a plot without matplotlib.
    """
    file = pathlib.Path(checked_output(path))
    suffix = file.suffix.lower()
    if suffix not in (".json", ".csv"):
        _plot(results, file)
        return
    rows = [result.flat() for result in results]
    if suffix == ".json":
        text = json.dumps({"machine": machine(), "results": rows}, indent=2) + "\n"
    else:
        stream = io.StringIO()
        writer = csv.DictWriter(stream, list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)
        text = stream.getvalue()
    file.write_text(text, encoding="utf-8")


def _plot(results: Sequence[Result], path: pathlib.Path) -> None:
    """Draws a group of bars for each work, a bar for each subject."""
    from slimnets.inspection.plot import figure_class, save

    shown = [result for result in results if not result.error]
    works = list(dict.fromkeys(result.work for result in shown))
    subjects = list(dict.fromkeys(result.subject for result in shown))
    figure = figure_class()(figsize=(8, 1 + 0.9 * max(len(works), 1)))
    axes = figure.add_axes((0.3, 0.5 / figure.get_figheight(), 0.65, 0.8))
    height = 0.8 / max(len(subjects), 1)
    for index, subject in enumerate(subjects):
        own = [result for result in shown if result.subject == subject]
        places = [works.index(result.work) + index * height for result in own]
        values = [result.images_per_second for result in own]
        bars = axes.barh(places, values, height, label=subject)
        axes.bar_label(bars, fmt="%.3g", fontsize=7, padding=2)
    middle = (len(subjects) - 1) * height / 2
    axes.set_yticks([i + middle for i in range(len(works))])
    axes.set_yticklabels([str(work).replace(", ", "\n", 1) for work in works])
    axes.tick_params(labelsize=7)
    axes.invert_yaxis()
    axes.set_xlabel("images per second", fontsize=8)
    axes.legend(fontsize=7)
    save(figure, path)
