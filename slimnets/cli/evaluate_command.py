"""Measures the accuracy of a checkpoint, exactly: every image counts once.

A detector is measured by COCO's average precision, a segmenter by its mean
intersection over union, on the dataset that the run held out or on another one.

What is not given is taken from the JSON file that training wrote beside the
checkpoint. With --output the numbers of every class and the confusion matrix
are written as files. The interval is where the accuracy of other such images
lies 19 times of 20, by bootstrap.
"""

import functools
import os
import sys
import time
from collections.abc import Sequence

from absl import flags

from slimnets.cli import engine_flags, head_evaluation, setting_flags, weights_flags
from slimnets.cli.command import (
    Flag,
    check_output_directory,
    refuse,
    require,
)
from slimnets.data.input_config import OF_DATASETS, InputConfig
from slimnets.quiet import start_tensorflow
from slimnets.sharding.options import ONE, ManifestOptions
from slimnets.tasks.config import InferenceConfig, PredictionConfig

# fmt: off
# All but that of what is measured.
MEASURING = (
    Flag("string", "dataset_split_name", None, "The split; the dataset's test split by "
         "default."),
    Flag("string", "output", None, "Directory for the tables of classes and of "
         "confusions."),
    Flag("string", "report", None, "HTML file for a page of all that, with the curves "
         "of training and the images that were most wrong."),
    Flag("string", "corruptions", None, "Measure images to which something has "
         "happened too, each kind in five strengths, as in ImageNet-C: such as "
         "gaussian_noise,fog, or all."),
    # None is for what the checkpoint's metadata say.
    *setting_flags.of(
        InputConfig, ("dataset_name", *OF_DATASETS, "eval_crop_fraction"),
        with_defaults=False),
    *setting_flags.of(PredictionConfig, head_evaluation.OF_HEADS),
    Flag("integer", "batch_size", 100, "Images at a time; it does not change the "
         "result.", lower_bound=1),
    Flag("boolean", "plot", False, "Draw the confusion matrix into --output too; needs "
         "matplotlib."),
    Flag("enum", "views", None, "Average over views of an image: it and its mirror "
         "image, or ten crops.", enum_values=["flip", "ten_crop"]),
    Flag("boolean", "fit_temperature", False, "Fit the divisor of the logits that "
         "makes confidence and accuracy agree on these images, and store it beside the "
         "checkpoint, where predict finds it."),
    *weights_flags.of(
        "model_name", "preprocessing_name", "eval_image_size", "exif_orientation",
        "max_bad_records"),
    *engine_flags.of(),
)
# fmt: on
FLAGS = (
    *setting_flags.of(InferenceConfig, ["checkpoint_path"]),
    weights_flags.WEIGHTS,
    *MEASURING,
)


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    weights_flags.take_weights(flag_values)
    require(flag_values, "evaluate", "checkpoint_path")
    measure(flag_values, flag_values.checkpoint_path, flag_values.report)


def measure(flag_values: flags.FlagValues, path: str, report: str | None) -> None:
    """Evaluates what lies at `path`, and prints and writes what came of it.

    Args:
        flag_values: of `MEASURING`.
        path: as of `open_trained`.
        report: the page's file; None for none.
    """
    started = time.monotonic()
    if not flag_values.output:
        refuse(flag_values, ["plot"], "without --output")
    start_tensorflow(flag_values.debug)
    if flag_values.output:
        check_output_directory("output", flag_values.output)
    if report and os.path.exists(path):
        check_output_directory("report", os.path.dirname(os.path.abspath(report)))
    from slimnets.data.corruptions import corruption_names
    from slimnets.trained import CLASSIFICATION

    asked = flag_values.corruptions
    corruptions = corruption_names(asked) if asked else []
    trained = weights_flags.open_trained(flag_values, path, precision=None)
    options = engine_flags.options(flag_values)
    options.check_task(trained.task, CLASSIFICATION, trained.path)
    if trained.task == CLASSIFICATION:
        where = f"with {trained.path}, which is of {CLASSIFICATION}"
        refuse(flag_values, head_evaluation.OF_HEADS, where)
        line = _measure_classes(flag_values, trained, options, corruptions, report)
    else:
        line = head_evaluation.measure(flag_values, trained, report)
    files = "files in" if flag_values.output else "of"
    where = os.path.abspath(flag_values.output or trained.path)
    page = f", page in {os.path.abspath(report)}" if report else ""
    print(f"{line}, {time.monotonic() - started:.0f} s, {files} {where}{page}")


def _measure_classes(
    flag_values: flags.FlagValues,
    trained,
    options: ManifestOptions,
    corruptions: Sequence[str],
    report: str | None,
) -> str:
    """As `head_evaluation.measure`, of a classifier."""
    from slimnets.data.corruptions import STRENGTHS
    from slimnets.training.evaluation import evaluate_trained
    from slimnets.training.evaluation_files import write_report
    from slimnets.training.evaluation_shards import evaluate_shards
    from slimnets.training.report_page import write_page
    from slimnets.training.temperature import store_temperature

    evaluate = evaluate_trained
    if options.engine != ONE:
        evaluate = functools.partial(
            evaluate_shards,
            options=options,
            manifest=engine_flags.manifest_of("evaluate", flag_values.output),
        )
    evaluation = evaluate(
        trained,
        dataset_name=flag_values.dataset_name,
        **{name: flag_values[name].value for name in OF_DATASETS},
        split=flag_values.dataset_split_name,
        batch_size=flag_values.batch_size,
        preprocessing=flag_values.preprocessing_name,
        crop_fraction=flag_values.eval_crop_fraction,
        exif_orientation=flag_values.exif_orientation,
        max_bad_records=flag_values.max_bad_records,
        views=flag_values.views,
        keep=bool(flag_values.output or report or flag_values.fit_temperature),
        corruptions=corruptions,
    )
    for name, reason in evaluation.bad_records.items():
        print(f"slimnets: left out {name}: {reason}", file=sys.stderr)
    if flag_values.output:
        for file in write_report(evaluation, flag_values.output, flag_values.plot):
            print(file)
    if report:
        write_page(report, evaluation, trained)
    if flag_values.fit_temperature:
        print(store_temperature(trained, evaluation))
    if corruptions:
        print("accuracy under    " + "".join(f"{n:>8}" for n in (*STRENGTHS, "mean")))
    for name, *values in evaluation.corruption_rows():
        print(f"{name:18}" + "".join(f"{value:8.4f}" for value in values))
    low, high = evaluation.accuracy_interval
    others = list(evaluation.summaries.items())[1:]
    shown = [f"{name.removeprefix('test_')} {value:.4f}" for name, value in others]
    print(", ".join([*shown, f"accuracy 95 % interval {low:.4f} to {high:.4f}"]))
    return str(evaluation)
