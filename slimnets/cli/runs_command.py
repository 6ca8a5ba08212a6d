"""Shows runs side by side: what came of them, and in which settings they differ.

Every DIRECTORY is one of a run, or has such below it. Measures are of the last
evaluation; `best` is that of the weights in best/.
"""

import csv
import json
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from slimnets.cli.command import Flag, UsageError
from slimnets.listing import table
from slimnets.training import run_table

ARGUMENTS = ("DIRECTORIES...",)

FLAGS = (
    Flag("string", "sort", None, "The column by which rows are sorted, rising; "
         "--sort=-accuracy is falling. By default they are in the order of their "
         "names."),
    Flag("enum", "format", "text", "How the table is written.",
         enum_values=["text", "csv", "json"]),
)  # fmt: skip


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    if not arguments:
        raise UsageError("runs needs a directory (slimnets runs --help)")
    rows = run_table.table(run_table.find_runs(arguments))
    if flag_values.sort:
        rows = run_table.in_order(rows, flag_values.sort)
    if flag_values.format == "json":
        print(json.dumps(rows, indent=2))
    elif flag_values.format == "csv":
        writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        shown = [[_shown(value) for value in row.values()] for row in rows]
        print(table([list(rows[0]), *shown]))


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
