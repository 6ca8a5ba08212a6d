"""Runs side by side: in what their settings differ, and what came of them.

All of it is read from the files that runs leave, without TensorFlow.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from slimnets.training.cluster import CLUSTER_SETTINGS
from slimnets.training.run_files import BEST, log_of, metadata_of, summary_of

_PREFIX = "test_"
_OF_HEADS = ("AP", "AP50", "AP75", "mean_iou", "boundary_f")
# Settings that say where a run lies, and nothing of what it is.
_PLACES = {"train_dir", *CLUSTER_SETTINGS}

Row = dict[str, Any]


def find_runs(paths: Sequence[str]) -> list[str]:
    """The directories of runs among `paths` and below them, in order.

    Raises:
        FileNotFoundError: if one of them is not there, or has no runs.
    """
    found: dict[str, None] = {}
    for path in paths:
        if not os.path.isdir(path):
            raise FileNotFoundError(f"There is no directory {path}.")
        before = len(found)
        for folder, below, _ in os.walk(path):
            if metadata_of(folder).get("config"):
                found[folder] = None
                below.clear()  # Its best/ is no run of its own.
            below.sort()
        if len(found) == before:
            raise FileNotFoundError(f"{path} holds no runs that slimnets has trained.")
    return list(found)


def table(paths: Sequence[str]) -> list[Row]:
    """A row for each run, all with the same columns; None where there is nothing.

    They are its directory, its step, whether it has ended, the measures of its last
    evaluation, and the settings in which the runs are not alike.
    """
    metadata = {path: metadata_of(path) for path in paths}
    configs = {path: known["config"] for path, known in metadata.items()}
    measured = {path: _measures(path) for path in paths}
    measures = dict.fromkeys(name for values in measured.values() for name in values)
    settings = [
        name
        for name in dict.fromkeys(name for c in configs.values() for name in c)
        if name not in _PLACES
        and len({json.dumps(c.get(name)) for c in configs.values()}) > 1
    ]
    return [
        {
            "run": path,
            "step": metadata[path].get("step"),
            "ended": summary_of(path).get("steps") == metadata[path].get("step"),
            **{name: measured[path].get(name) for name in measures},
            **{name: configs[path].get(name) for name in settings},
        }
        for path in paths
    ]


def in_order(rows: Sequence[Row], column: str) -> list[Row]:
    """The rows by a column, rising, or falling with a `-` before its name.

    Rows that have nothing there come last.

    Raises:
        ValueError: if there is no such column.
    """
    name, falling = column.removeprefix("-"), column.startswith("-")
    if name not in rows[0]:
        raise ValueError(f"sort={column}: the columns are {', '.join(rows[0])}.")
    there = [row for row in rows if row[name] is not None]
    numbers = all(isinstance(row[name], (int, float)) for row in there)
    there.sort(
        key=lambda row: row[name] if numbers else str(row[name]), reverse=falling
    )
    return there + [row for row in rows if row[name] is None]


def _measures(path: str) -> dict[str, float]:
    """Those of the last evaluation, and the best of all that were kept, by name."""
    values: dict[str, float] = {}
    for row in log_of(path):
        values |= {
            name.removeprefix(_PREFIX): float(value)
            for name, value in row.items()
            if name.startswith(_PREFIX) or name in _OF_HEADS
        }
    if (best := metadata_of(os.path.join(path, BEST)).get("score")) is not None:
        values["best"] = best
    return values
