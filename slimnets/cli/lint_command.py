"""Looks for wiring in a graph that was not meant; exit code 1 if there is any.

GRAPH is a GraphDef (.pb or .pbtxt), a SavedModel's folder, or a TensorBoard log or its
folder. Reported are tensors made inside one layer and read by others though they are
not its output, moving averages that nothing updates, regularizers that no loss
includes, norms in training mode and dropout in graphs for inference, unused variables,
and networks computed twice.
"""

from collections.abc import Sequence

from absl import flags

from slimnets.cli.command import Flag, UsageError
from slimnets.quiet import start_tensorflow

ARGUMENTS = ("GRAPH",)

FLAGS = (
    Flag("boolean", "inference", None, "Whether the graph is for inference; by default "
         "a SavedModel's functions and graphs without variables are taken for such."),
)  # fmt: skip


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> int:
    if len(arguments) != 1:
        raise UsageError("lint takes one GRAPH: a file or a folder")
    start_tensorflow(flag_values.debug)
    from slimnets import inspection

    report = inspection.lint_graph(arguments[0], inference=flag_values.inference)
    print(report)
    return 1 if report else 0
