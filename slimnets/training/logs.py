"""What a run writes for people: TensorBoard's events, a table and a summary."""

from __future__ import annotations

import contextlib
import csv
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

import tensorflow as tf

from slimnets.listing import one_line
from slimnets.model import Model
from slimnets.training.run_files import LOG, SUMMARY, log_of


class Logs:
    """Writes to a run's directory; `active` is False for all processes but one.

    The table has one row for each step with anything to say; rows of steps after
    `first_step`, which a run that goes on takes again, are dropped.

    Args:
        directory: the run's.
        first_step: where the run begins.
        active: whether anything is written.
    """

    def __init__(self, directory: str, first_step: int, active: bool = True):
        self._directory, self._active = directory, active
        self._rows: list[dict[str, Any]] = []
        # Of the file; empty until this run has written it.
        self._columns: list[str] = []
        if active:
            with _explained(directory):
                self._writer = tf.summary.create_file_writer(directory)
                self._rows = log_of(directory)
                self.go_back(first_step)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Adds numbers of a step to TensorBoard and the table."""
        if not self._active:
            return
        new = not self._rows or int(self._rows[-1]["step"]) != step
        if new:
            self._rows.append({"step": step})
        self._rows[-1].update({name: f"{v:.8g}" for name, v in values.items()})
        with self._writing(step):
            for name, value in values.items():
                tf.summary.scalar(name, value)
            self._writer.flush()
            if new and set(values) <= set(self._columns):
                self._append_row()
            else:
                self._write_rows()

    def images(self, step: int, inputs: Any, number: int) -> None:
        """Shows the first images of a batch, from their darkest to their brightest."""
        if not self._active:
            return
        images = tf.cast(inputs[:number], tf.float32)
        if images.shape.rank != 4 or images.shape[-1] not in (1, 3, 4):
            raise ValueError(
                f"image_summaries={number} is of no effect: the network's inputs, of "
                f"shape {images.shape}, are no images."
            )
        low = tf.reduce_min(images, axis=[1, 2, 3], keepdims=True)
        high = tf.reduce_max(images, axis=[1, 2, 3], keepdims=True)
        shown = (images - low) / tf.maximum(high - low, 1e-6)
        with self._writing(step):
            tf.summary.image("augmented", shown, max_outputs=number)

    def histograms(self, step: int, model: Model) -> None:
        """Shows the values of a model's variables."""
        if not self._active:
            return
        with self._writing(step):
            for name, variable in model.variables_by_name.items():
                tf.summary.histogram(name, variable)

    def graph(self, model: Model, inputs: tf.TensorSpec) -> None:
        """Shows the graph of a network in inference."""
        if self._active:
            forward = tf.function(lambda images: model(images, training=False))
            with self._writing(0):
                tf.summary.graph(forward.get_concrete_function(inputs).graph)

    def history(self, name: str, interval: int) -> list[tuple[int, float]]:
        """The values of one column at every `interval`-th step, with these steps."""
        return [
            (int(row["step"]), float(row[name]))
            for row in self._rows
            if name in row and int(row["step"]) % interval == 0
        ]

    def go_back(self, step: int) -> None:
        """Drops the rows of later steps."""
        self._rows = [row for row in self._rows if int(row["step"]) <= step]
        self._columns = []

    def settings(self, config: Mapping[str, Any]) -> None:
        """Shows a run's settings as TensorBoard's hyperparameters."""
        from tensorboard.plugins.hparams import api

        if self._active:
            given = {k: v for k, v in config.items() if v is not None}
            plain = {k: str(v) if isinstance(v, list) else v for k, v in given.items()}
            with self._writing(0):
                api.hparams(plain, trial_id=os.path.basename(self._directory) or "run")

    def summary(self, values: Mapping[str, Any]) -> None:
        """Writes what the run came to as JSON."""
        if self._active:
            path = os.path.join(self._directory, SUMMARY)
            with _explained(self._directory), _replacing(path) as file:
                json.dump(values, file, indent=2, sort_keys=True)
                file.write("\n")

    def close(self) -> None:
        if self._active:
            with _explained(self._directory):
                self._writer.close()

    @contextlib.contextmanager
    def _writing(self, step: int) -> Iterator[None]:
        """Sends TensorBoard's summaries to the run's file of them."""
        with _explained(self._directory), self._writer.as_default(step=step):
            yield

    def _append_row(self) -> None:
        path = os.path.join(self._directory, LOG)
        with open(path, "a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, self._columns, lineterminator="\n")
            writer.writerow(self._rows[-1])

    def _write_rows(self) -> None:
        self._columns = list(dict.fromkeys(name for row in self._rows for name in row))
        with _replacing(os.path.join(self._directory, LOG)) as file:
            writer = csv.DictWriter(file, self._columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self._rows)


@contextlib.contextmanager
def _explained(directory: str) -> Iterator[None]:
    """Raises OSError that says what to do where a log cannot be written."""
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        raise OSError(
            f"Cannot write the logs in {directory} ({one_line(error)}). Once that is "
            "mended, the same command goes on from the last checkpoint."
        ) from error


@contextlib.contextmanager
def _replacing(path: str) -> Iterator[TextIO]:
    """A file that takes the place of another once it is written."""
    with open(f"{path}.part", "w", encoding="utf-8", newline="") as file:
        yield file
    os.replace(f"{path}.part", path)
