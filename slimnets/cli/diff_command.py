"""Tells what differs between A and B; exit code 1 if anything does.

Each is a registered network, a graph (a GraphDef, a SavedModel, a TensorBoard log) or
a checkpoint (of TensorFlow, Keras or PyTorch, or a train_dir). Layers, variables and
values are compared as far as both have them: names, kinds, shapes, strides,
connections, and of values the largest difference, absolute and relative.
"""

from collections.abc import Sequence

from absl import flags

from slimnets.cli import weights_flags
from slimnets.cli.command import UsageError, define_debug
from slimnets.quiet import start_tensorflow

ARGUMENTS = ("A", "B")


def define_flags(flag_values: flags.FlagValues) -> None:
    flags.DEFINE_enum(
        "format", "text", ["text", "json"], "How it is told.", flag_values=flag_values
    )
    flags.DEFINE_float(
        "tolerance",
        0.0,
        "Relative differences of values up to this are none.",
        lower_bound=0.0,
        flag_values=flag_values,
    )
    flags.DEFINE_integer(
        "num_classes",
        1000,
        "Number of classes of a network that is given by name; 0 for none.",
        lower_bound=0,
        flag_values=flag_values,
    )
    weights_flags.define(flag_values)
    define_debug(flag_values)


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
