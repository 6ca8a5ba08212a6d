"""Writes the most probable classes of images, one row for each, or what is in them.

The images are files, folders, lists of files, TFRecords, or names on standard
input, as arguments or by --input; rows go to standard output or a file, as CSV
or JSON lines. A detector's boxes go there as JSON in COCO's form, a segmenter's masks
to --masks, and pictures of either to --overlays.
"""

import os
import sys
import time
from collections.abc import Sequence

from absl import flags

from slimnets.cli import imports, setting_flags, weights_flags
from slimnets.cli.command import (
    STRICT,
    UsageError,
    check_output_directory,
    require,
    tell_left_out,
)
from slimnets.quiet import start_tensorflow
from slimnets.tasks.config import PredictionConfig

ARGUMENTS = ("IMAGES...",)

FLAGS = (*setting_flags.of(PredictionConfig), STRICT, weights_flags.WEIGHTS)


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> int:
    started = time.monotonic()
    weights_flags.take_weights(flag_values)
    if arguments and flag_values.input:
        raise UsageError("predict: give images as arguments or by --input, not both")
    if not arguments:
        require(flag_values, "predict", "input")
    if not flag_values.checkpoint_path and not flag_values.exported_path:
        raise UsageError(
            "predict needs --checkpoint_path or --exported_path (slimnets predict "
            "--help)"
        )
    values = setting_flags.values(flag_values, PredictionConfig)
    if arguments:
        values["input"] = list(arguments)
    config = PredictionConfig(**values, imports=imports.IMPORTED)
    for name in ("overlays", "masks"):
        if values[name]:
            check_output_directory(name, values[name])
    start_tensorflow(flag_values.debug)
    from slimnets.tasks.prediction import write_predictions

    rows, bad, others = write_predictions(
        config, sys.stdin, sys.stdout, weights_flags.tell
    )
    code = tell_left_out(flag_values.strict, bad, others)
    places = [p for p in (config.output, config.masks, config.overlays) if p]
    if places:
        print(
            f"predictions of {rows} of {rows + len(bad)} images, "
            f"{time.monotonic() - started:.0f} s, in "
            f"{' and '.join(map(os.path.abspath, places))}",
            # Standard output may hold a detector's JSON.
            file=sys.stdout if config.output or config.masks else sys.stderr,
        )
    return code
