"""The files that a run leaves beside its checkpoints, and reading them.

For who looks at runs without TensorFlow. A run may be at work while they are read.
"""

from __future__ import annotations

import csv
import json
import os
import re
from typing import Any

STATE, LOG, SUMMARY, BEST = "checkpoint", "log.csv", "summary.json", "best"


def metadata_of(train_dir: str) -> dict[str, Any]:
    """What is written beside the latest checkpoint of a run; empty where none is.

    What is wrong with it, training says where it reads it.
    """
    try:
        with open(os.path.join(train_dir, STATE), encoding="utf-8") as file:
            name = re.search(r'^model_checkpoint_path: "(.*)"', file.read(), re.M)
    except (OSError, ValueError):
        return {}
    return _json_of(os.path.join(train_dir, f"{name[1]}.json")) if name else {}


def summary_of(train_dir: str) -> dict[str, Any]:
    """What an ended run wrote of itself; empty without."""
    return _json_of(os.path.join(train_dir, SUMMARY))


def log_of(train_dir: str) -> list[dict[str, str]]:
    """The rows of a run's log as they are written: a step, and what was measured at it;
    none without. A line without an end, which a full disk or the run itself may have
    left there, is none."""
    try:
        with open(os.path.join(train_dir, LOG), encoding="utf-8", newline="") as file:
            lines = [line for line in file if line.endswith("\n")]
    except FileNotFoundError:
        return []
    return [
        {name: value for name, value in row.items() if name and value}
        for row in csv.DictReader(lines)
    ]


def _json_of(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
