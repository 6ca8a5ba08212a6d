"""Record files that other tools wrote: any names of files and of features.

The pattern of the files, relative to the directory, may have `{split}` in it, and tells
the splits by what stands there: `coco_{split}-*.tfrecord`. Without it each tenth record
is held out. Labels are numbers or texts, one or several; the classes are those in
`labels.txt`, or whatever the records have, which are then read once.
"""

from __future__ import annotations

import functools
import glob
import os
import re
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from slimnets.data.datasets import Dataset
from slimnets.data.image_files import read_span
from slimnets.data.labels import read_labels
from slimnets.data.records import LABELS_FILE, spans_of
from slimnets.data.sources import (
    ALL,
    MEASURING,
    TRAIN,
    VALIDATION,
    Features,
    Records,
    held_out,
)

_SPLIT = "{split}"
# So many records tell what kind of labels there are, where a file names the classes.
_FIRST = 64

Spans = Sequence[np.ndarray]


def open_dataset(
    name: str,
    dataset_dir: str,
    labels_offset: int | None,
    *,
    pattern: str,
    features: Features,
) -> Dataset:
    """Finds the files of a pattern, and what is in them.

    Args:
        name: of the dataset.
        dataset_dir: the directory.
        labels_offset: what is subtracted from labels that are numbers; None for 0.
        pattern: of the files; see the module.
        features: the names of a record's features.

    Raises:
        FileNotFoundError: if there are no such files.
        ValueError: if a record has no such features.
    """
    files = _files(dataset_dir, pattern)
    spans = {split: spans_of(paths) for split, paths in files.items()}
    known = os.path.join(dataset_dir, LABELS_FILE)
    names = read_labels(known) if os.path.exists(known) else ()
    kinds = _Labels(features)
    for split, paths in files.items():
        kinds.read(paths, spans[split], _FIRST if names else None)
    names = names or kinds.names(labels_offset or 0)
    features = Features(
        image=features.image,
        label=features.label,
        labels_offset=labels_offset or 0,
        texts=tuple(names) if kinds.texts else (),
        several=kinds.several,
    )
    whole = ""
    if list(files) == [ALL]:
        whole = ALL
        held = held_out(sum(map(len, spans[ALL])))
        for split, chosen in ((TRAIN, ~held), (VALIDATION, held)):
            files[split], spans[split] = files[ALL], _chosen(spans[ALL], chosen)
    source = functools.cache(
        lambda split: Records(files[split], spans[split], len(names), features)
    )
    train = TRAIN if TRAIN in files else next(iter(files))
    return Dataset(
        name=name,
        image_shape=(None, None, 3),
        value_range=(0, 255),
        label_names=tuple(names),
        splits={split: sum(map(len, parts)) for split, parts in spans.items()},
        default_preprocessing="",
        loader=source,
        test_split=next((split for split in MEASURING if split in files), train),
        train_split=train,
        on_disk=True,
        whole_split=whole,
        directory=dataset_dir,
    )


def _files(directory: str, pattern: str) -> dict[str, list[str]]:
    """The files by split; all of them as one without a split in the pattern."""
    parts = [re.escape(part) for part in pattern.split(_SPLIT)]
    for plain, expression in ((r"\*", ".*"), (r"\?", ".")):
        parts = [part.replace(plain, expression) for part in parts]
    expression = re.compile("(?P<split>.+?)".join(parts[:2]))
    found: dict[str, list[str]] = {}
    root = glob.escape(directory)
    for path in sorted(glob.glob(os.path.join(root, pattern.replace(_SPLIT, "*")))):
        match = expression.fullmatch(os.path.relpath(path, directory))
        if match and os.path.isfile(path):
            found.setdefault(match.groupdict().get("split", ALL), []).append(path)
    if not found:
        raise FileNotFoundError(
            f"{directory} holds no files of records_pattern={pattern}."
        )
    return found


def _chosen(spans: Spans, which: np.ndarray) -> list[np.ndarray]:
    ends = np.cumsum([len(part) for part in spans])[:-1]
    pairs = zip(spans, np.split(which, ends), strict=True)
    return [part[mask] for part, mask in pairs]


class _Labels:
    """What the labels of records are."""

    def __init__(self, features: Features):
        self._features = features
        self._found: set = set()
        self.texts, self.several = False, False

    def read(self, paths: Sequence[str], spans: Spans, number: int | None) -> None:
        """Looks at the first `number` records of files, or at all."""
        read = 0
        for path, part in zip(paths, spans, strict=True):
            for offset, length in part.tolist():
                if read == number:
                    return
                read += 1
                self._look(read_span(path, offset, length), path)

    def _look(self, record: bytes, path: str) -> None:
        try:
            features = tf.train.Example.FromString(record).features.feature
        except Exception:  # protobuf's DecodeError has no public home in TensorFlow.
            return  # Reading tells, as far as it may be left out.
        for flag in ("image", "label"):
            name = getattr(self._features, flag)
            if name not in features:
                there = ", ".join(sorted(features)[:12])
                raise ValueError(
                    f"A record of {path} has no feature {name!r}: give "
                    f"{flag}_feature, one of {there}."
                )
        label = features[self._features.label]
        values = list(label.bytes_list.value or label.int64_list.value)
        self.texts |= bool(label.bytes_list.value)
        self.several |= len(values) != 1
        self._found.update(values)

    def names(self, offset: int) -> tuple[str, ...]:
        """Of the classes: the texts in order, or the numbers from the offset on."""
        if self.texts:
            return tuple(
                text.decode("utf-8", "surrogateescape") for text in sorted(self._found)
            )
        return tuple(map(str, range(max(self._found, default=offset) - offset + 1)))
