"""Writes embeddings of many images: one vector for each, from any end point.

The output is a directory of shards. The same command goes on where an earlier one
ended, however it ended, and writes the same files.
"""

import os
import time
from collections.abc import Sequence

from absl import flags

from slimnets.cli import imports, setting_flags, weights_flags
from slimnets.cli.command import (
    STRICT,
    UsageError,
    require,
    tell_left_out,
)
from slimnets.quiet import start_tensorflow
from slimnets.tasks.config import EmbeddingConfig

_REQUIRED = ("input", "output", "checkpoint_path")

FLAGS = (*setting_flags.of(EmbeddingConfig), STRICT, weights_flags.WEIGHTS)


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> int:
    started = time.monotonic()
    weights_flags.take_weights(flag_values)
    require(flag_values, "features", *_REQUIRED)
    values = setting_flags.values(flag_values, EmbeddingConfig)
    config = EmbeddingConfig(**values, imports=imports.IMPORTED)
    start_tensorflow(flag_values.debug)
    from slimnets.tasks.embedding import write_embeddings

    try:
        result = write_embeddings(config, tell=weights_flags.tell)
    except KeyError as error:  # Of an end point; its text is a sentence.
        raise UsageError(str(error.args[0])) from error
    code = tell_left_out(flag_values.strict, result.bad, result.others)
    print(
        f"features of {result.images - len(result.bad)} of {result.images} images, "
        f"{result.written} of {len(result.shards)} shards written now, "
        f"{time.monotonic() - started:.0f} s, "
        f"files in {os.path.abspath(config.output)}"
    )
    return code
