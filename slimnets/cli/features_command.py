"""Writes embeddings of many images: one vector for each, from any end point.

The output is a directory of shards. The same command goes on where an earlier one
ended, however it ended, and writes the same files.
"""

import os
import time
from collections.abc import Sequence

from absl import flags

from slimnets.cli import network_flags, weights_flags
from slimnets.cli.command import (
    UsageError,
    define_debug,
    define_fields,
    exit_code,
    require,
    start_tensorflow,
    tell_left_out,
)
from slimnets.tasks.config import FORMATS, EmbeddingConfig

ARGUMENTS = ()
_REQUIRED = ("input", "output", "checkpoint_path")
_FIELDS = (
    ("string", "input", "A folder of images, a text file that lists images, a "
     "TFRecord with image/encoded, or a pattern of TFRecords."),
    ("string", "output", "Directory of the shards."),
    network_flags.CHECKPOINT_PATH,
    network_flags.MODEL_NAME,
    ("string", "end_point", "The activation: global_pool, C4, block3, ..."),
    ("integer", "batch_size", "Images at a time."),
    ("integer", "shard_size", "Images in a file."),
    network_flags.EVAL_IMAGE_SIZE,
    network_flags.PREPROCESSING_NAME,
    network_flags.EXIF_ORIENTATION,
    network_flags.MAX_BAD_RECORDS,
    *weights_flags.FIELDS,
)  # fmt: skip


def define_flags(flag_values: flags.FlagValues) -> None:
    define_fields(flag_values, EmbeddingConfig, _FIELDS, _REQUIRED)
    flags.DEFINE_enum(
        "format", EmbeddingConfig.format, FORMATS, "How shards are written.",
        flag_values=flag_values,
    )  # fmt: skip
    flags.DEFINE_boolean(
        *network_flags.STRICT, flag_values=flag_values,
    )  # fmt: skip
    weights_flags.define_weights(flag_values)
    define_debug(flag_values)


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> int:
    started = time.monotonic()
    weights_flags.take_weights(flag_values)
    require(flag_values, "features", *_REQUIRED)
    names = [*(name for _, name, _ in _FIELDS), "format"]
    config = EmbeddingConfig(**{name: flag_values[name].value for name in names})
    start_tensorflow(flag_values.debug)
    from slimnets.tasks.embedding import write_embeddings

    try:
        result = write_embeddings(config, tell=weights_flags.tell)
    except KeyError as error:  # Of an end point; its text is a sentence.
        raise UsageError(str(error.args[0])) from error
    tell_left_out(result.bad, result.others)
    print(
        f"features of {result.images - len(result.bad)} of {result.images} images, "
        f"{result.written} of {len(result.shards)} shards written now, "
        f"{time.monotonic() - started:.0f} s, "
        f"files in {os.path.abspath(config.output)}"
    )
    return exit_code(flag_values.strict, result.bad, result.others)
