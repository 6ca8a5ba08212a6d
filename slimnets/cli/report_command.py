"""Writes a page about a run: its curves, confusions, classes and worst mistakes.

RUN is the directory of a run, or another checkpoint or export. The page is one HTML
file, which needs no other. What it measures is what evaluate measures of RUN, whose
flags are these.
"""

import os
from collections.abc import Sequence

from absl import flags

from slimnets.cli import evaluate_command
from slimnets.cli.command import UsageError

ARGUMENTS = ("RUN",)
_PAGE = "report.html"

FLAGS = evaluate_command.MEASURING


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    if len(arguments) != 1:
        raise UsageError("report takes the RUN that it is about")
    (path,) = arguments
    where = path if os.path.isdir(path) else os.path.dirname(path)
    evaluate_command.measure(
        flag_values, path, flag_values.report or os.path.join(where, _PAGE)
    )
