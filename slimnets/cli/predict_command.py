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

from slimnets.cli import network_flags, weights_flags
from slimnets.cli.command import (
    UsageError,
    check_output_directory,
    define_debug,
    define_fields,
    exit_code,
    require,
    start_tensorflow,
    tell_left_out,
)
from slimnets.tasks.config import ROW_FORMATS, PredictionConfig

ARGUMENTS = ("IMAGES...",)
_FIELDS = (
    ("string", "input", "Images, a folder, a text file that lists images, TFRecords, "
     "patterns, separated by commas; - for one name a line of standard input."),
    network_flags.CHECKPOINT_PATH,
    ("string", "exported_path", "Instead of a checkpoint, what `slimnets export` wrote "
     "in any format: a SavedModel's directory, or a file that ends in .pb, .onnx, "
     ".tflite, .xml, .mlir or .keras. It has its name and image size in itself."),
    ("string", "output", "File of the rows, or of a detector's boxes; standard output "
     "by default."),
    ("string", "overlays", "Directory for a picture of every image with what a "
     "detector or segmenter finds in it."),
    ("string", "masks", "Directory for a segmenter's masks, PNG of the classes' "
     "numbers with a palette."),
    ("float", "least_score", "Of a detector's boxes; pictures show those from 0.3 on."),
    ("integer", "top", "How many classes a row has."),
    network_flags.MODEL_NAME,
    ("integer", "batch_size", "Images at a time; 32 by default, or as many as an "
     "exported network takes."),
    network_flags.EVAL_IMAGE_SIZE,
    network_flags.PREPROCESSING_NAME,
    network_flags.EXIF_ORIENTATION,
    network_flags.MAX_BAD_RECORDS,
    *weights_flags.FIELDS,
)  # fmt: skip


def define_flags(flag_values: flags.FlagValues) -> None:
    define_fields(flag_values, PredictionConfig, _FIELDS, ["input"])
    flags.DEFINE_enum(
        "format", PredictionConfig.format, ROW_FORMATS, "How rows are written.",
        flag_values=flag_values,
    )  # fmt: skip
    flags.DEFINE_boolean(
        *network_flags.STRICT, flag_values=flag_values,
    )  # fmt: skip
    define_debug(flag_values)


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> int:
    started = time.monotonic()
    if arguments and flag_values.input:
        raise UsageError("predict: give images as arguments or by --input, not both")
    if not arguments:
        require(flag_values, "predict", "input")
    if not flag_values.checkpoint_path and not flag_values.exported_path:
        raise UsageError(
            "predict needs --checkpoint_path or --exported_path (slimnets predict "
            "--help)"
        )
    names = [*(name for _, name, _ in _FIELDS), "format"]
    values = {name: flag_values[name].value for name in names}
    if arguments:
        values["input"] = list(arguments)
    config = PredictionConfig(**values)
    for name in ("overlays", "masks"):
        if values[name]:
            check_output_directory(name, values[name])
    start_tensorflow(flag_values.debug)
    from slimnets.tasks.prediction import write_predictions

    rows, bad, others = write_predictions(
        config, sys.stdin, sys.stdout, weights_flags.tell
    )
    tell_left_out(bad, others)
    places = [p for p in (config.output, config.masks, config.overlays) if p]
    if places:
        print(
            f"predictions of {rows} of {rows + len(bad)} images, "
            f"{time.monotonic() - started:.0f} s, in "
            f"{' and '.join(map(os.path.abspath, places))}",
            # Standard output may hold a detector's JSON.
            file=sys.stdout if config.output or config.masks else sys.stderr,
        )
    return exit_code(flag_values.strict, bad, others)
