"""Writes the most probable classes of images, one row for each.

The images are a folder, files, a list of files, TFRecords, or names on standard
input; rows go to standard output or a file, as CSV or JSON lines.
"""

import os
import sys
import time
from collections.abc import Sequence

from absl import flags

from slimnets.cli import network_flags
from slimnets.cli.common import (
    UsageError,
    define_debug,
    define_fields,
    require,
    start_tensorflow,
)
from slimnets.tasks.config import ROW_FORMATS, PredictionConfig

ARGUMENTS = ()
_REQUIRED = ("input",)
_FIELDS = (
    ("string", "input", "Images, a folder, a text file that lists images, TFRecords, "
     "patterns, separated by commas; - for one name a line of standard input."),
    network_flags.CHECKPOINT_PATH,
    ("string", "exported_path", "Instead of a checkpoint, what `slimnets export` wrote "
     "in any format: a SavedModel's directory, or a file that ends in .pb, .onnx, "
     ".tflite, .mlir or .keras. It has its name and image size in itself."),
    ("string", "output", "File of the rows; standard output by default."),
    ("integer", "top", "How many classes a row has."),
    network_flags.MODEL_NAME,
    ("integer", "batch_size", "Images at a time; 32 by default, or as many as an "
     "exported network takes."),
    network_flags.EVAL_IMAGE_SIZE,
    network_flags.PREPROCESSING_NAME,
    network_flags.MAX_BAD_RECORDS,
)  # fmt: skip


def define_flags(flag_values: flags.FlagValues) -> None:
    define_fields(flag_values, PredictionConfig, _FIELDS, _REQUIRED)
    flags.DEFINE_enum(
        "format", PredictionConfig.format, ROW_FORMATS, "How rows are written.",
        flag_values=flag_values,
    )  # fmt: skip
    define_debug(flag_values)


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    started = time.monotonic()
    require(flag_values, "predict", *_REQUIRED)
    if not flag_values.checkpoint_path and not flag_values.exported_path:
        raise UsageError(
            "predict needs --checkpoint_path or --exported_path (slimnets predict "
            "--help)"
        )
    names = [*(name for _, name, _ in _FIELDS), "format"]
    config = PredictionConfig(**{name: flag_values[name].value for name in names})
    start_tensorflow(flag_values.debug)
    from slimnets.tasks.prediction import write_predictions

    rows, bad = write_predictions(config, sys.stdin, sys.stdout)
    for problem in bad:
        print(f"slimnets: left out {problem}", file=sys.stderr)
    if config.output:
        print(
            f"predictions of {rows} of {rows + len(bad)} images, "
            f"{time.monotonic() - started:.0f} s, in {os.path.abspath(config.output)}"
        )
