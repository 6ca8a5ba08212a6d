"""Writes name-keyed checkpoints that are either whole or not there."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets.checkpoints.base import draft_directory, to_json
from slimnets.checkpoints.metadata import describe
from slimnets.files import move_into_place

# What other programs would take for their own files; `convert_weights` writes some.
FOREIGN = (
    ".h5", ".keras", ".safetensors", ".pth", ".pt", ".bin", ".npz", ".tar.gz", ".tgz",
)  # fmt: skip


def save_weights(
    path: str | os.PathLike,
    source: Any,
    metadata: Mapping[str, Any] | None = None,
) -> str:
    """Writes a checkpoint with the prefix `path`; `metadata` goes to `path`.json.

    Everything is first written under a temporary name in the same directory, then
    moved into place, so that a reader never finds half a checkpoint.

    Args:
        path: the prefix, such as `runs/digits/model.ckpt-900`; its directory is made.
        source: a dict from names to variables or arrays, or an object with such a dict
            as `.variables_by_name` (a Model).
        metadata: whatever JSON can hold, beside what a Model knows of itself (see
            metadata.py). With neither no JSON file is written, and one that an earlier
            checkpoint of that prefix left is removed.

    Returns:
        The prefix.

    Raises:
        ValueError: if there is nothing to write, a variable belongs to a graph, or
            `path` ends as another framework's files do.
        TypeError: if `source` is neither kind, or `metadata` is not for JSON.
    """
    if isinstance(source, (str, os.PathLike)):  # (model, path), as of load_weights.
        path, source = source, path
    prefix = os.fspath(path)
    if prefix.endswith(FOREIGN):
        raise ValueError(
            f"{prefix} would be the prefix of a TensorFlow checkpoint, not a file of "
            "the kind that it ends in: give a name that does not end in "
            f"{', '.join(FOREIGN)}. slimnets.checkpoints.convert_weights, and "
            "`slimnets convert`, write a checkpoint as .weights.h5 and .safetensors."
        )
    named = variables_of(source)
    if not named:
        raise ValueError(f"Nothing to write to {prefix}: the source has no variables.")
    known = describe(source)
    document = None
    if known or metadata is not None:
        document = to_json({**known, **(metadata or {})})
    arrays = {name: _value(name, named[name]) for name in sorted(named)}
    with draft_directory(prefix) as temporary:
        draft = os.path.join(temporary, "draft")
        _write_tensors(draft, arrays)
        if document is not None:
            with open(f"{draft}.json", "w", encoding="utf-8") as file:
                file.write(document)
        _place(draft, prefix)
    return prefix


def variables_of(source: Any) -> Mapping[str, Any]:
    """The dict from names to variables that `source` is or has; else TypeError."""
    named = source if isinstance(source, Mapping) else _variables_by_name(source)
    if not isinstance(named, Mapping):
        raise TypeError(
            "Expected a dict from names to variables, or an object with one as "
            f"`variables_by_name` (a Model); got {type(source).__name__}."
        )
    return named


def _variables_by_name(source: Any) -> Any:
    named = getattr(source, "variables_by_name", None)
    return named() if callable(named) else named


def _value(name: str, variable: Any) -> np.ndarray:
    with tf.init_scope():
        try:
            return np.asarray(tf.convert_to_tensor(variable))
        except (NotImplementedError, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                f"{name!r} has no value to write: a variable of a graph is saved with "
                f"tf.compat.v1.train.Saver inside its session ({error})."
            ) from error


def _write_tensors(prefix: str, arrays: Mapping[str, np.ndarray]) -> None:
    with tf.init_scope(), tf.device("CPU:0"):
        tf.raw_ops.SaveV2(
            prefix=prefix,
            tensor_names=list(arrays),
            shape_and_slices=[""] * len(arrays),
            tensors=[tf.convert_to_tensor(array) for array in arrays.values()],
        )


def _place(draft: str, prefix: str) -> None:
    # A checkpoint is there once its index is: that goes first when one is replaced
    # and comes last when it is written.
    for old in (f"{prefix}.index", f"{prefix}.json"):
        if os.path.exists(old):
            os.remove(old)
    for suffix in (".data-00000-of-00001", ".json", ".index"):
        if os.path.exists(draft + suffix):
            move_into_place(draft + suffix, prefix + suffix)
