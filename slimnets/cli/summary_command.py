"""Shows a network as a table of its layers, with totals.

NAME is a registered network. For each layer: output shape, parameters, multiply-adds,
stride, receptive field (field) and the layers that feed it.
"""

import json
import shutil
import sys
from collections.abc import Sequence

from absl import flags

from slimnets.cli.common import UsageError, define_debug, quiet_tensorflow

ARGUMENTS = ("NAME",)


def define_flags(flag_values: flags.FlagValues) -> None:
    flags.DEFINE_enum(
        "format",
        "text",
        ["text", "markdown", "csv", "json"],
        "text, markdown, csv or json.",
        flag_values=flag_values,
    )
    flags.DEFINE_integer(
        "depth",
        None,
        "Scopes below the network's own that stay apart: 1 folds blocks, 2 units.",
        lower_bound=1,
        flag_values=flag_values,
    )
    flags.DEFINE_integer(
        "num_classes", 1000, "Number of classes; 0 for none.", flag_values=flag_values
    )
    flags.DEFINE_string(
        "input_shape",
        None,
        "Shape of the inputs as JSON, [1, 299, 299, 3]; several inputs as a list or "
        "an object of shapes. One image of the default size by default.",
        flag_values=flag_values,
    )
    flags.DEFINE_integer(
        "output_stride", None, "Output stride of the network.", flag_values=flag_values
    )
    define_debug(flag_values)


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    if len(arguments) != 1:
        raise UsageError("summary takes the NAME of one network (slimnets list)")
    with quiet_tensorflow(flag_values.debug):
        from slimnets import inspection
    shape = None
    if flag_values.input_shape is not None:
        try:
            shape = json.loads(flag_values.input_shape)
        except json.JSONDecodeError as error:
            raise UsageError(f"--input_shape is not JSON: {error}") from None
    options = {}
    if flag_values.output_stride is not None:
        options["output_stride"] = flag_values.output_stride
    with quiet_tensorflow(flag_values.debug):
        summary = inspection.summarize(
            arguments[0],
            num_classes=flag_values.num_classes,
            input_shape=shape,
            **options,
        )
    if flag_values.depth:
        summary = summary.folded(flag_values.depth)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print(summary.formatted(flag_values.format, width))
