"""Measures the accuracy of a checkpoint, exactly: every image counts once.

What is not given is taken from the JSON file that training wrote beside the
checkpoint. With --output the numbers of every class and the confusion matrix
are written as files.
"""

import os
import sys
import time
from collections.abc import Sequence

from absl import flags

from slimnets.cli import data_flags, network_flags
from slimnets.cli.common import UsageError, define_debug, require, start_tensorflow

ARGUMENTS = ()
_INPUT = ("dataset_name", "dataset_dir", "preprocessing_name", "eval_image_size",
          "eval_crop_fraction", "max_bad_records")  # fmt: skip


def define_flags(flag_values: flags.FlagValues) -> None:
    for name, text in (
        network_flags.CHECKPOINT_PATH[1:],
        network_flags.MODEL_NAME[1:],
        ("dataset_split_name", "The split; the dataset's test split by default."),
        ("output", "Directory for the tables of classes and of confusions."),
    ):
        flags.DEFINE_string(name, None, text, flag_values=flag_values)
    for kind, name, text in data_flags.FIELDS:
        if name in _INPUT:
            default = 0 if name == "max_bad_records" else None
            define = getattr(flags, f"DEFINE_{kind}")
            define(name, default, text, flag_values=flag_values)
    flags.DEFINE_integer(
        "batch_size",
        100,
        "Images at a time; it does not change the result.",
        lower_bound=1,
        flag_values=flag_values,
    )
    flags.DEFINE_boolean(
        "averages",
        None,
        "Measure the moving averages of the weights; by default, if there are any.",
        flag_values=flag_values,
    )
    flags.DEFINE_boolean(
        "plot",
        False,
        "Draw the confusion matrix into --output too; needs matplotlib.",
        flag_values=flag_values,
    )
    define_debug(flag_values)


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    started = time.monotonic()
    require(flag_values, "evaluate", "checkpoint_path")
    if flag_values.plot and not flag_values.output:
        raise UsageError("evaluate: --plot is of no effect without --output")
    start_tensorflow(flag_values.debug)
    from slimnets.training import evaluate_checkpoint
    from slimnets.training.reports import write_report

    evaluation, prefix = evaluate_checkpoint(
        flag_values.checkpoint_path,
        model_name=flag_values.model_name,
        dataset_name=flag_values.dataset_name,
        dataset_dir=flag_values.dataset_dir,
        split=flag_values.dataset_split_name,
        batch_size=flag_values.batch_size,
        image_size=flag_values.eval_image_size,
        preprocessing=flag_values.preprocessing_name,
        crop_fraction=flag_values.eval_crop_fraction,
        averages=flag_values.averages,
        max_bad_records=flag_values.max_bad_records,
    )
    for name, reason in evaluation.bad_records.items():
        print(f"slimnets: left out {name}: {reason}", file=sys.stderr)
    if flag_values.output:
        for path in write_report(evaluation, flag_values.output, flag_values.plot):
            print(path)
    others = list(evaluation.summaries.items())[1:]
    shown = (f"{name.removeprefix('test_')} {value:.4f}" for name, value in others)
    print(", ".join(shown))
    seconds = time.monotonic() - started
    print(f"{evaluation}, {seconds:.0f} s, files in {os.path.abspath(prefix)}")
