"""Exports a checkpoint: the network, its preprocessing and its labels from metadata."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from slimnets.checkpoints import read_checkpoint
from slimnets.data import Dataset, evaluation_batches, get_dataset
from slimnets.data.labels import labels_of
from slimnets.export.exporting import Report, export_model, write_json
from slimnets.export.frozen import IMAGES, LOGITS, as_function
from slimnets.export.loading import load
from slimnets.inspection.observe import Observed
from slimnets.training.averages import ENDING
from slimnets.training.evaluation import load_trained

CALIBRATION_BATCH = 8
_MOST_READ = 16
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
    precision: str = "float32",
    batch_size: int | None = None,
    image_size: int | None = None,
    preprocessing: str | None = None,
    levels: Sequence[str] | None = None,
    averages: bool | None = None,
    dataset_name: str | None = None,
    dataset_dir: str | None = None,
    calibration_images: int = 128,
    measure: bool = False,
    tolerance: float | None = None,
) -> tuple[Report, Accuracies | None]:
    """Exports the network of a checkpoint; what is None comes from its metadata.

    Args:
        checkpoint_path: see `read_checkpoint`.
        output: as of `export_model`.
        format: as of `export_model`.
        model_name: a registered network of images.
        precision: as of `export_model`.
        batch_size: a fixed number of images at a time; None for any.
        image_size: height and width of the network's input.
        preprocessing: a name; None for what the metadata says, or the network's own.
        levels: as of `export_model`.
        averages: whether the moving averages of the weights are exported; None for
            yes where the checkpoint has them.
        dataset_name: whose training images int8 is calibrated with, and whose test
            images `measure` classifies.
        dataset_dir: where a dataset on disk lies.
        calibration_images: how many images int8 is calibrated with.
        measure: whether the accuracies before and after are measured. They are stored
            in the JSON file.
        tolerance: as of `export_model`.

    Returns:
        What was written, and the accuracies if they were measured.

    Raises:
        FileNotFoundError: if there is no checkpoint.
        ValueError: if it does not fit or cannot be exported, or a dataset is needed
            and not known.
    """
    source = Observed(checkpoint_path, model_name, image_size, preprocessing)
    reader = read_checkpoint(checkpoint_path)
    if averages is None:
        names = source.model.variables_by_name
        averages = bool(names) and all(name + ENDING in reader for name in names)
    if averages:
        load_trained(reader, source.model, True)
    dataset = None
    if precision == "int8" or measure:
        dataset = _dataset(reader.metadata, dataset_name, dataset_dir)
    batches: list[np.ndarray] = []
    if precision == "int8":
        batches = _calibration(source, dataset, calibration_images, batch_size)
    own = {k: v for k, v in reader.metadata.items() if k not in _NOT_CARRIED}
    report = export_model(
        source.model,
        output,
        format=format,
        input_shape=[batch_size, source.size, source.size, source.channels],
        precision=precision,
        levels=levels,
        metadata={
            **own,
            "image_size": source.size,
            "input_channels": source.channels,
            "averages": averages,
            "exported_from": os.path.basename(reader.prefix),
        },
        labels=labels_of(checkpoint_path),
        preprocessing=source.preprocessing,
        calibration=batches,
        tolerance=tolerance,
    )
    if not measure:
        return report, None
    return report, _measure(source, dataset, report.path, reader.metadata, batch_size)


def _dataset(known: dict[str, Any], name: str | None, directory: str | None) -> Dataset:
    name = name or known.get("dataset_name")
    if not name:
        raise ValueError(
            "Calibration and accuracy need images, and the checkpoint's metadata do "
            "not tell its dataset: give dataset_name."
        )
    trained_with = known.get("config", {})
    if name == trained_with.get("dataset_name"):
        directory = directory or trained_with.get("dataset_dir")
    return get_dataset(name, dataset_dir=directory)


def _batches(source: Observed, dataset: Dataset, split: str, batch_size: int) -> Any:
    return evaluation_batches(
        dataset,
        split=split,
        batch_size=batch_size,
        image_size=source.size,
        preprocessing=source.preprocessing,
    )


def _calibration(
    source: Observed, dataset: Dataset, number: int, batch_size: int | None
) -> list[np.ndarray]:
    """Returns training images, evenly from the split, as evaluation prepares them, in
    batches of one size."""
    size = batch_size or min(CALIBRATION_BATCH, number)
    total = dataset.splits["train"]
    # Of a large data set only the beginning is read.
    step = min(max(total // number, 1), _MOST_READ)
    images: list[np.ndarray] = []
    for batch, _ in _batches(source, dataset, "train", step):
        images.append(np.asarray(batch)[0])
        if len(images) == number:
            break
    whole = len(images) - len(images) % size
    if not whole:
        raise ValueError(
            f"calibration_images={number} does not fill one batch of {size}."
        )
    return list(np.stack(images[:whole]).reshape(-1, size, *images[0].shape))


def _measure(
    source: Observed,
    dataset: Dataset,
    path: str,
    known: dict[str, Any],
    batch_size: int | None,
) -> Accuracies:
    """Returns the accuracies, and adds them to the JSON file beside the export."""
    exported = load(path)
    split, offset = dataset.test_split, known.get("labels_offset", 0)
    shape = [batch_size, source.size, source.size, source.channels]
    graph = as_function(source.model, shape, levels=[])
    networks: list[Callable[[np.ndarray], np.ndarray]] = [
        lambda images: graph(images=images)[LOGITS].numpy(),
        lambda images: exported({IMAGES: images})[LOGITS],
    ]
    correct, same, total = np.zeros(2, int), 0, 0
    for batch, labels in _batches(source, dataset, split, batch_size or 50):
        images, labels = np.asarray(batch, np.float32), np.asarray(labels) + offset
        number = len(labels)
        if batch_size and number < batch_size:  # The last one is filled up.
            images = np.resize(images, (batch_size, *images.shape[1:]))
        found = np.stack([network(images)[:number].argmax(-1) for network in networks])
        correct += np.count_nonzero(found == labels, axis=1)
        same += np.count_nonzero(found[0] == found[1])
        total += number
    before, after = correct / total
    result = Accuracies(float(before), float(after), same / total, total, split)
    _store(exported.metadata, path, result)
    return result


def _store(metadata: dict[str, Any], path: str, result: Accuracies) -> None:
    metadata["accuracy"] = {**dataclasses.asdict(result), "change": result.change}
    write_json(f"{path}.json", metadata)
