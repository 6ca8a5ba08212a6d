"""Names of classes: ImageNet's, and those that belong to a checkpoint.

Source of ImageNet's: see embedded/README.md.
"""

from __future__ import annotations

import functools
import gzip
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from slimnets.checkpoints import read_checkpoint
from slimnets.checkpoints.metadata import LABELS_ENDING
from slimnets.data.text_files import read_lines
from slimnets.files import drafted

# The names of the classes beside record files.
LABELS_FILE = "labels.txt"
IMAGENET_CLASSES = 1000
BACKGROUND = "background"
_FILE = pathlib.Path(__file__).parent / "embedded" / "imagenet_classes.txt.gz"
# What names that are not UTF-8 begin with.
_BYTES = b"\n0:"
_NUMBERED = re.compile(r"(\d+)\s*:\s*(.*)")


class Prediction(NamedTuple):
    """One class for one image."""

    index: int
    name: str
    score: float


@functools.cache
def _imagenet() -> tuple[tuple[str, str], ...]:
    lines = gzip.decompress(_FILE.read_bytes()).decode().splitlines()
    return tuple(tuple(line.split("\t")) for line in lines)


def imagenet_labels(background: bool = False) -> tuple[str, ...]:
    """Returns the names of ImageNet-1k's classes, in their usual order.

    Args:
        background: whether a class 0, `background`, comes before them, as in TF-Slim's
            networks of 1001 classes.
    """
    names = tuple(name for _, name in _imagenet())
    return (BACKGROUND, *names) if background else names


def imagenet_synsets() -> tuple[str, ...]:
    """Returns the WordNet identifiers of ImageNet-1k's classes: `n01440764` ..."""
    return tuple(synset for synset, _ in _imagenet())


def read_labels(path: str | os.PathLike, first: int = 0) -> tuple[str, ...]:
    """Reads a file of class names, one a line: `name`, or `0:name` in any order.

    Args:
        path: a text file in UTF-8, or what `write_labels` wrote.
        first: what its numbers may begin with, beside 0.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is empty or not in UTF-8, only some of its lines are numbered,
            or its numbers are not 0, 1, 2 ...
    """
    content = pathlib.Path(path).read_bytes()
    if content.startswith(_BYTES):
        lines = content.decode("utf-8", "surrogateescape").split("\n")
        lines = [line for line in lines if line]
    else:
        lines = read_lines(path)
    if not lines:
        raise ValueError(f"{path} holds no names of classes.")
    matches = [_NUMBERED.fullmatch(line) for line in lines]
    if not any(matches):
        return tuple(lines)
    if not all(matches):
        plain = matches.index(None)
        raise ValueError(
            f"{path} has {len(lines)} lines, of which {sum(map(bool, matches))} are "
            f"numbered and others are not, such as {lines[plain]!r}: number all of "
            "them or none."
        )
    names = {int(match[1]): match[2] for match in matches if match}
    begin = first if min(names) == first else 0
    if sorted(names) != list(range(begin, begin + len(lines))):
        raise ValueError(
            f"{path} has {len(lines)} lines, but its classes are not numbered from 0 "
            f"to {len(lines) - 1}, each once; they are from {min(names)} to "
            f"{max(names)}."
        )
    return tuple(names[index] for index in sorted(names))


def write_labels(path: str | os.PathLike, names: Sequence[str]) -> None:
    """Writes a file of class names, `0:name` a line, as TF-Slim's labels.txt.

    Names of folders that are not UTF-8 are written as they are; then the first line is
    empty, by which `read_labels` knows them from a text in another encoding.

    Raises:
        ValueError: for a name of more than one line.
    """
    for name in names:
        if "\n" in name or "\r" in name:
            raise ValueError(f"The name {name!r} has more than one line.")
    text = "".join(f"{index}:{name}\n" for index, name in enumerate(names))
    content = text.encode("utf-8", "surrogateescape")
    plain = content.decode("utf-8", "replace") == text
    with drafted(os.fspath(path)) as draft:
        pathlib.Path(draft).write_bytes(content if plain else b"\n" + content)


def labels_of(path: str | os.PathLike) -> tuple[str, ...] | None:
    """Returns the names of a checkpoint's classes.

    They are those in `PREFIX.labels.txt` beside it; or its metadata's `label_names`; or
    ImageNet's, if its metadata tells of 1000 or 1001 classes; else None.

    Args:
        path: see `checkpoints.read_checkpoint`.

    Raises:
        FileNotFoundError, ValueError: as `read_checkpoint` and `read_labels`.
    """
    reader = read_checkpoint(path)
    return labels_beside(reader.prefix, reader.metadata)


def labels_beside(path: str, metadata: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Returns the names of a file's classes, found as `labels_of` finds them.

    Args:
        path: a checkpoint's prefix, or an exported network.
        metadata: what is known of it.

    Raises:
        ValueError: as `read_labels`.
    """
    beside = path + LABELS_ENDING
    if os.path.exists(beside):
        return read_labels(beside)
    if names := metadata.get("label_names"):
        return tuple(map(str, names))
    return default_labels(metadata.get("num_classes"))


def default_labels(num_classes: int | None) -> tuple[str, ...] | None:
    """ImageNet's names for 1000 classes, with a background for 1001, else None."""
    if num_classes not in (IMAGENET_CLASSES, IMAGENET_CLASSES + 1):
        return None
    return imagenet_labels(background=num_classes > IMAGENET_CLASSES)


def decode_predictions(
    predictions: Any, top: int = 5, labels: Sequence[str] | None = None
) -> list[list[Prediction]]:
    """Returns the best classes of each image, best first.

    Args:
        predictions: `[batch, classes]`; probabilities, or logits, which are then the
            scores.
        top: how many; all if there are fewer.
        labels: names of the classes; None for ImageNet's, of 1000 or 1001 classes.

    Raises:
        ValueError: for other shapes, top < 1, or another number of labels.
    """
    scores = np.asarray(predictions)
    if scores.ndim != 2:
        raise ValueError(
            f"predictions are [batch, classes]; got the shape {list(scores.shape)}."
        )
    if top < 1:
        raise ValueError(f"top={top}; allowed is 1 or more.")
    classes = scores.shape[1]
    labels = default_labels(classes) if labels is None else labels
    if labels is None or len(labels) != classes:
        known = "ImageNet's are 1000 or 1001" if labels is None else f"{len(labels)}"
        raise ValueError(f"{classes} classes need as many labels; {known}.")
    best = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    return [
        [Prediction(int(i), labels[i], float(row[i])) for i in indices]
        for row, indices in zip(scores, best, strict=True)
    ]
