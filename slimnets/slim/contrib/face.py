"""`tensorflow` as TensorFlow 1 showed it, and who sees it."""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from slimnets import contrib_names
from slimnets.slim import moved
from slimnets.slim.contrib.stand import Stand

v1 = tf.compat.v1

VERSION = "1.15.5"  # The last of its kind; old programs compare.

# Written for TensorFlow 2, which their modules see.
_MODERN = ("keras", "slimnets", "tensorboard", "tensorflow", "tf_keras", "tf_slim")


class Face(Stand):
    """The module `tensorflow` of TensorFlow 1: compat.v1, and what it has not."""

    def __init__(self):
        super().__init__("tensorflow")
        for name in ("__path__", "__file__", "__spec__", "__loader__", "__package__"):
            vars(self)[name] = getattr(tf, name)
        vars(self).update(__doc__=tf.__doc__, __version__=VERSION, VERSION=VERSION)
        vars(self).update(compat=tf.compat)

    def _find(self, name: str) -> Any:
        value = getattr(v1, name, None)
        if value is None:  # As `tensorflow.python`, which is there and not public.
            value = sys.modules.get(f"tensorflow.{name}") or super()._find(name)
        return value

    def __dir__(self) -> list[str]:
        return sorted({*dir(v1), *vars(self), "contrib"})


class _Finder(importlib.abc.MetaPathFinder):
    """Finds what stands for modules that are gone, and loads modern ones."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        if _is_in(fullname, contrib_names.GONE):
            return importlib.machinery.ModuleSpec(fullname, _Loader(), is_package=True)
        if not _is_in(fullname, _MODERN):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module = functools.partial(
                self._run_beside_the_real, spec.loader.exec_module
            )
        return spec

    def _run_beside_the_real(self, exec_module: Any, module: types.ModuleType) -> None:
        """Runs a module in which `import tensorflow` gives TensorFlow 2."""
        seen = sys.modules["tensorflow"]
        sys.modules["tensorflow"] = tf
        try:
            exec_module(module)
        finally:
            sys.modules["tensorflow"] = seen


class _LastFinder(importlib.abc.MetaPathFinder):
    """Finds research/slim's packages, where nothing else has."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not _is_in(fullname, contrib_names.RESEARCH):
            return None
        parent = sys.modules.get(fullname.rpartition(".")[0])
        if parent is not None and not isinstance(parent, Stand):
            return None  # A module that the project's own package has not.
        return importlib.machinery.ModuleSpec(fullname, _Loader(), is_package=True)


def _is_in(name: str, packages: Sequence[str]) -> bool:
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


class _Loader(importlib.abc.Loader):
    def create_module(self, spec: importlib.machinery.ModuleSpec) -> Stand:
        return Stand(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """A stand has no text: its names are looked up when they are asked for."""


def install() -> None:
    """Makes `tensorflow` TensorFlow 1's face for the rest of this process.

    What is imported after this sees `tensorflow.compat.v1` with version 2's behaviour
    off, `tf.contrib` and the rest; what has been imported keeps what it has. A second
    call changes nothing.

    Raises:
        ValueError: from TensorFlow, if it has been used before in version 2's way.
    """
    if isinstance(sys.modules["tensorflow"], Face):
        return
    verbosity = v1.logging.get_verbosity()
    v1.logging.set_verbosity(v1.logging.ERROR)  # It warns of what is wanted here.
    v1.disable_v2_behavior()
    v1.logging.set_verbosity(verbosity)
    for module, added in moved.missing_names():
        for name, value in added.items():
            setattr(module, name, value)
    sys.meta_path.insert(0, _Finder())
    sys.meta_path.append(_LastFinder())
    sys.modules["tensorflow"] = Face()
