"""Shows a network as a table of its layers, with totals.

NAME is a registered network. For each layer: output shape, parameters, multiply-adds,
stride, receptive field (field) and the layers that feed it.
"""

import shutil
import sys
from collections.abc import Sequence

from absl import flags

from slimnets.cli import build_flags
from slimnets.cli.common import UsageError, define_debug, start_tensorflow

ARGUMENTS = ("NAME",)


def define_flags(flag_values: flags.FlagValues) -> None:
    flags.DEFINE_enum(
        "format",
        "text",
        ["text", "markdown", "csv", "json"],
        "How the table is written.",
        flag_values=flag_values,
    )
    flags.DEFINE_integer(
        "depth",
        None,
        "Scopes below the network's own that stay apart: 1 folds blocks, 2 units.",
        lower_bound=1,
        flag_values=flag_values,
    )
    build_flags.define(flag_values)
    define_debug(flag_values)


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    if len(arguments) != 1:
        raise UsageError("summary takes the NAME of one network (slimnets list)")
    start_tensorflow(flag_values.debug)
    from slimnets import inspection

    (name,) = arguments
    summary = inspection.summarize(name, **build_flags.options(flag_values, name))
    if flag_values.depth:
        summary = summary.folded(flag_values.depth)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print(summary.formatted(flag_values.format, width))
