"""Writes the network of a checkpoint in a format that other programs run.

The names are fixed: images come in as images, and logits, probabilities and
features/C2 to features/C5 come out; of a detector boxes in pixels, scores, classes and
their number, of a segmenter mask. Nothing is written unless the export gives what the
network gives. Beside it come OUTPUT.json and, if known, OUTPUT.labels.txt.
"""

import os
from collections.abc import Sequence

from absl import flags

from slimnets.cli import weights_flags
from slimnets.cli.command import Flag, UsageError, refuse, require
from slimnets.files import CALIBRATION_METHODS, EXPORT_ENDINGS, EXPORT_PRECISIONS
from slimnets.quiet import start_tensorflow

_OF_FASTEST = ("max_difference", "threads")
# And what it chooses by itself.
_CHOSEN = (
    "format", "precision", "tolerance", "measure", "audit", "raw_outputs",
    "calibration_method",
)  # fmt: skip

# fmt: off
FLAGS = (
    Flag("enum", "format", None, "What is written; by default what --output ends in "
         "says.", enum_values=tuple(EXPORT_ENDINGS)),
    Flag("enum", "precision", "float32", "What it computes in; its inputs and outputs "
         "are float32.", enum_values=EXPORT_PRECISIONS),
    Flag("string", "output", None, "A directory for saved_model; for the others a file "
         "that ends in .pb, .onnx, .tflite, .xml, .mlir or .keras, which says the "
         "format."),
    Flag("string", "preprocessing_name", None, "How images become the network's input; "
         "a saved_model does it itself in its signature encoded."),
    Flag("list", "levels", None, "Levels that it gives too, such as C3,C4; C2 to C5 by "
         "default, as far as the network has them. An empty list is for none."),
    Flag("string", "dataset_name", None, "Whose training images int8 is calibrated "
         "with, and whose test images --measure and --audit use; from the metadata by "
         "default."),
    Flag("string", "dataset_dir", None, "Where a dataset on disk lies."),
    Flag("boolean", "raw_outputs", False, "Of a detector the boxes and scores of all "
         "anchors, before suppression; of a segmenter the probabilities of all "
         "classes."),
    Flag("boolean", "fastest", False, "Write the format and precision that is the "
         "fastest here, of those that lose no more than --max_difference; --output has "
         "no ending."),
    Flag("boolean", "audit", False, "Show the error of every end point on test images, "
         "the worst first."),
    Flag("boolean", "measure", None, "Whether the accuracies before and after, of "
         "heads their average precisions or intersections, are measured, printed and "
         "stored; by default for int8."),
    Flag("integer", "threads", None, "Of --fastest: threads of each; its runtime's "
         "choice by default.", lower_bound=1),
    Flag("integer", "batch_size", None, "A fixed number of images at a time; any "
         "number by default, for stablehlo, and of a detector in tflite, 1.",
         lower_bound=1),
    Flag("integer", "eval_image_size", None, "Height and width of the network's "
         "input.", lower_bound=1),
    Flag("integer", "calibration_images", None, "How many training images int8 is "
         "calibrated with; 128 by default. A network that was trained for int8 has its "
         "ranges.", lower_bound=1),
    Flag("float", "max_difference", None, "Of --fastest: the largest share of test "
         "images whose class may change; 0.005 by default.", lower_bound=0.0),
    Flag("float", "max_accuracy_drop", None, "The largest loss of accuracy on test "
         "images, in points. Of --fastest in the place of --max_difference; of int8 in "
         "onnx and openvino the layers that lose most stay in float until it is no "
         "more.", lower_bound=0.0),
    Flag("enum", "calibration_method", None, "How int8 in onnx and openvino has the "
         "ranges of activations: all that calibration images reach, the default; or "
         "99.99 % of it.", enum_values=CALIBRATION_METHODS),
    Flag("float", "tolerance", None, "The largest difference from the network that "
         "passes: of any value, relative to the largest output, by default 1e-4, or "
         "what the network's own spread allows if that is more; below float32 of all "
         "values together, by default 0.1 for float16, 0.3 for bfloat16, 0.5 for int8.",
         lower_bound=0.0),
    weights_flags.WEIGHTS,
    *weights_flags.of("checkpoint_path", "model_name"),
)
# fmt: on


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    weights_flags.take_weights(flag_values)
    require(flag_values, "export", "checkpoint_path", "output")
    if flag_values.fastest:
        _export_fastest(flag_values)
        return
    refuse(flag_values, _OF_FASTEST, "without --fastest")
    format = flag_values.format or _format_of(flag_values.output)
    int8 = flag_values.precision == "int8"
    measure = int8 if flag_values.measure is None else flag_values.measure
    if not int8:
        refuse(flag_values, ["calibration_images"], "without --precision=int8")
    if not (int8 and format in ("onnx", "openvino")):
        needed = "--precision=int8 in onnx or openvino"
        refuse(flag_values, ["calibration_method"], f"without {needed}")
        refuse(flag_values, ["max_accuracy_drop"], f"without --fastest, or {needed}")
    if not (int8 or measure or flag_values.audit):
        needed = "without --precision=int8, --measure or --audit"
        refuse(flag_values, ["dataset_name", "dataset_dir"], needed)
    start_tensorflow(flag_values.debug)
    from slimnets.export.checkpoint import export_trained

    options = {}
    for name in ("calibration_images", "calibration_method", "max_accuracy_drop"):
        if flag_values[name].value is not None:
            options[name] = flag_values[name].value
    levels = flag_values.levels
    trained = weights_flags.open_trained(flag_values)
    batch_size = flag_values.batch_size
    if batch_size is None and format == "stablehlo":
        batch_size = 1
    report, accuracies = export_trained(
        trained,
        flag_values.output,
        format=format,
        precision=flag_values.precision,
        batch_size=batch_size,
        levels=None if levels is None else [level for level in levels if level],
        dataset_name=flag_values.dataset_name,
        dataset_dir=flag_values.dataset_dir,
        measure=measure,
        tolerance=flag_values.tolerance,
        raw_outputs=flag_values.raw_outputs,
        audited=flag_values.audit,
        **options,
    )
    if report.audit:
        print(report.audit)
    if accuracies:
        print(accuracies)
    print(f"{report}, in {report.path}")


def _export_fastest(flag_values: flags.FlagValues) -> None:
    """Writes the fastest form, and prints how all did."""
    refuse(flag_values, _CHOSEN, "with --fastest, which chooses")
    start_tensorflow(flag_values.debug)
    from slimnets.benchmarking.fastest import export_fastest

    names = (
        "calibration_images",
        "dataset_name",
        "dataset_dir",
        "levels",
        "max_accuracy_drop",
        *_OF_FASTEST,
    )
    given = {name: flag_values[name].value for name in names}
    path, race = export_fastest(
        weights_flags.open_trained(flag_values),
        flag_values.output,
        batch_size=flag_values.batch_size,
        show=lambda form: print(form, form.left_out, flush=True),
        **{name: value for name, value in given.items() if value is not None},
    )
    print(f"{race}, in {os.path.abspath(path)}")


def _format_of(path: str) -> str:
    """The format of a file that ends so; of a directory, saved_model."""
    ending = os.path.splitext(path.rstrip("/"))[1]
    for format, own in EXPORT_ENDINGS.items():
        if ending == own:
            return format
    endings = ", ".join(filter(None, EXPORT_ENDINGS.values()))
    raise UsageError(
        f"export: --output={path} ends in {ending}, which is of no format; it may end "
        f"in {endings}, or have no ending for a saved_model; or give --format"
    )
