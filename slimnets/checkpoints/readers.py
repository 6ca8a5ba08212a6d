"""Reads name-keyed TensorFlow checkpoints, one tensor at a time."""

import difflib
import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

_SUFFIX = re.compile(r"\.(index|data-\d{5}-of-\d{5})$")
# TensorFlow's reader raises an IndexError where a file ends too early.
_READ_ERRORS = (tf.errors.OpError, IndexError, RuntimeError, ValueError)
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"

# First bytes of files that people offer in place of a TensorFlow checkpoint.
_FOREIGN = {
    b"\x89HDF": "an HDF5 file (Keras weights?)",
    b"PK\x03\x04": "a zip archive (PyTorch, Keras or NumPy?)",
    b"\x80\x02": "a Python pickle (an old PyTorch file?)",
    b"\x1f\x8b": "a gzip archive, to be unpacked first",
}


class CheckpointReader(Mapping[str, np.ndarray]):
    """A read-only dict from names to arrays; each value is read when it is asked for.

    Attributes:
        prefix: where the checkpoint lies.
        shapes: a dict from names to shapes, as tuples.
        metadata: what was written beside the weights as JSON; empty without.
        object_based: whether tf.train.Checkpoint wrote it; its names are then paths
            through Python objects.
    """

    def __init__(self, prefix: str):
        self.prefix = prefix
        try:
            self._reader = tf.train.load_checkpoint(prefix)
            shapes = self._reader.get_variable_to_shape_map()
        except _READ_ERRORS as error:
            raise _unreadable(prefix, error) from error
        self.object_based = _OBJECT_GRAPH in shapes
        self.shapes = {
            name: tuple(shapes[name])
            for name in sorted(shapes)
            if name != _OBJECT_GRAPH
        }
        self.metadata = _read_metadata(f"{prefix}.json")

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.shapes:
            near = difflib.get_close_matches(str(name), self.shapes, n=3)
            hint = f"; the nearest are {', '.join(near)}" if near else ""
            raise KeyError(f"No tensor {name!r} in {self.prefix}{hint}.")
        try:
            return np.asarray(self._reader.get_tensor(name))
        except _READ_ERRORS as error:
            raise _unreadable(self.prefix, error) from error

    def __contains__(self, name: object) -> bool:
        return name in self.shapes

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)

    def __repr__(self) -> str:
        return f"CheckpointReader({self.prefix!r}, {len(self)} tensors)"


def read_checkpoint(path: str | os.PathLike) -> CheckpointReader:
    """Opens the checkpoint at `path`.

    Args:
        path: a prefix, one of a checkpoint's own files, or a directory, of which the
            latest checkpoint is taken.

    Raises:
        FileNotFoundError: if there is no checkpoint there.
        ValueError: if there is one that cannot be read: cut short, damaged, or written
            by something else.
    """
    return CheckpointReader(checkpoint_prefix(path))


def checkpoint_prefix(path: str | os.PathLike) -> str:
    """The prefix of the checkpoint that `path` names; see `read_checkpoint`."""
    path = os.fspath(path)
    if os.path.isdir(path):
        return _latest(path)
    prefix = _SUFFIX.sub("", path)
    # A file without an index may be a checkpoint of TensorFlow's first format, as
    # TF-Slim's published networks are.
    if os.path.exists(f"{prefix}.index") or os.path.isfile(prefix):
        return prefix
    if prefix != path and os.path.exists(path):
        raise ValueError(
            f"{path} is one part of a checkpoint; {prefix}.index is missing."
        )
    raise FileNotFoundError(f"There is no checkpoint {path}{_neighbours(prefix)}.")


def _latest(directory: str) -> str:
    state = tf.train.get_checkpoint_state(directory)
    if state is None or not state.model_checkpoint_path:
        raise FileNotFoundError(
            f"The directory {directory} has no `checkpoint` file that names its latest "
            f"checkpoint{_neighbours(os.path.join(directory, ''))}."
        )
    prefix = state.model_checkpoint_path
    if not (os.path.exists(f"{prefix}.index") or os.path.isfile(prefix)):
        raise FileNotFoundError(
            f"The directory {directory} names {os.path.basename(prefix)} as its latest "
            f"checkpoint, which is not there{_neighbours(prefix)}."
        )
    return prefix


def _neighbours(prefix: str) -> str:
    """Names the checkpoints that lie in the directory of `prefix`."""
    directory = os.path.dirname(prefix) or "."
    if not os.path.isdir(directory):
        return f" (there is no directory {directory})"
    found = sorted(n[:-6] for n in os.listdir(directory) if n.endswith(".index"))
    if not found:
        return ""
    near = difflib.get_close_matches(os.path.basename(prefix), found, n=3) or found[:3]
    return f"; the directory holds {', '.join(near)}"


def _unreadable(prefix: str, error: Exception) -> ValueError:
    what = "it is damaged or cut short"
    if os.path.isfile(prefix):
        with open(prefix, "rb") as file:
            start = file.read(4)
        known = (text for magic, text in _FOREIGN.items() if start.startswith(magic))
        what = f"it is {next(known, 'no TensorFlow checkpoint, or damaged')}"
    detail = " ".join(str(error).split())
    return ValueError(f"Cannot read the checkpoint {prefix}: {what} ({detail[:160]}).")


def _read_metadata(path: str) -> dict[str, Any]:
    if not os.path.exists(path):
        return {}
    try:
        with open(path, encoding="utf-8") as file:
            metadata = json.load(file)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"Cannot read the metadata {path}: {error}.") from None
    if not isinstance(metadata, dict):
        raise ValueError(f"Cannot read the metadata {path}: it is not a JSON object.")
    return metadata
