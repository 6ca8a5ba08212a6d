"""What `slimnets evaluate` does with a detector or a segmenter."""

import json
import math
import os

from absl import flags

from slimnets.cli.command import refuse
from slimnets.files import write_table

# What measures classes of images alone.
_OF_CLASSES = (
    "corruptions", "plot", "views", "fit_temperature", "eval_crop_fraction",
    "labels_offset", "records_pattern", "image_feature", "label_feature",
)  # fmt: skip
# What measures heads alone, settings of `PredictionConfig`.
OF_HEADS = ("window_size", "window_overlap")
_DETECTIONS, _CLASSES = "detections.json", "classes.csv"
_BY_CLASS = " by class"


def measure(flag_values: flags.FlagValues, trained, report: str | None) -> str:
    """Evaluates a head, and prints and writes what came of it.

    Args:
        flag_values: of evaluate.
        trained: the head.
        report: the file of a page; None for none.

    Returns:
        The line that tells the measure.
    """
    where = f"with {trained.path}, which is of {trained.task}"
    refuse(flag_values, _OF_CLASSES, where)
    from slimnets.tasks.head_evaluation import evaluate_head

    given = flag_values["batch_size"].present
    measured = evaluate_head(
        trained,
        dataset_name=flag_values.dataset_name,
        dataset_dir=flag_values.dataset_dir,
        split=flag_values.dataset_split_name,
        batch_size=flag_values.batch_size if given else None,
        exif_orientation=flag_values.exif_orientation,
        max_bad_records=flag_values.max_bad_records,
        report=report,
        **{name: flag_values[name].value for name in OF_HEADS},
    )
    for title, table in measured.evaluation.tables.items():
        _print_table(title, table)
    if flag_values.output:
        for path in _write(flag_values.output, measured):
            print(path)
    scope = f", {measured.scope}" if measured.scope else ""
    return f"{measured.evaluation}{scope}"


def _print_table(title, table) -> None:
    if table:
        print(title)
    width = max(map(len, table), default=0)
    for name, value in table.items():
        shown = "-" if math.isnan(value) else f"{100 * value:.2f} %"
        print(f"  {name:{width}} {shown:>9}")


def _write(directory: str, measured) -> list[str]:
    """Writes the table of classes, and a detector's results as COCO has them."""
    path = os.path.join(directory, _CLASSES)
    columns = {
        title.removesuffix(_BY_CLASS): table
        for title, table in measured.evaluation.tables.items()
        if title.endswith(_BY_CLASS)
    }
    names = next(iter(columns.values()))
    rows = ([name, *(column[name] for column in columns.values())] for name in names)
    write_table(path, ["class", *columns], rows)
    if measured.results is None:
        return [path]
    found = os.path.join(directory, _DETECTIONS)
    with open(found, "w", encoding="utf-8") as file:
        json.dump(measured.results, file)
    return [path, found]
