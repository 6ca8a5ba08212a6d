"""Record files that other tools wrote: any names of files and of features.

The pattern of the files, relative to the directory, may have `{split}` in it, and tells
the splits by what stands there: `coco_{split}-*.tfrecord`. Without it each tenth record
is held out. Labels are numbers or texts, one or several; the classes are those in
`labels.txt`, or whatever the records have, which are then read once.
"""

from __future__ import annotations

import dataclasses
import glob
import os
import re
from collections.abc import Mapping
from typing import Any

from slimnets.data.datasets import Dataset, photo_dataset
from slimnets.data.labels import LABELS_FILE, read_labels
from slimnets.data.sources import Features, Records
from slimnets.data.splits import ALL, held_out, split_off
from slimnets.data.tfrecords import RecordFiles, features_in

_SPLIT = "{split}"
# So many records tell what kind of labels there are, where a file names the classes.
_FIRST = 64


def open_dataset(
    name: str,
    dataset_dir: str,
    labels_offset: int | None,
    *,
    pattern: str,
    features: Features,
) -> Dataset:
    """Finds the files of a pattern, and what is in them.

    Raises:
        FileNotFoundError: if there are no such files.
        ValueError: if a record has no such features.
    """
    files = {
        split: RecordFiles.of(paths)
        for split, paths in _files(dataset_dir, pattern).items()
    }
    known = os.path.join(dataset_dir, LABELS_FILE)
    names = read_labels(known) if os.path.exists(known) else ()
    kinds = _Labels(features)
    for records in files.values():
        kinds.read(records, _FIRST if names else len(records))
    names = names or kinds.names(labels_offset or 0)
    features = dataclasses.replace(
        features,
        labels_offset=labels_offset or 0,
        texts=tuple(names) if kinds.texts else (),
        several=kinds.several,
    )
    whole = ALL if list(files) == [ALL] else ""
    if whole:
        parts = split_off(held_out(len(files[ALL])))
        files = {split: files[ALL].chosen(own) for split, own in parts.items()}
    return photo_dataset(
        name,
        dataset_dir,
        names,
        {split: len(records) for split, records in files.items()},
        lambda split: Records(files[split], len(names), features),
        whole_split=whole,
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


class _Labels:
    """What the labels of records are."""

    def __init__(self, features: Features):
        self._features = features
        self._found: set = set()
        self.texts, self.several = False, False

    def read(self, records: RecordFiles, number: int) -> None:
        """Looks at the first `number` records."""
        for index in range(min(number, len(records))):
            try:
                features = features_in(records.read(index))
            except ValueError:
                continue  # Reading tells, as far as it may be left out.
            self._look(features, records.name(index))

    def _look(self, features: Mapping[str, Any], record: str) -> None:
        for flag in ("image", "label"):
            name = getattr(self._features, flag)
            if name not in features:
                there = ", ".join(sorted(features)[:12])
                raise ValueError(
                    f"The record {record} has no feature {name!r}: give "
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
