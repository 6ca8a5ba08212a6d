"""Modules that stand where TensorFlow no longer has any, and names that are missing.

A `Stand` looks its names up when they are asked for, where `slimnets.contrib_names`
says. One that is nowhere is `Missing`: it may be imported, inherited from and passed
on, and says what to do when it is used.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any, NoReturn

import tensorflow as tf

from slimnets import contrib_names

# `{full name: what it got}` of all that was asked for and is not where it was.
given: dict[str, Any] = {}


class Missing:
    """A name of TensorFlow 1 that nothing stands in for.

    Using it raises AttributeError, as reading it would have done.
    """

    def __init__(self, name: str, advice: str):
        self.__dict__.update(__name__=name, _advice=advice)

    def _raise(self, *args, **kwargs) -> NoReturn:
        raise AttributeError(f"{self.__name__} is not in TensorFlow 2: {self._advice}.")

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._raise()

    def __mro_entries__(self, bases: tuple[type, ...]) -> tuple[type, ...]:
        last = self.__name__.rpartition(".")[2]
        return (type(last, (), {"__new__": self._raise}),)

    def __repr__(self) -> str:
        return f"<{self.__name__}, which is missing>"

    __call__ = __getitem__ = __iter__ = __len__ = __enter__ = _raise


class Stand(types.ModuleType):
    """An old module, whose names are looked up where they are today."""

    def __init__(self, name: str):
        super().__init__(name)
        self._homes = contrib_names.homes(name)
        self.__path__: list[str] = []  # A package: modules may be imported from it.

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise self._unknown(name)
        full = f"{self.__name__}.{name}"
        if contrib_names.is_module(full):
            gone = contrib_names.is_gone(full)
            value: Any = importlib.import_module(full) if gone else Stand(full)
        else:
            value = self._find(name)
            if value is None:
                advice = contrib_names.advice(full)
                if advice is None:
                    raise self._unknown(name)
                value = Missing(full, advice)
            if isinstance(value, Missing) or _is_elsewhere(full):
                given[full] = value
        vars(self)[name] = value
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        # As in TensorFlow 1, a function hides the module of its own name.
        if not (isinstance(value, Stand) and self._find(name) is not None):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        homes = map(_home, self._homes)
        inside = {name for home in homes for name in dir(home)}
        return sorted({*vars(self), *(n for n in inside if not n.startswith("_"))})

    def _find(self, name: str) -> Any:
        home = home_of(f"{self.__name__}.{name}")
        return None if home is None else object_of(home)

    def _unknown(self, name: str) -> AttributeError:
        return AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


def home_of(name: str) -> str | None:
    """The full name today of what an old full name stands for; None for nothing.

    `tf` is tensorflow.compat.v1 in it.
    """
    if name in contrib_names.NAMES:
        return contrib_names.NAMES[name]
    parent, _, last = name.rpartition(".")
    for home in contrib_names.homes(parent):
        if getattr(_home(home), last, None) is not None or _module(f"{home}.{last}"):
            return f"{home}.{last}"
    return None


def _is_elsewhere(name: str) -> bool:
    """Whether a name is not where it was, in TensorFlow's own module."""
    home = home_of(name)
    return home is not None and home != f"tf{name.removeprefix('tensorflow')}"


def _home(name: str) -> Any:
    """A module by its name, whatever an object of that name hides."""
    in_tensorflow = name.split(".")[0] == "tf"
    return (None if in_tensorflow else _module(name)) or object_of(name)


def object_of(path: str) -> Any:
    """What a full name stands for, modules imported as needed; None for nothing.

    `tf` is tensorflow.compat.v1.
    """
    if path == "tf":
        return tf.compat.v1
    parent, _, name = path.rpartition(".")
    if path.startswith("tf."):
        return getattr(object_of(parent), name, None)
    found = getattr(_module(parent), name, None) if parent else None
    return _module(path) if found is None else found


def _module(name: str) -> types.ModuleType | None:
    if name in sys.modules:
        return sys.modules[name]
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # A module that is there lacks one of its own.
        return None
