"""Exports a checkpoint: the network, its preprocessing and its labels from metadata."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from slimnets.checkpoints.base import add_metadata
from slimnets.export.audit import audit
from slimnets.export.exporting import Report, export_model
from slimnets.export.float_layers import by_error, within_drop
from slimnets.export.frozen import IMAGES, LOGITS, as_function, freeze, outputs_of
from slimnets.export.images import ClassImages, HeadImages, in_batches
from slimnets.export.loading import Outputs, load
from slimnets.heads.rows import DETECTION, finished
from slimnets.heads.suppression import suppressed_in_one
from slimnets.model import Model
from slimnets.rules.quantization import is_quantized
from slimnets.trained import CLASSIFICATION, Trained, open_trained

_CALIBRATION = 128
AUDITED = 64
# Formats that hold what suppresses boxes, and whose own is of one image at a time.
_SUPPRESSING = ("saved_model", "frozen_graph", "onnx", "openvino", "tflite")
_OF_ONE = ("tflite",)
# Measures heads, and lies above.
_MEASURING_ROOM = "slimnets.tasks.head_evaluation"
# How it was trained is the checkpoint's affair.
_NOT_CARRIED = ("config", "precision")


@dataclasses.dataclass(frozen=True)
class Accuracies:
    """Shares of a split that are classified correctly, from 0 to 1.

    Attributes:
        before: by the network in float32.
        after: by what was exported.
        same: of which both name the same class, right or wrong.
        images: how many images there are.
        split: the split's name.
    """

    before: float
    after: float
    same: float
    images: int
    split: str

    @property
    def change(self) -> float:
        """By how many percentage points the export is better."""
        return 100 * (self.after - self.before)

    def __str__(self) -> str:
        return (
            f"accuracy {100 * self.after:.2f} % against {100 * self.before:.2f} % in "
            f"float32 ({self.change:+.2f} points, {self.images} {self.split} examples, "
            f"of which {100 * self.same:.2f} % get the same class)"
        )


def export_checkpoint(
    checkpoint_path: str | os.PathLike,
    output: str | os.PathLike,
    *,
    format: str,
    model_name: str | None = None,
    image_size: int | None = None,
    preprocessing: str | None = None,
    averages: bool | None = None,
    rename: Iterable[tuple[str, str]] = (),
    exclude: Iterable[str] = (),
    **kwargs: Any,
) -> tuple[Report, Accuracies | None]:
    """Exports the network of a checkpoint; what is None comes from its metadata.

    Args:
        checkpoint_path: see `open_trained`, as for what is not listed here.
        output, format: as of `export_model`.
        **kwargs: see `export_trained`.

    Returns:
        What was written, and the accuracies if they were measured.

    Raises:
        FileNotFoundError: if there is no checkpoint.
        ValueError: if it does not fit or cannot be exported, or a dataset is needed
            and not known.
    """
    trained = open_trained(
        checkpoint_path,
        averages=averages,
        model_name=model_name,
        image_size=image_size,
        preprocessing=preprocessing,
        rename=rename,
        exclude=exclude,
    )
    return export_trained(trained, output, format=format, **kwargs)


def export_trained(
    trained: Trained,
    output: str | os.PathLike,
    *,
    format: str,
    precision: str = "float32",
    batch_size: int | None = None,
    levels: Sequence[str] | None = None,
    dataset_name: str | None = None,
    dataset_dir: str | None = None,
    calibration_images: int | None = None,
    calibration_method: str = "minmax",
    max_accuracy_drop: float | None = None,
    measure: bool = False,
    tolerance: float | None = None,
    raw_outputs: bool = False,
    audited: bool = False,
    known: list[np.ndarray] | None = None,
) -> tuple[Report, Accuracies | None]:
    """Exports a network; see `export_checkpoint`.

    Args:
        trained: the network.
        output, format, precision, levels, tolerance, calibration_method: as of
            `export_model`.
        batch_size: a fixed number of images at a time; None for any, of a detector in
            tflite for one.
        dataset_name: whose training images int8 is calibrated with, and whose test
            images `measure` classifies; None for what it was trained on.
        dataset_dir: where a dataset on disk lies.
        calibration_images: how many images int8 is calibrated with, 128 by default;
            none for a network that was trained for it.
        max_accuracy_drop: by how many points of accuracy int8 may be worse, of a
            classifier in onnx or openvino: the layers that lose most stay in float
            until it is no more; None for whatever it loses.
        measure: whether the accuracies before and after are measured, of a head its
            average precisions or intersections. They are stored in the JSON file.
        raw_outputs: of a detector or a segmenter, whether it gives what it makes its
            detections or its mask of; see `heads.found_boxes` and `heads.found_mask`.
        audited: whether the error of each end point is measured, on test images, and
            stored there too; see `audit`.
        known: for `measure`, the classes that the network itself gives, batch by batch,
            where it is exported more than once; they are put into an empty list.
    """
    if trained.task == DETECTION and not raw_outputs and format in _OF_ONE:
        batch_size = batch_size or 1
    if trained.task == DETECTION and format == "tflite" and precision == "int8":
        raise ValueError(
            "tflite in int8 rounds boxes to a 255th of all that they reach: give "
            "precision=float16, or format=onnx or openvino, where int8 ends before "
            "boxes."
        )
    network, levels = _exported_network(
        trained, format, raw_outputs, levels, batch_size
    )
    of_head = network is not trained.network
    data: Any = None
    calibrated = precision == "int8" and not is_quantized(
        trained.network.variables_by_name
    )
    if calibration_images is not None and not calibrated:
        raise ValueError(
            f"calibration_images={calibration_images} is of no effect: "
            + (
                "its training has found the ranges."
                if precision == "int8"
                else f"precision={precision!r} has no ranges."
            )
        )
    if max_accuracy_drop is not None:
        if not calibrated or of_head:
            raise ValueError(
                f"max_accuracy_drop={max_accuracy_drop} is for int8 of classifiers "
                "that were not trained for it."
            )
        measure, known = True, [] if known is None else known
    if calibrated or measure or audited:
        kind = HeadImages if of_head else ClassImages
        data = kind(trained, dataset_name, dataset_dir, measure)
    batches: list[np.ndarray] = []
    if calibrated:
        number = calibration_images or _CALIBRATION
        batches = in_batches(data.training(number), batch_size)
    own = {k: v for k, v in trained.metadata.items() if k not in _NOT_CARRIED}
    size = trained.image_size
    input_shape = [batch_size, size, size, trained.channels]
    export = functools.partial(
        export_model,
        network,
        output,
        format=format,
        input_shape=input_shape,
        precision=precision,
        levels=levels,
        metadata={
            **own,
            "image_size": size,
            "input_channels": trained.channels,
            "averages": trained.averages,
            "preprocessing_name": trained.preprocessing,
            "eval_crop_fraction": trained.crop_fraction,
            "exif_orientation": trained.exif_orientation,
            "exported_from": os.path.basename(trained.path),
        },
        labels=trained.label_names,
        calibration=batches,
        calibration_method=calibration_method,
        tolerance=tolerance,
    )

    def write(float_layers: Sequence[str] = ()) -> tuple[Report, Accuracies | None]:
        report = export(float_layers=float_layers)
        if not measure or of_head:
            return report, None
        return report, _measure(data, report.path, batch_size, known)

    if max_accuracy_drop is None:
        report, accuracies = write()
    else:
        folded = freeze(network, input_shape, levels=levels).folded()
        errors = by_error(folded, [{IMAGES: batch} for batch in batches])
        report, accuracies = within_drop(write, list(errors), max_accuracy_drop)
    if measure and of_head:
        room = importlib.import_module(_MEASURING_ROOM)
        accuracies = room.measure_export(
            trained, report.path, dataset_name=dataset_name, dataset_dir=dataset_dir
        )
        add_metadata(report.path, measured=accuracies.to_json())
    if audited:
        images = data.test(batch_size or AUDITED)
        found = audit(
            network,
            images,
            format=format,
            precision=precision,
            calibration=batches,
            calibration_method=calibration_method,
            float_layers=report.float_layers,
        )
        add_metadata(report.path, audit=found.to_json())
        report = dataclasses.replace(report, audit=found)
    return report, accuracies


def _exported_network(
    trained: Trained,
    format: str,
    raw: bool,
    levels: Sequence[str] | None,
    batch_size: int | None,
) -> tuple[Model, Sequence[str] | None]:
    """What is exported: of a head, a network that gives what it finds, by names."""
    network = trained.network
    if trained.task == CLASSIFICATION:
        if raw:
            raise ValueError(
                f"raw_outputs is of no effect: {trained.path} has no head."
            )
        return network, levels
    if levels:
        raise ValueError(f"levels are not for {trained.task}, whose outputs are named.")
    if format == "keras":
        raise ValueError(
            f"The format keras cannot hold the named outputs of {trained.task}; "
            "saved_model can."
        )
    if trained.task == DETECTION and not raw and format not in _SUPPRESSING:
        raise ValueError(
            f"The format {format} has no non-maximum suppression: give raw_outputs for "
            f"what it suppresses, or another format, {', '.join(_SUPPRESSING)}."
        )
    how: dict[str, Any] = {}
    if trained.task == DETECTION and not raw and format in _OF_ONE:
        if batch_size != 1:
            raise ValueError(
                f"batch_size={batch_size}: the suppression of {format} is of one image "
                "at a time; give 1, or raw_outputs."
            )
        how["suppress"] = suppressed_in_one
    found = Model(
        finished(trained.task, raw, network.network_function, **how),
        num_classes=network.num_classes,
        precision=network.precision,
        **network.network_options,
    )
    found.build(trained.input_shape)
    found.adopt_variables(network.variables_by_name)
    return found, []


def _measure(
    data: ClassImages,
    path: str,
    batch_size: int | None,
    known: list[np.ndarray] | None,
) -> Accuracies:
    """Returns the accuracies, and adds them to the JSON file beside the export."""
    trained = data.trained
    exported = Outputs(load(path), batch_size, trained.num_classes)
    known = [] if known is None else known
    network = None
    if not known:
        size = trained.image_size
        network = as_function(
            trained.network, [None, size, size, trained.channels], levels=[]
        )
    correct, same, total = np.zeros(2, int), 0, 0
    for index, (batch, labels) in enumerate(data.batches(data.split, batch_size or 50)):
        images = np.asarray(batch, np.float32)
        labels = data.places[np.asarray(labels)]
        if network:
            logits = outputs_of(network, {IMAGES: images})[LOGITS]
            known.append(logits.argmax(-1))
        found = exported(images)[LOGITS].argmax(-1)
        correct += [np.sum(known[index] == labels), np.sum(found == labels)]
        same += np.sum(known[index] == found)
        total += len(labels)
    before, after = correct / total
    result = Accuracies(float(before), float(after), same / total, total, data.split)
    add_metadata(path, accuracy={**dataclasses.asdict(result), "change": result.change})
    return result
