"""By what the loss of each class is multiplied, where classes are of unlike sizes.

`balanced` is the inverse of a class's share of the images, so that all classes weigh
alike together and the mean over the images is 1. A file has a line `class,weight` for
each class, by its name or number, and may begin with such a header.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence

import numpy as np

from slimnets.data.datasets import Dataset
from slimnets.data.label_check import label_counts
from slimnets.data.text_files import read_lines

BALANCED = "balanced"
_HEADER = ["class", "weight"]


def class_weights(given: str, dataset: Dataset, split: str) -> np.ndarray:
    """The weights `[classes]`, float32.

    Args:
        given: `balanced`, or the path of a file.
        dataset: what is trained on.
        split: of it, whose images `balanced` counts.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it does not name each class once, with a number from 0 on; or
            if images have several classes each.
    """
    if given != BALANCED:
        return _read(given, dataset.label_names)
    counts = label_counts(dataset, split)
    weights = counts.sum() / (max(np.count_nonzero(counts), 1) * counts.clip(min=1))
    return np.where(counts > 0, weights, 0.0).astype(np.float32)


def _read(path: str, names: Sequence[str]) -> np.ndarray:
    rows = [[part.strip() for part in row] for row in csv.reader(read_lines(path))]
    if rows and [part.lower() for part in rows[0]] == _HEADER:
        del rows[0]
    places = {str(place): place for place in range(len(names))}
    places |= {name: place for place, name in enumerate(names)}
    weights: dict[int, float] = {}
    for row in rows:
        weight = _number(row[1]) if len(row) == 2 else None
        if weight is None or row[0] not in places or places[row[0]] in weights:
            raise ValueError(
                f"class_weights={path}: the line {','.join(row)!r} is not a class that "
                "stands here once and a weight from 0 on, such as "
                f"{names[0]},1.5; classes are {', '.join(names[:8])}"
                f"{' ...' if len(names) > 8 else ''}."
            )
        weights[places[row[0]]] = weight
    missing = [name for place, name in enumerate(names) if place not in weights]
    if missing:
        raise ValueError(
            f"class_weights={path} lacks {len(missing)} of {len(names)} classes, such "
            f"as {missing[0]!r}."
        )
    return np.array([weights[place] for place in range(len(names))], np.float32)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if number >= 0 and math.isfinite(number) else None
