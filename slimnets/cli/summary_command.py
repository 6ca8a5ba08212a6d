"""Shows a network as a table of its layers, with totals.

NAME is a registered network; or --checkpoint_path gives a trained one, which knows
its NAME. For each layer: output shape, parameters, multiply-adds, stride, receptive
field (field) and the layers that feed it.
"""

import shutil
import sys
from collections.abc import Sequence

from absl import flags

from slimnets.cli import build_flags, weights_flags
from slimnets.cli.command import Flag, UsageError, refuse
from slimnets.inspection.summary import Summary, committed
from slimnets.quiet import start_tensorflow

ARGUMENTS = ("NAME",)

FLAGS = (
    Flag("enum", "format", "text", "How the table is written.",
         enum_values=["text", "markdown", "csv", "json"]),
    Flag("integer", "depth", None, "Scopes below the network's own that stay apart: 1 "
         "folds blocks, 2 units.", lower_bound=1),
    *build_flags.FLAGS,
    *weights_flags.of("checkpoint_path"),
)  # fmt: skip


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    if len(arguments) != 1 and not flag_values.checkpoint_path:
        raise UsageError("summary takes the NAME of one network (slimnets list)")
    if flag_values.checkpoint_path:
        refuse(flag_values, build_flags.NAMES, "with --checkpoint_path")
    else:
        refuse(flag_values, weights_flags.NAMES, "without --checkpoint_path")
    summary = None
    if not any(flag_values[n].present for n in ("checkpoint_path", *build_flags.NAMES)):
        summary = committed(arguments[0])
    summary = summary or _built(flag_values, arguments)
    if flag_values.depth:
        summary = summary.folded(flag_values.depth)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print(summary.formatted(flag_values.format, width))


def _built(flag_values: flags.FlagValues, arguments: Sequence[str]) -> Summary:
    """The summary of what TensorFlow builds."""
    start_tensorflow(flag_values.debug)
    from slimnets import inspection

    if flag_values.checkpoint_path:
        opened = weights_flags.open_trained(
            flag_values, model_name=arguments[0] if arguments else None
        )
        shape = [1, *opened.input_shape[1:]]
        return inspection.summarize(opened.network, input_shape=shape)
    (name,) = arguments
    options = build_flags.options(flag_values, name)
    with build_flags.open_rules(flag_values):
        return inspection.summarize(name, **options)
