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
from slimnets.cli.command import UsageError, define_debug, require
from slimnets.files import CALIBRATION_METHODS, EXPORT_ENDINGS, EXPORT_PRECISIONS
from slimnets.quiet import start_tensorflow

ARGUMENTS = ()
_FLAGS = (
    ("string", "output", None, "A directory for saved_model; for the others a file "
     "that ends in .pb, .onnx, .tflite, .xml, .mlir or .keras, which says the format."),
    ("string", "preprocessing_name", None, "How images become the network's input; a "
     "saved_model does it itself in its signature encoded."),
    ("list", "levels", None, "Levels that it gives too, such as C3,C4; C2 to C5 by "
     "default, as far as the network has them. An empty list is for none."),
    ("string", "dataset_name", None, "Whose training images int8 is calibrated with, "
     "and whose test images --measure and --audit use; from the metadata by default."),
    ("string", "dataset_dir", None, "Where a dataset on disk lies."),
    ("bool", "raw_outputs", False, "Of a detector the boxes and scores of all anchors, "
     "before suppression; of a segmenter the probabilities of all classes."),
    ("bool", "fastest", False, "Write the format and precision that is the fastest "
     "here, of those that lose no more than --max_difference; --output has no ending."),
    ("bool", "audit", False, "Show the error of every end point on test images, the "
     "worst first."),
    ("bool", "measure", None, "Whether the accuracies before and after, of heads "
     "their average precisions or intersections, are measured, printed and stored; by "
     "default for int8."),
)  # fmt: skip
_OF_FASTEST = ("max_difference", "threads")
# And what it chooses by itself.
_CHOSEN = (
    "format", "precision", "tolerance", "measure", "audit", "raw_outputs",
    "calibration_method",
)  # fmt: skip
_NUMBERS = (
    ("threads", "Of --fastest: threads of each; its runtime's choice by default."),
    ("batch_size", "A fixed number of images at a time; any number by default, for "
     "stablehlo, and of a detector in tflite, 1."),
    ("eval_image_size", "Height and width of the network's input."),
    ("calibration_images", "How many training images int8 is calibrated with; 128 by "
     "default. A network that was trained for int8 has its ranges."),
)  # fmt: skip


def define_flags(flag_values: flags.FlagValues) -> None:
    flags.DEFINE_enum(
        "format",
        None,
        tuple(EXPORT_ENDINGS),
        "What is written; by default what --output ends in says.",
        flag_values=flag_values,
    )
    flags.DEFINE_enum(
        "precision",
        "float32",
        EXPORT_PRECISIONS,
        "What it computes in; its inputs and outputs are float32.",
        flag_values=flag_values,
    )
    for kind, name, default, text in _FLAGS:
        define = getattr(flags, f"DEFINE_{kind}")
        define(name, default, text, flag_values=flag_values)
    for name, text in _NUMBERS:
        flags.DEFINE_integer(name, None, text, lower_bound=1, flag_values=flag_values)
    for name, text in (
        ("max_difference", "Of --fastest: the largest share of test images whose class "
         "may change; 0.005 by default."),
        ("max_accuracy_drop", "The largest loss of accuracy on test images, in points. "
         "Of --fastest in the place of --max_difference; of int8 in onnx and openvino "
         "the layers that lose most stay in float until it is no more."),
    ):  # fmt: skip
        flags.DEFINE_float(name, None, text, lower_bound=0.0, flag_values=flag_values)
    flags.DEFINE_enum(
        "calibration_method",
        None,
        CALIBRATION_METHODS,
        "How int8 in onnx and openvino has the ranges of activations: all that "
        "calibration images reach, the default; or 99.99 % of it.",
        flag_values=flag_values,
    )
    flags.DEFINE_float(
        "tolerance",
        None,
        "The largest difference from the network that passes: of any value, relative "
        "to the largest output, by default 1e-4, or what the network's own spread "
        "allows if that is more; below float32 of all values together, by default 0.1 "
        "for float16, 0.3 for bfloat16, 0.5 for int8.",
        lower_bound=0.0,
        flag_values=flag_values,
    )
    weights_flags.define_weights(flag_values)
    weights_flags.define(flag_values, "checkpoint_path", "model_name")
    define_debug(flag_values)


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    weights_flags.take_weights(flag_values)
    require(flag_values, "export", "checkpoint_path", "output")
    if flag_values.fastest:
        _export_fastest(flag_values)
        return
    for name in _OF_FASTEST:
        if flag_values[name].value is not None:
            raise UsageError(f"--{name} is of no effect without --fastest")
    format = flag_values.format or _format_of(flag_values.output)
    int8 = flag_values.precision == "int8"
    measure = int8 if flag_values.measure is None else flag_values.measure
    needs_images = int8 or measure or flag_values.audit
    rounds = int8 and format in ("onnx", "openvino")
    for name, used, needed in (
        ("calibration_images", int8, "--precision=int8"),
        ("calibration_method", rounds, "--precision=int8 in onnx or openvino"),
        (
            "max_accuracy_drop",
            rounds,
            "--fastest, or --precision=int8 in onnx or openvino",
        ),
        ("dataset_name", needs_images, "--precision=int8, --measure or --audit"),
        ("dataset_dir", needs_images, "--precision=int8, --measure or --audit"),
    ):
        if flag_values[name].value is not None and not used:
            raise UsageError(f"--{name} is of no effect without {needed}")
    start_tensorflow(flag_values.debug)
    from slimnets.export.checkpoint import export_trained

    options = {}
    for name in ("calibration_images", "calibration_method", "max_accuracy_drop"):
        if flag_values[name].value is not None:
            options[name] = flag_values[name].value
    levels = flag_values.levels
    trained = weights_flags.open_trained(flag_values, model_name=flag_values.model_name)
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
    for name in _CHOSEN:
        if flag_values[name].value != flag_values[name].default:
            raise UsageError(f"--{name} is of no effect with --fastest, which chooses")
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
        weights_flags.open_trained(flag_values, model_name=flag_values.model_name),
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
