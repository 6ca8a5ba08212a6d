"""Reads TensorFlow checkpoints, one tensor at a time.

Those that are keyed by name, of both formats (TF-Slim's published ones have the first),
and those of tf.train.Checkpoint and of a SavedModel, keyed by the path through Python
objects, of which a Model's variables, and Keras's, get their names back.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from slimnets.checkpoints.base import WeightsReader, check_expansion, damaged
from slimnets.checkpoints.object_graphs import ObjectGraph
from slimnets.listing import nearest

_WHAT = "the checkpoint"
SUFFIX = re.compile(r"\.(index|data-\d{5}-of-\d{5})$")
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_IN_SAVED_MODEL = ("variables", "variables")


class CheckpointReader(WeightsReader):
    """The tensors of a TensorFlow checkpoint."""

    kind = "tensorflow"

    def __init__(self, prefix: str):
        try:
            self._reader = tf.train.load_checkpoint(prefix)
            shapes = dict(self._reader.get_variable_to_shape_map())
            dtypes = self._reader.get_variable_to_dtype_map()
        except Exception as error:
            # What TensorFlow's reader raises for a damaged file has many types.
            raise _unreadable(prefix, error) from error
        sizes = (math.prod(shapes[n]) * (dtypes[n].size or 1) for n in shapes)
        check_expansion(prefix, _WHAT, sum(sizes))
        self.object_based = shapes.pop(_OBJECT_GRAPH, None) is not None
        self._keys: Mapping[str, str] = {name: name for name in shapes}
        if self.object_based:
            self._read_objects(prefix, shapes, dtypes)
        super().__init__(prefix, {name: shapes[k] for name, k in self._keys.items()})

    def _read_objects(self, prefix: str, shapes: dict, dtypes: dict) -> None:
        try:
            graph = self._reader.get_tensor(_OBJECT_GRAPH)
            objects = ObjectGraph(graph, shapes, dtypes).read()
        except Exception as error:
            raise _unreadable(prefix, error) from error
        self._keys, self.bookkeeping = objects.keys, objects.bookkeeping
        if objects.of_keras:
            self.kind = "keras"

    def read(self, name: str) -> np.ndarray:
        try:
            # A copy: the array that the reader gives keeps more memory than its own.
            return np.array(self._reader.get_tensor(self._keys[name]))
        except Exception as error:
            raise _unreadable(self.prefix, error) from error


def checkpoint_prefix(path: str | os.PathLike) -> str:
    """The prefix of the TensorFlow checkpoint that `path` names.

    Args:
        path: a prefix, one of a checkpoint's own files, a directory, of which the
            latest checkpoint is taken, or the directory of a SavedModel.

    Raises:
        FileNotFoundError: if there is no checkpoint there.
        ValueError: if the index of one is missing.
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        is_saved_model = os.path.exists(os.path.join(path, "saved_model.pb"))
        return os.path.join(path, *_IN_SAVED_MODEL) if is_saved_model else _latest(path)
    prefix = SUFFIX.sub("", path)
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
    near = nearest(os.path.basename(prefix), found) or ", ".join(found[:3])
    return f"; the directory holds {near}"


def _unreadable(prefix: str, error: Exception) -> ValueError:
    of_another_kind = os.path.isfile(prefix)
    subject = "it is no TensorFlow checkpoint, or" if of_another_kind else "it is"
    return damaged(prefix, _WHAT, error, subject)
