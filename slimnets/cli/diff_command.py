"""Tells what differs between A and B; exit code 1 if anything does.

Each is a registered network, a graph (a GraphDef, a SavedModel, a TensorBoard log) or
a checkpoint (of TensorFlow, Keras or PyTorch, or a train_dir). Layers, variables and
values are compared as far as both have them: names, kinds, shapes, strides,
connections, and of values the largest difference, absolute and relative.
"""

from collections.abc import Sequence

from absl import flags

from slimnets.cli import weights_flags
from slimnets.cli.command import Flag, UsageError
from slimnets.quiet import start_tensorflow

ARGUMENTS = ("A", "B")

# fmt: off
FLAGS = (
    Flag("enum", "format", "text", "How it is told.", enum_values=["text", "json"]),
    Flag("float", "tolerance", 0.0, "Relative differences of values up to this are "
         "none.", lower_bound=0.0),
    Flag("integer", "num_classes", 1000, "Number of classes of a network that is given "
         "by name; 0 for none.", lower_bound=0),
    *weights_flags.of(),
)
# fmt: on


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> int:
    if len(arguments) != 2:
        raise UsageError("diff takes two of networks, graphs or checkpoints: A B")
    start_tensorflow(flag_values.debug)
    from slimnets.inspection import diff

    difference = diff(
        *arguments,
        num_classes=flag_values.num_classes,
        tolerance=flag_values.tolerance,
        tell=weights_flags.tell,
        **weights_flags.options(flag_values),
    )
    print(difference.formatted(flag_values.format))
    return 1 if difference else 0
