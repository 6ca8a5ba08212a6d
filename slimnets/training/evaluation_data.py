"""Which images measure a trained network, and which of its logits are their classes."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import tensorflow as tf

from slimnets.data import Dataset, evaluation_batches, get_dataset
from slimnets.data.annotated import BOXES, MASKS, open_annotated
from slimnets.data.bad_records import BadRecords
from slimnets.data.class_names import logits_of_labels
from slimnets.data.input_config import OF_DATASETS
from slimnets.heads.rows import DETECTION, SEGMENTATION
from slimnets.trained import Trained

# What heads are measured by.
_KINDS = {DETECTION: BOXES, SEGMENTATION: MASKS}


def classes_of(trained: Trained, dataset: Dataset) -> list[int]:
    """Which logit is which class of a dataset; see `logits_of_labels`."""
    return logits_of_labels(
        dataset.label_names,
        trained.known_names,
        trained.num_classes or 0,
        labels_offset=trained.labels_offset,
        dataset=f"the dataset {dataset.name}",
        network=f"the network of {trained.path}",
    )


def dataset_for(
    trained: Trained,
    name: str | None = None,
    directory: str | None = None,
    **of_records: Any,
) -> tuple[Dataset, str]:
    """The dataset that measures a network; one that it was trained on lies where it
    lay. Its photos are turned upright if those of training were, and are in grey or
    colour as the network takes them.

    Returns:
        The dataset, and the split that is all of it; empty where a part of it is held
        out, since the network was trained on the rest, or it has splits of its own.
    """
    name, directory = _place(trained, name, directory)
    if name == trained.settings.get("dataset_name"):
        for setting in OF_DATASETS[1:]:
            if of_records.get(setting) is None:
                of_records[setting] = trained.settings.get(setting)
    dataset = get_dataset(name, dataset_dir=directory, **of_records)
    dataset = dataclasses.replace(dataset, exif_orientation=trained.exif_orientation)
    dataset = _with_channels(dataset, trained)
    return dataset, "" if is_trained_on(trained, dataset) else dataset.whole_split


def check_loss(loss: str, dataset: Dataset, split: str, advice: str) -> None:
    """Raises ValueError for a loss of one class where images have several.

    Labels in memory may be shares of classes, which such a loss takes.
    """
    several = dataset.on_disk and dataset.source(split).multi_label
    if several and loss in ("softmax", "focal"):
        raise ValueError(
            f"loss={loss!r} is for images of one class each, and those of "
            f"{dataset.name} have several: {advice}."
        )


def batches_for(
    trained: Trained,
    dataset: Dataset,
    split: str,
    batch_size: int,
    max_bad_records: int | None = None,
    input_context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """A split's images as a network sees them in evaluation, and their labels.

    Args:
        trained: the network.
        dataset: see `dataset_for`.
        split: of the dataset.
        batch_size: images at a time.
        max_bad_records: how many images may be left out; None for as many as in
            training.
        input_context: as of `evaluation_batches`.
    """
    if max_bad_records is None:
        max_bad_records = trained.max_bad_records
    return evaluation_batches(
        dataset,
        split=split,
        batch_size=batch_size,
        image_size=trained.image_size,
        preprocessing=trained.preprocessing,
        crop_fraction=trained.crop_fraction,
        input_context=input_context,
        bad_records=BadRecords(max_bad_records),
    )


def annotated_for(
    trained: Trained, name: str | None = None, directory: str | None = None
) -> Dataset:
    """The dataset of photos that measures a head; see `dataset_for`."""
    name, directory = _place(trained, name, directory)
    # Of an export the metadata themselves tell it.
    known = {"ignore_label": 255, **trained.settings, **trained.metadata}
    return open_annotated(name, _KINDS[trained.task], directory, known["ignore_label"])


def scope_of(trained: Trained, dataset: Dataset, split: str) -> str:
    """Which of how many images a split is, of a dataset without splits of its own."""
    if not dataset.whole_split:
        return ""
    total = dataset.splits[dataset.whole_split]
    if split == dataset.whole_split:
        return f"all {total} images"
    scope = f"{dataset.splits[split]} of {total} images"
    if is_trained_on(trained, dataset):
        with_split = trained.settings.get("dataset_split_name")
        seen = (with_split or dataset.train_split) in (split, dataset.whole_split)
        scope += ", which training saw" if seen else ", held out of training"
    return scope


def is_trained_on(trained: Trained, dataset: Dataset) -> bool:
    """Whether a network was trained on a part of a dataset."""
    where = trained.settings.get("dataset_dir")
    there = dataset.directory
    if where and there and os.path.realpath(where) == os.path.realpath(there):
        return True
    fingerprint = trained.metadata.get("dataset_fingerprint")
    return bool(fingerprint) and fingerprint == dataset.fingerprint


def _place(
    trained: Trained, name: str | None, directory: str | None
) -> tuple[str, str | None]:
    """The name of a dataset and where it lies: what is not given is as in training."""
    name = name or trained.metadata.get("dataset_name")
    if name is None:
        raise ValueError(
            f"{trained.path} has no metadata beside it that tells its dataset: give "
            "dataset_name."
        )
    if directory or name != trained.settings.get("dataset_name"):
        return name, directory
    path = trained.settings.get("dataset_dir")
    if path and not os.path.exists(path):
        where = "" if os.path.isabs(path) else f", seen from {os.getcwd()}"
        raise FileNotFoundError(
            f"{trained.path} was trained on {path}, which is not there{where}: give "
            "dataset_dir."
        )
    return name, path


def _with_channels(dataset: Dataset, trained: Trained) -> Dataset:
    """The dataset, decoded into as many channels as the network takes."""
    *sides, own = dataset.image_shape
    if len(sides) != 2 or own == trained.channels:
        return dataset
    if not dataset.on_disk or trained.channels not in (1, 3):
        raise ValueError(
            f"The images of the dataset {dataset.name} have {own} channels, but the "
            f"network of {trained.path} takes {trained.channels}."
        )
    return dataclasses.replace(dataset, image_shape=(*sides, trained.channels))
