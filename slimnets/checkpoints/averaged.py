"""Weights with the averages of training in the place of what they average.

TensorFlow's own rule (`tf.train.ExponentialMovingAverage.variables_to_restore`): the
average where a variable has one, else the variable itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from slimnets.checkpoints.base import AVERAGE, Shape, WeightsReader
from slimnets.checkpoints.detect import read_checkpoint
from slimnets.checkpoints.targets import OF_TRAINING
from slimnets.checkpoints.wrappers import without, wrapper_of

STEP = "global_step"


class Weights(WeightsReader):
    """What a file has under each variable's name, as one way of reading decides it.

    Args:
        reader: the file.
        averages: whether averages are taken; None for yes where there are any.

    Attributes:
        averaged: how many variables have their average.
        step: of training; None where the file does not tell.

    Raises:
        ValueError: if averages are asked for and there are none; or variables, where
            a file has the average of one alone.
    """

    def __init__(self, reader: WeightsReader, averages: bool | None = None):
        names = {reader.stored_name(name): name for name in reader}
        plain = {n: own for n, own in names.items() if not _is_average(n)}
        found = _averages(names, reader)
        if averages and not found:
            raise ValueError(
                f"{reader.prefix} has no moving averages; moving_average_decay of "
                "training keeps them."
            )
        alone = [name for name in found if name not in plain]
        if averages is False and alone:
            raise ValueError(
                f"{reader.prefix} has the moving average of {alone[0]} and not the "
                f"variable (of {len(alone)} in all), which averages=False asks for."
            )
        self._reader = reader
        self._left_aside = averages is False and bool(found)
        self._tensors = plain if averages is False else plain | found
        self.kind, self.object_based = reader.kind, reader.object_based
        self.bookkeeping = reader.bookkeeping
        super().__init__(
            reader.prefix, {n: reader.shapes[own] for n, own in self._tensors.items()}
        )
        self.averaged = 0 if averages is False else len(found)
        step = self.metadata.get("step")
        if step is None and STEP in reader:
            step = int(np.ravel(reader[STEP])[0])
        self.step = step

    def read(self, name: str) -> np.ndarray:
        return self._reader[self._tensors[name]]

    @property
    def source(self) -> str:
        """One line: what was opened, of which step, with averages or not."""
        step = "" if self.step is None else f", step {self.step}"
        if self.averaged:
            number = sum(_is_weight(name, self) for name in self)
            return f"{self.prefix}{step}, averages of {self.averaged} of {number}"
        if self._left_aside:
            return f"{self.prefix}{step}, its averages left aside"
        return f"{self.prefix}{step}, without averages"


def _averages(names: Mapping[str, str], reader: WeightsReader) -> dict[str, str]:
    """Maps what is averaged to its average.

    Wrappers may lie around the variables and not around the averages, or the reverse.

    Args:
        names: those in the file, and what the reader calls each.
        reader: of the file.
    """
    found = {n.removesuffix(AVERAGE): own for n, own in names.items() if _is_average(n)}
    plain = [
        n for n, own in names.items() if not _is_average(n) and _is_weight(own, reader)
    ]
    direct = {name for name in found if name in names}
    variables = _without_wrapper({n: reader.shapes[names[n]] for n in plain})
    short = _without_wrapper({n: reader.shapes[own] for n, own in found.items()})
    averages = {}
    for name, average in short.items():
        variable = variables.get(name, average)
        alone = average in direct or variable in direct
        averages[average if alone else variable] = found[average]
    return averages


def _without_wrapper(shapes: Mapping[str, Shape]) -> dict[str, str]:
    return without(wrapper_of(shapes), shapes)


def _is_average(name: str) -> bool:
    return name.endswith(AVERAGE)


def _is_weight(name: str, reader: WeightsReader) -> bool:
    return name not in reader.bookkeeping and not OF_TRAINING.fullmatch(name)


def open_weights(
    path: str | os.PathLike | WeightsReader, averages: bool | None = None
) -> Weights:
    """Opens the weights at `path`, averages where there are any.

    Args:
        path: see `read_checkpoint`; or what has been opened.
        averages: see `Weights`.

    Raises:
        FileNotFoundError, ValueError, ImportError: as `read_checkpoint` and `Weights`.
    """
    if isinstance(path, Weights):
        return path
    reader = path if isinstance(path, WeightsReader) else read_checkpoint(path)
    return Weights(reader, averages)
