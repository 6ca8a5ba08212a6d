"""The directory of a run: its checkpoints, which is the latest, and which the best."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets.checkpoints import load_weights, read_checkpoint, save_weights

STATE = "checkpoint"
STEP = "global_step"
BEST = "best"


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

        Raises:
            OSError: if it cannot be written; the last one is still there then.
        """
        prefix = os.path.join(self.path, f"model.ckpt-{step}")
        named = {**self._variables, STEP: np.int64(step)}
        kept = [name for name in self._kept() if name != os.path.basename(prefix)]
        try:
            save_weights(prefix, named, self._metadata(step))
            kept.append(os.path.basename(prefix))
            self._write_state(kept[-self._keep :])
        except (OSError, tf.errors.OpError) as error:
            raise OSError(self._not_saved(step, error)) from error
        for name in kept[: -self._keep]:
            for suffix in (".index", ".json", ".data-00000-of-00001"):
                with contextlib.suppress(FileNotFoundError):
                    os.remove(os.path.join(self.path, name + suffix))
        return prefix

    def _not_saved(self, step: int, error: Exception) -> str:
        reason = " ".join(str(error).split())[:160]
        kept = self._kept()
        left = (
            f"the last good checkpoint is {kept[-1]}" if kept else "there is no other"
        )
        return (
            f"Cannot save step {step} in {self.path} ({reason}); {left}. Make room, "
            "and the same command goes on from there."
        )

    def restore(self) -> int:
        """Loads the latest checkpoint and returns its step.

        Raises:
            FileNotFoundError, ValueError: as `load_weights`.
        """
        reader = read_checkpoint(self.path)
        if STEP not in reader:
            raise ValueError(f"{reader.prefix} has no {STEP}: no run wrote it.")
        load_weights(reader.prefix, self._variables)
        return int(reader[STEP])

    def _kept(self) -> list[str]:
        state = tf.train.get_checkpoint_state(self.path)
        paths = state.all_model_checkpoint_paths if state else []
        return [os.path.basename(path) for path in paths]

    def _write_state(self, names: list[str]) -> None:
        # The text form of TensorFlow's CheckpointState, with paths relative to it.
        lines = [f'model_checkpoint_path: "{names[-1]}"']
        lines += [f'all_model_checkpoint_paths: "{name}"' for name in names]
        draft = os.path.join(self.path, f".{STATE}")
        with open(draft, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        os.replace(draft, os.path.join(self.path, STATE))


def make_writable(path: str) -> None:
    """Makes the directory, if need be.

    Raises:
        OSError: if nothing can be written there.
    """
    try:
        os.makedirs(path, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise type(error)(
            f"Cannot write to train_dir={path}: {error.strerror or error}. Choose a "
            "directory that can be written to."
        ) from None


def has_checkpoint(path: str) -> bool:
    """Whether `path` is the directory of a run that can go on."""
    return os.path.exists(os.path.join(path, STATE))
