"""Writes a network in a format that other programs run, and makes sure that it is it.

Nothing is left at the output unless what was written gives the same as the network.
"""

from __future__ import annotations

import dataclasses
import gc
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from slimnets.checkpoints import metadata as metadata_fields
from slimnets.checkpoints.base import draft_directory, write_metadata
from slimnets.checkpoints.metadata import LABELS_ENDING
from slimnets.data.labels import write_labels
from slimnets.data.preprocessing import trained_crop_fraction
from slimnets.export.agreement import (
    JITTER,
    LARGEST,
    SIZES,
    SPREADS,
    TOGETHER,
    TOLERANCES,
    largest_difference,
    sample_inputs,
)
from slimnets.export.formats import Job, get_format
from slimnets.export.frozen import IMAGES, as_function, freeze, outputs_of
from slimnets.export.loading import load
from slimnets.export.refusals import refusals_of
from slimnets.export.rounding import Rounding
from slimnets.files import CALIBRATION_METHODS
from slimnets.model import Model

if TYPE_CHECKING:  # Which exports itself.
    from slimnets.export.audit import Audit


@dataclasses.dataclass(frozen=True)
class Report:
    """What was written.

    Attributes:
        path: where.
        format, precision: of it.
        difference: the largest one on sample images; see `agreement.TOLERANCES`.
        tolerance: the one that would have passed.
        size: of all its files, in bytes.
        float_layers: in int8, the scopes of layers that stayed in float.
        audit: the errors of its end points, where they were asked for.
    """

    path: str
    format: str
    precision: str
    difference: float
    tolerance: float
    size: int
    float_layers: tuple[str, ...] = ()
    audit: Audit | None = None

    def __str__(self) -> str:
        kept = f", with {', '.join(self.float_layers)} in float"
        return (
            f"{self.format} in {self.precision}, {self.size / 1e6:.1f} MB, differs "
            f"from the network by {self.difference:.1e} at most "
            f"(allowed {self.tolerance:.2g}){kept if self.float_layers else ''}"
        )


