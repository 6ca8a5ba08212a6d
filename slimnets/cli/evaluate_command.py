"""Measures the accuracy of a checkpoint, exactly: every image counts once.

What is not given is taken from the JSON file that training wrote beside the
checkpoint.
"""

import os
import time
from collections.abc import Sequence

from absl import flags

from slimnets.cli.common import (
    define_dataset,
    define_debug,
    require,
    start_tensorflow,
)

ARGUMENTS = ()


def define_flags(flag_values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "checkpoint_path",
        None,
        "A checkpoint, or the train_dir of a run, of which the latest is taken.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "model_name", None, "Name of the network.", flag_values=flag_values
    )
    flags.DEFINE_string(
        "dataset_split_name",
        None,
        "Name of the split; the dataset's test split by default.",
        flag_values=flag_values,
    )
    flags.DEFINE_integer(
        "batch_size",
        100,
        "Images at a time; it does not change the result.",
        lower_bound=1,
        flag_values=flag_values,
    )
    define_dataset(flag_values, None)
    define_debug(flag_values)


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    started = time.monotonic()
    require(flag_values, "evaluate", "checkpoint_path")
    start_tensorflow(flag_values.debug)
    from slimnets.training import evaluate_checkpoint

    evaluation, prefix = evaluate_checkpoint(
        flag_values.checkpoint_path,
        model_name=flag_values.model_name,
        dataset_name=flag_values.dataset_name,
        split=flag_values.dataset_split_name,
        batch_size=flag_values.batch_size,
        image_size=flag_values.eval_image_size,
        preprocessing=flag_values.preprocessing_name,
    )
    seconds = time.monotonic() - started
    print(f"{evaluation}, {seconds:.0f} s, files in {os.path.abspath(prefix)}")
