"""Exports a checkpoint: the network, its preprocessing and its labels from metadata."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from slimnets.data import Dataset, evaluation_batches
from slimnets.data.bad_records import BadRecords, explained_errors
from slimnets.export.audit import audit
from slimnets.export.exporting import Report, export_model, store_measured
from slimnets.export.frozen import IMAGES, LOGITS, as_function
from slimnets.export.loading import load
from slimnets.heads.rows import DETECTION, finished
from slimnets.model import Model
from slimnets.rules.quantization import is_quantized
from slimnets.trained import CLASSIFICATION, Trained, open_trained
from slimnets.training.evaluation_data import classes_of, dataset_for

CALIBRATION_BATCH = 8
_CALIBRATION = 128
AUDITED = 64
_MOST_READ = 16
# Formats that hold what suppresses boxes.
_SUPPRESSING = ("saved_model", "frozen_graph", "onnx")
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
    measure: bool = False,
    tolerance: float | None = None,
    raw_outputs: bool = False,
    audited: bool = False,
) -> tuple[Report, Accuracies | None]:
    """Exports a network; see `export_checkpoint`.

    Args:
        trained: the network.
        output, format, precision, levels, tolerance: as of `export_model`.
        batch_size: a fixed number of images at a time; None for any.
        dataset_name: whose training images int8 is calibrated with, and whose test
            images `measure` classifies; None for what it was trained on.
        dataset_dir: where a dataset on disk lies.
        calibration_images: how many images int8 is calibrated with, 128 by default;
            none for a network that was trained for it.
        measure: whether the accuracies before and after are measured. They are stored
            in the JSON file.
        raw_outputs: of a detector or a segmenter, whether it gives what it makes its
            detections or its mask of; see `heads.found_boxes` and `heads.found_mask`.
        audited: whether the error of each end point is measured, on test images, and
            stored there too; see `audit`.
    """
    network, levels = _exported_network(trained, format, raw_outputs, levels)
    if network is not trained.network and (measure or audited or precision == "int8"):
        raise ValueError(
            f"{trained.path} is of {trained.task}, whose exports are neither in "
            "precision=int8 nor measured or audited."
        )
    data = None
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
    if calibrated or measure or audited:
        data = _Data(trained, *dataset_for(trained, dataset_name, dataset_dir), measure)
    batches: list[np.ndarray] = []
    if calibrated:
        batches = _calibration(data, calibration_images or _CALIBRATION, batch_size)
    own = {k: v for k, v in trained.metadata.items() if k not in _NOT_CARRIED}
    size = trained.image_size
    report = export_model(
        network,
        output,
        format=format,
        input_shape=[batch_size, size, size, trained.channels],
        precision=precision,
        levels=levels,
        metadata={
            **own,
            "image_size": size,
            "input_channels": trained.channels,
            "averages": trained.averages,
            "exif_orientation": trained.exif_orientation,
            "exported_from": os.path.basename(trained.path),
        },
        labels=trained.label_names,
        preprocessing=trained.preprocessing,
        calibration=batches,
        tolerance=tolerance,
    )
    accuracies = _measure(data, report.path, batch_size) if measure else None
    if audited:
        number = batch_size or AUDITED
        images, _ = next(iter(data.batches(data.split, number)))
        options = {"format": format, "precision": precision, "calibration": batches}
        found = audit(trained.network, np.asarray(images, np.float32), **options)
        store_measured(report.path, audit=found.to_json())
        report = dataclasses.replace(report, audit=found)
    return report, accuracies


def _exported_network(
    trained: Trained, format: str, raw: bool, levels: Sequence[str] | None
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
    found = Model(
        finished(trained.task, raw, network.network_function),
        num_classes=network.num_classes,
        precision=network.precision,
        **network.network_options,
    )
    found.build(trained.input_shape)
    found.adopt_variables(network.variables_by_name)
    return found, []


class _Data:
    """A dataset beside a network.

    Args:
        trained: the network.
        dataset: the dataset.
        whole: the split that is all of it, if none of it was trained on.
        measured: whether its classes have to be the network's; to calibrate with, any
            images will do.
    """

    def __init__(self, trained: Trained, dataset: Dataset, whole: str, measured: bool):
        self.trained, self.dataset = trained, dataset
        self.split = whole or dataset.test_split
        self.places = np.array(classes_of(trained, dataset) if measured else ())

    def batches(self, split: str, batch_size: int) -> Iterator[Any]:
        """Pairs of images and labels; as many are left out as training did."""
        with explained_errors():
            yield from evaluation_batches(
                self.dataset,
                split=split,
                batch_size=batch_size,
                image_size=self.trained.image_size,
                preprocessing=self.trained.preprocessing,
                bad_records=BadRecords(self.trained.max_bad_records),
            )


def _calibration(data: _Data, number: int, batch_size: int | None) -> list[np.ndarray]:
    """Returns training images, evenly from the split, as evaluation prepares them, in
    batches of one size."""
    size = batch_size or min(CALIBRATION_BATCH, number)
    total = data.dataset.splits[data.dataset.train_split]
    # Of a large data set only the beginning is read.
    step = min(max(total // number, 1), _MOST_READ)
    images: list[np.ndarray] = []
    for batch, _ in data.batches(data.dataset.train_split, step):
        images.append(np.asarray(batch)[0])
        if len(images) == number:
            break
    whole = len(images) - len(images) % size
    if not whole:
        raise ValueError(
            f"calibration_images={number} does not fill one batch of {size}."
        )
    return list(np.stack(images[:whole]).reshape(-1, size, *images[0].shape))


def _measure(data: _Data, path: str, batch_size: int | None) -> Accuracies:
    """Returns the accuracies, and adds them to the JSON file beside the export."""
    exported, trained = load(path), data.trained
    shape = [batch_size, *[trained.image_size] * 2, trained.channels]
    graph = as_function(trained.network, shape, levels=[])
    networks: list[Callable[[np.ndarray], np.ndarray]] = [
        lambda images: graph(images=images)[LOGITS].numpy(),
        lambda images: exported({IMAGES: images})[LOGITS],
    ]
    correct, same, total = np.zeros(2, int), 0, 0
    for batch, labels in data.batches(data.split, batch_size or 50):
        images = np.asarray(batch, np.float32)
        labels = data.places[np.asarray(labels)]
        number = len(labels)
        if batch_size and number < batch_size:  # The last one is filled up.
            images = np.resize(images, (batch_size, *images.shape[1:]))
        found = np.stack([network(images)[:number].argmax(-1) for network in networks])
        correct += np.count_nonzero(found == labels, axis=1)
        same += np.count_nonzero(found[0] == found[1])
        total += number
    before, after = correct / total
    result = Accuracies(float(before), float(after), same / total, total, data.split)
    store_measured(
        path, accuracy={**dataclasses.asdict(result), "change": result.change}
    )
    return result
