"""Putting what works today into tf_slim itself, for code that cannot change imports."""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Callable, Iterator
from typing import Any

import tf_slim

from slimnets import layers
from slimnets.slim import moved, restore, second_run

# As they were when slimnets.slim was imported, whatever a patch has made of them since.
_TF_SLIM_BATCH_NORM = tf_slim.batch_norm
_TF_SLIM_ASSIGN = tf_slim.assign_from_checkpoint


@dataclasses.dataclass(frozen=True)
class Replacement:
    """One name of one module, before and after.

    Attributes:
        module: the module.
        name: the global name in it.
        old: what it stood for.
        new: what it stands for now.
    """

    module: types.ModuleType
    name: str
    old: Any
    new: Any

    def __str__(self) -> str:
        what = f"{self.module.__name__}.{self.name}"
        if isinstance(self.new, moved.SuppliedModule):
            return f"{what}: gets {', '.join(self.new.supplied_names)}"
        return f"{what}: is slimnets' {self.new.__name__}"


class Patch:
    """What `patch_tf_slim` has replaced: iterable, printable, and undone by `undo`.

    It is also a context manager, which undoes it at the end of the block.

    Attributes:
        replacements: a tuple of `Replacement`; empty if all was in place already.
    """

    def __init__(self, replacements: tuple[Replacement, ...]):
        self.replacements = replacements

    def undo(self) -> None:
        """Gives every name its old value, unless something else has changed it."""
        for change in reversed(self.replacements):
            if getattr(change.module, change.name, None) is change.new:
                setattr(change.module, change.name, change.old)

    def __enter__(self) -> Patch:
        return self

    def __exit__(self, *error) -> None:
        self.undo()

    def __iter__(self) -> Iterator[Replacement]:
        return iter(self.replacements)

    def __len__(self) -> int:
        return len(self.replacements)

    def __str__(self) -> str:
        if not self.replacements:
            return "patch_tf_slim: nothing to replace; it is in place already."
        lines = [f"patch_tf_slim: {len(self)} names replaced"]
        return "\n  ".join([*lines, *map(str, self.replacements)])


def patch_tf_slim(*others: types.ModuleType) -> Patch:
    """Makes tf_slim's functions, classes and networks work on this TensorFlow.

    Every module of tf_slim is imported and gets, in place of the private modules of
    TensorFlow that it reads, these with names that work; and slimnets' `batch_norm` and
    `assign_from_checkpoint` in place of its own, which need a TensorFlow and a NumPy
    that are gone. Modules of TensorFlow itself stay as they are, and so does all that
    works.

    Args:
        *others: modules that were imported before and hold the same objects under
            names of their own, as `from tf_slim import batch_norm` makes them.

    Returns:
        What was replaced, with `undo`.

    Raises:
        TypeError: if `others` are not modules.
    """
    for module in others:
        if not isinstance(module, types.ModuleType):
            raise TypeError(f"patch_tf_slim takes modules; got {module!r}.")
    new: dict[int, Any] = dict(moved.supplied())
    new[id(_TF_SLIM_BATCH_NORM)] = _batch_norm()
    new[id(_TF_SLIM_ASSIGN)] = restore.assign_from_checkpoint
    changes = tuple(
        Replacement(module, name, value, new[id(value)])
        for module in (*second_run.tf_slim_modules().values(), *others)
        for name, value in vars(module).items()
        if id(value) in new
    )
    for change in changes:
        setattr(change.module, change.name, change.new)
    return Patch(changes)


def _batch_norm() -> Callable:
    """slimnets' batch norm, which reads tf_slim's scopes only, as tf_slim's does."""
    unscoped = layers.batch_norm.__wrapped__
    key = tf_slim.arg_scope_func_key(_TF_SLIM_BATCH_NORM)

    @functools.wraps(unscoped)
    def batch_norm(*args, **kwargs):
        scoped = tf_slim.current_arg_scope().get(key, {})
        return unscoped(*args, **{**scoped, **kwargs})

    batch_norm._key_op = key
    return batch_norm
