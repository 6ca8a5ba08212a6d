"""Imports that wait: names of a package until they are asked for, and what is to be
done about a module until somebody imports it."""

from __future__ import annotations

import importlib
import importlib.abc
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any


def lazily(
    package: str, homes: Mapping[str, str], modules: Collection[str] = ()
) -> Callable[[str], Any]:
    """Returns a package's `__getattr__`.

    So its import waits for nothing that is heavy, TensorFlow above all.

    Args:
        package: its name.
        homes: for each name the module below the package that has it.
        modules: modules below it that are names themselves.
    """

    def get(name: str) -> Any:
        if name in modules:
            return importlib.import_module(f"{package}.{name}")
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{homes[name]}"), name)

    return get


def when_imported(name: str, function: Callable[[], Any]) -> None:
    """Has a function called once a module has been imported, by whomever."""
    sys.meta_path.insert(0, _Waiting(name, function))


class _Waiting(importlib.abc.MetaPathFinder):
    """Finds a module as others do, and has it end with a call; once.

    Who only asks whether there is the module, as TensorFlow does for Keras, does not
    import it: the wait goes on.
    """

    def __init__(self, name: str, function: Callable[[], Any]):
        self._name, self._function = name, function

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname != self._name:
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        found = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next(filter(None, found), None)
        loader: Any = spec and spec.loader
        if loader is not None:
            execute = loader.exec_module

            def exec_module(module: Any) -> None:
                execute(module)
                if self in sys.meta_path:
                    sys.meta_path.remove(self)
                    self._function()

            loader.exec_module = exec_module
        return spec