def export_model(
    model: Model,
    output: str | os.PathLike,
    *,
    format: str,
    input_shape: Any,
    precision: str = "float32",
    levels: Sequence[str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    labels: Sequence[str] | None = None,
    preprocessing: str | None = None,
    calibration: Sequence[Any] = (),
    calibration_method: str = "minmax",
    float_layers: Sequence[str] = (),
    tolerance: float | None = None,
) -> Report:
    """Exports a Model for inference.

    Beside the output come `OUTPUT.json`, its metadata, and `OUTPUT.labels.txt`, if the
    classes have names. An output that is there already is replaced.

    Args:
        model: a Model with variables.
        output: a directory for a SavedModel, else a file.
        format: `saved_model`, `frozen_graph`, `onnx`, `tflite`, `openvino`,
            `stablehlo` or `keras`.
        input_shape: `[batch, height, width, channels]`, None for a free batch; or a
            list, tuple or dict of shapes.
        precision: `float32`, `bfloat16`, `float16` or `int8`, as far as the format has
            it; what goes in and comes out is float32.
        levels: which levels it gives too; None for those of C2 to C5 that it has.
        metadata: for the JSON file, beside what the Model knows of itself.
        labels: names of the classes.
        preprocessing: how images become the input, by name; None for what the metadata
            or the Model's weights say. Where it is known, a SavedModel takes encoded
            images too.
        calibration: for int8, batches of inputs, arrays or dicts by name; none for a
            network that was trained for it, see `rules.quantization_rules`.
        calibration_method: how int8 has ranges from what activations reach: all of it,
            `minmax`; or in onnx and openvino 99.99 % of it, `percentile`.
        float_layers: scopes of layers that stay in float where int8 rounds, in onnx and
            openvino; see `float_layers.by_error`.
        tolerance: the largest difference that passes, in float32 of any value, else of
            all together; None for that of the precision, see `agreement.TOLERANCES`,
            and in float32 for what the network's own spread allows on any processor,
            if that is more.

    Raises:
        ValueError: if the format cannot hold the network, or what was written differs
            from it by more.
        ImportError: if a package is not installed.
    """
    chosen = get_format(format, precision)
    output = os.path.normpath(os.fspath(output))
    _check_output(output, chosen.ending)
    frozen = freeze(model, input_shape, levels=levels)
    needs_calibration = precision == "int8" and not frozen.quantized
    if needs_calibration != bool(len(calibration)):
        raise ValueError(
            f"precision={precision!r} with {len(calibration)} batches for calibration: "
            "int8 needs some, and the others, and a network that was trained for int8, "
            "have no use for them."
        )
    if calibration_method not in CALIBRATION_METHODS:
        raise ValueError(
            f"calibration_method={calibration_method!r}; allowed are "
            f"{', '.join(CALIBRATION_METHODS)}."
        )
    chooses = needs_calibration and format in ("onnx", "openvino")
    if (calibration_method != CALIBRATION_METHODS[0] or float_layers) and not chooses:
        raise ValueError(
            f"calibration_method={calibration_method!r} and float_layers are for int8 "
            "in onnx and openvino, of networks that were not trained for it."
        )
    inputs, outputs = frozen.inputs, frozen.outputs
    batches = [_by_name(batch, inputs) for batch in calibration]
    # Ranges of int8 are those of the images that it was calibrated with.
    samples = batches[0] if batches else sample_inputs(inputs)
    reference = as_function(model, input_shape, levels=levels)
    wanted = _wanted(model, reference, samples, outputs[0])
    known = {**metadata_fields.describe(model), **(metadata or {})}
    preprocessing = preprocessing or known.get("preprocessing_name")
    known |= {
        "format": format,
        "precision": precision,
        "preprocessing_name": preprocessing,
        "eval_crop_fraction": trained_crop_fraction(known, preprocessing or ""),
        "inputs": {name: spec.shape.as_list() for name, spec in inputs.items()},
        "outputs": list(outputs if format != "keras" else outputs[:1]),
    }
    if labels:
        known["label_names"] = list(labels)
    if float_layers:
        known["float_layers"] = list(float_layers)
    rounding = Rounding(batches, calibration_method, tuple(float_layers))
    job = Job(model, frozen, precision, known, preprocessing, rounding)
    if precision == "int8" and frozen.quantized and not job.quantized:
        raise ValueError(
            "The network rounds nothing yet: it was trained for no more steps than its "
            "quantize_delay. Train on, or export it in another precision."
        )
    allowed = TOLERANCES[precision] if tolerance is None else tolerance
    order = LARGEST if precision == "float32" else TOGETHER
    with draft_directory(output) as directory:
        draft = os.path.join(directory, f"draft{chosen.ending}")
        with refusals_of(f"{format} cannot hold this network", ValueError):
            chosen.write(job, draft)
        # Copies of the weights, some of them in graphs, which are cycles; what reads
        # the file makes ten more.
        del job, frozen
        gc.collect()
        write_metadata(draft, known)
        difference = largest_difference(load(draft)(samples), wanted, order)
        spread = None
        if difference > allowed and precision == "float32" and tolerance is None:
            own = as_function(model, input_shape, levels=levels, jitter=JITTER)
            spread = largest_difference(outputs_of(own, samples), wanted)
            allowed = max(allowed, SPREADS * spread)
        if difference > allowed:
            raise ValueError(
                f"The {format} in {precision} differs from the network by "
                f"{difference:.2g}, relative to {SIZES[order]}, where "
                f"{allowed:.2g} is allowed{_of_spread(spread)}: nothing is written."
            )
        known.update(largest_difference=difference, tolerance=allowed)
        write_metadata(draft, known)
        if labels:
            write_labels(draft + LABELS_ENDING, labels)
        size = sum(map(_size, chosen.files(draft)))
        move_export(chosen.files(draft), chosen.files(output))
    return Report(
        output, format, precision, difference, allowed, size, tuple(float_layers)
    )


def move_export(drafts: Sequence[str], outputs: Sequence[str]) -> None:
    """Puts an export and what lies beside it in the place of what was there.

    Args:
        drafts, outputs: the files of both, as `Format.files` tells them; drafts lie in
            a `draft_directory`.
    """
    draft, output = drafts[0], outputs[0]
    for ending in (".json", LABELS_ENDING):
        if os.path.exists(output + ending):
            os.remove(output + ending)
    if os.path.isdir(output):  # It goes with the drafts, which takes longer.
        os.replace(output, f"{draft}.replaced")
    # What is named by the ending comes last.
    for source, target in reversed(list(zip(drafts, outputs, strict=True))):
        os.replace(source, target)
    for ending in (".json", LABELS_ENDING):
        if os.path.exists(draft + ending):
            os.replace(draft + ending, output + ending)


def _check_output(output: str, ending: str) -> None:
    """Raises ValueError for a name that does not fit, or that something else has."""
    if ending and not output.endswith(ending):
        raise ValueError(f"The output {output} must end in {ending}.")
    is_model = os.path.exists(os.path.join(output, "saved_model.pb"))
    if os.path.isdir(output) and (ending or (os.listdir(output) and not is_model)):
        raise ValueError(f"{output} is a directory that holds something else.")
    if not ending and os.path.isfile(output):
        raise ValueError(f"{output} is a file; a SavedModel is a directory.")


def _of_spread(spread: float | None) -> str:
    if spread is None:
        return ""
    return (
        f" (the network's own outputs change by {spread:.2g} where its weights change "
        f"by {JITTER:.2g})"
    )


def _by_name(batch: Any, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    if not isinstance(batch, Mapping):
        batch = {next(iter(inputs)): batch}
    return {name: np.asarray(value, np.float32) for name, value in batch.items()}


def _wanted(
    model: Model,
    function: Callable[..., dict[str, tf.Tensor]],
    samples: Mapping[str, np.ndarray],
    first: str,
) -> dict[str, np.ndarray]:
    """Returns what the network gives for samples, in float32.

    Args:
        model: the network.
        function: the same, by names; see `as_function`.
        samples: its inputs by name.
        first: the name of what a call of the model gives, if that has none.
    """
    wanted = outputs_of(function, samples)
    if model.precision == "float32" and IMAGES in samples:
        outputs = model(tf.constant(samples[IMAGES]), training=False)
        named = outputs if isinstance(outputs, Mapping) else {first: outputs}
        wanted |= {name: value.numpy() for name, value in named.items()}
    return wanted


def _size(path: str) -> int:
    files = [path] if os.path.isfile(path) else []
    files += [os.path.join(d, f) for d, _, names in os.walk(path) for f in names]
    return sum(map(os.path.getsize, files))
