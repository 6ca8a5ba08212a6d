"""The directory of a run: its checkpoints, which one process at a time may write."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TextIO

import numpy as np
import tensorflow as tf

from slimnets.checkpoints import (
    CheckpointReader,
    load_weights,
    read_checkpoint,
    save_weights,
)
from slimnets.checkpoints.base import clear_drafts
from slimnets.files import move_into_place, try_lock
from slimnets.listing import one_line
from slimnets.training.run_files import BEST, STATE

STEP = "global_step"
LOCK = ".lock"
_CHECKPOINT = re.compile(r"model\.ckpt-\d+")
_BEFORE_STEPS = re.compile(
    rf"{re.escape(LOCK)}|{STATE}|model\.ckpt-0\..*|events\.out\.tfevents\..*"
)


class TrainDir:
    """Saves and restores the named variables of a run, `model.ckpt-STEP` each time.

    Args:
        path: the directory.
        variables: every variable that the run needs to go on, by name.
        metadata: a function of the step that gives what is written beside the weights.
        keep: how many of the latest checkpoints stay.
    """

    def __init__(
        self,
        path: str,
        variables: Mapping[str, tf.Variable],
        metadata: Callable[[int], Mapping[str, Any]],
        keep: int,
    ):
        self.path = path
        self._variables = variables
        self._metadata = metadata
        self._keep = keep

    def save(self, step: int) -> str:
        """Writes the checkpoint of `step`, and drops those beyond `keep`.

        One of that step, from which the run goes on, stays as it is.

        Raises:
            OSError: if it cannot be written; the last one is still there then.
        """
        prefix = os.path.join(self.path, f"model.ckpt-{step}")
        kept = self._kept()
        if os.path.basename(prefix) in kept:
            return prefix
        kept.append(os.path.basename(prefix))
        named = {**self._variables, STEP: np.int64(step)}
        with self._explained(f"save step {step}"):
            save_weights(prefix, named, self._metadata(step))
            _write_state(self.path, kept[-self._keep :])
            for name in kept[: -self._keep]:
                _remove(os.path.join(self.path, name))
        return prefix

    def save_best(
        self, step: int, variables: Mapping[str, tf.Variable], score: float
    ) -> None:
        """Writes variables to the directory `best`, in place of what it has.

        Raises:
            OSError: if they cannot be written; what was there still is then.
        """
        directory = os.path.join(self.path, BEST)
        name = f"model.ckpt-{step}"
        named = {**variables, STEP: np.int64(step)}
        with self._explained(f"save the best weights, of step {step},"):
            save_weights(
                os.path.join(directory, name),
                named,
                {**self._metadata(step), "score": score},
            )
            _write_state(directory, [name])
            found = (_CHECKPOINT.match(file) for file in os.listdir(directory))
            for other in {match[0] for match in found if match} - {name}:
                _remove(os.path.join(directory, other))

    @property
    def best_score(self) -> float:
        """Of what the directory `best` has."""
        directory = os.path.join(self.path, BEST)
        if not has_checkpoint(directory):
            return float("-inf")
        return latest(directory).metadata.get("score", float("-inf"))

    @contextlib.contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Raises OSError that says what is left where something cannot be written."""
        try:
            yield
        except (OSError, tf.errors.OpError) as error:
            kept = self._kept()
            left = (
                f"the last good checkpoint is {kept[-1]}"
                if kept
                else "there is no checkpoint"
            )
            raise OSError(
                f"Cannot {what} in {self.path} ({one_line(error)}); {left}. Once "
                "that is mended, the same command goes on from there."
            ) from error

    def restore(self) -> int:
        """Loads the latest checkpoint and returns its step.

        Raises:
            FileNotFoundError, ValueError: as `load_weights`.
        """
        reader = latest(self.path)
        if STEP not in reader:
            raise ValueError(f"{reader.prefix} has no {STEP}: no run wrote it.")
        load_weights(reader.prefix, self._variables)
        return int(reader[STEP])

    def _kept(self) -> list[str]:
        state = tf.train.get_checkpoint_state(self.path)
        paths = state.all_model_checkpoint_paths if state else []
        return [os.path.basename(path) for path in paths]


@contextlib.contextmanager
def held(path: str) -> Iterator[None]:
    """Makes the directory of a run, if need be, and keeps other processes out of it.

    That ends with the process, however the process does. What a process that was
    killed had half written is removed; and the whole directory, if it was made for a
    run that fails before it has a log or a checkpoint of any step.

    Raises:
        OSError: if nothing can be written there, or another process trains there.
    """
    made = _missing(path)
    try:
        file = _locked(path)
    except BlockingIOError:
        raise
    except OSError as error:
        raise type(error)(
            f"Cannot write to train_dir={path}: {error.strerror or error}. Choose a "
            "directory that can be written to."
        ) from None
    with file:
        for directory in (path, os.path.join(path, BEST)):
            clear_drafts(directory)
        try:
            yield
        except Exception:  # Who stops a run by a signal goes on with it.
            if made and _is_of_no_use(path):
                _remove_directories(path, made)
            raise


def _missing(path: str) -> str:
    """The outermost directory of a path that is not there; empty if all are."""
    missing, parent = "", os.path.abspath(path)
    while not os.path.exists(parent):
        missing, parent = parent, os.path.dirname(parent)
    return missing


def _is_of_no_use(path: str) -> bool:
    """Whether a directory has nothing but what a run makes before its first step."""
    return os.path.isdir(path) and all(
        _BEFORE_STEPS.fullmatch(name) for name in os.listdir(path)
    )


def _remove_directories(path: str, outermost: str) -> None:
    """Removes a directory, and those above it that this leaves empty."""
    shutil.rmtree(path, ignore_errors=True)
    parent = os.path.abspath(path)
    while parent != outermost:
        parent = os.path.dirname(parent)
        with contextlib.suppress(OSError):
            os.rmdir(parent)


def _locked(path: str) -> TextIO:
    """The open file that other processes cannot lock, with this one's name in it."""
    os.makedirs(path, exist_ok=True)
    with tempfile.TemporaryFile(dir=path):
        pass
    with contextlib.ExitStack() as stack:
        lock = os.path.join(path, LOCK)
        file = stack.enter_context(open(lock, "a+", encoding="utf-8"))
        file.seek(0)
        if not try_lock(file):
            raise BlockingIOError(
                f"Another run trains in train_dir={path}: {file.read() or 'a process'}."
                " Wait for its end, or choose another train_dir."
            )
        file.truncate()
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        file.write(f"process {os.getpid()} on {socket.gethostname()} since {since}")
        file.flush()
        stack.pop_all()
    return file


def latest(path: str) -> CheckpointReader:
    """The latest checkpoint of a run's directory, as the run itself wrote it."""
    return read_checkpoint(path)


def has_checkpoint(path: str) -> bool:
    """Whether `path` is the directory of a run that can go on."""
    return os.path.exists(os.path.join(path, STATE))


def _write_state(directory: str, names: list[str]) -> None:
    # The text form of TensorFlow's CheckpointState, with paths relative to it.
    lines = [f'model_checkpoint_path: "{names[-1]}"']
    lines += [f'all_model_checkpoint_paths: "{name}"' for name in names]
    draft = os.path.join(directory, f".{STATE}")
    with open(draft, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    move_into_place(draft, os.path.join(directory, STATE))


def _remove(prefix: str) -> None:
    for suffix in (".index", ".json", ".data-00000-of-00001"):
        with contextlib.suppress(FileNotFoundError):
            os.remove(prefix + suffix)
