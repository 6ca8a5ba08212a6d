"""Splits of datasets: their names, and parts that are held out where there are none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Of a split that a dataset does not have of its own, each tenth example is held out.
TRAIN, VALIDATION, ALL = "train", "validation", "all"
HELD_OUT = 10
# Names of splits that may measure a network, the first that is there.
MEASURING = (VALIDATION, "val", "valid", "test")


def held_out(number: int) -> np.ndarray:
    """Which of `number` examples in order are held out: bool `[number]`."""
    return np.arange(number) % HELD_OUT == HELD_OUT - 1


def split_off(held: np.ndarray) -> dict[str, np.ndarray]:
    """The indices of splits of examples, some of which are held out; none is empty."""
    chosen = {TRAIN: ~held, VALIDATION: held, ALL: np.ones_like(held)}
    found = {name: np.flatnonzero(which) for name, which in chosen.items()}
    return {name: indices for name, indices in found.items() if len(indices)}


def splits_to_use(splits: Sequence[str]) -> tuple[str, str]:
    """Which of these splits train, and which measure.

    They are `train`, and one of MEASURING, or the first whose names begin so; else
    whatever there is.
    """
    train = _called(splits, (TRAIN,)) or splits[0]
    return train, _called(splits, MEASURING) or train


def _called(splits: Sequence[str], names: Sequence[str]) -> str | None:
    for name in names:
        if name in splits:
            return name
        for split in splits:
            if split.startswith(name):
                return split
    return None
