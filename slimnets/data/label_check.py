"""Labels looked at before they are needed."""

from __future__ import annotations

import concurrent.futures
import os
from typing import Any

import numpy as np

from slimnets.data.bad_records import UNUSABLE
from slimnets.data.datasets import Dataset
from slimnets.data.decoding import out_of_range, parsed

# How many labels of a split are looked at: a wrong list of classes shows in a few.
_LABELS = 64


def label_counts(dataset: Dataset, split: str) -> np.ndarray:
    """How many examples of a split each class has: int64 `[classes]`.

    Record files are read for it, without their images being decoded; examples whose
    label is no class, or cannot be read, are not counted.

    Raises:
        ValueError: for an unknown split, or examples of several classes each.
    """
    source = dataset.source(split)
    if source.multi_label:
        raise ValueError(
            f"The examples of {dataset.name!r} have several classes each, which cannot "
            "be weighed or sampled by their one class."
        )
    labels = labels_in(source)
    return np.bincount(labels[labels >= 0], minlength=dataset.num_classes)


def labels_in(source: Any) -> np.ndarray:
    """The labels `[number]` of examples of one class each; -1 of those without."""
    labels = getattr(source, "labels", None)
    if labels is None:
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            found = pool.map(lambda index: _label(source, index), range(source.number))
            known = [-1 if label is None else label for label in found]
        labels = np.array(known, np.int64)
        labels[(labels < 0) | (labels >= source.num_classes)] = -1
    return np.asarray(labels, np.int64)


def _label(source: Any, index: int) -> int | None:
    """An example's label, be it a class or not; None if it cannot be read."""
    try:
        return int(parsed(source, index)[1])
    except UNUSABLE:
        return None  # Reading tells, as far as it may be left out.


def check_labels(dataset: Dataset, split: str, max_bad_records: int = 0) -> None:
    """Looks at labels of a split before they are needed; of many, at some.

    Raises:
        ValueError: for an unknown split, or more than `max_bad_records` labels that
            are no class.
    """
    source = dataset.source(split)
    if source.multi_label or hasattr(source, "labels"):
        return  # All of them were looked at.
    number = min(source.number, _LABELS)
    wrong = []
    for index in map(int, np.linspace(0, source.number - 1, number)):
        label = _label(source, index)
        if label is not None and not 0 <= label < source.num_classes:
            wrong.append(f"{source.name(index)}: {out_of_range(source, label)}")
    if len(wrong) > max_bad_records:
        raise ValueError(
            f"The split {split!r} of {dataset.name!r}, which measures the network, "
            f"does not fit its classes: {wrong[0]}."
        )
