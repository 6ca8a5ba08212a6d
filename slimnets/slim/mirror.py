"""tf_slim's modules, with what no longer runs there replaced; tf_slim is left alone.

`Mirror(replacements)` goes through tf_slim's modules and finds what reaches a replaced
object: a function that calls it, a class with such a method, a module that holds one.
Each of these is made anew: the same code, reading the replacements. Everything else
is taken as it is, so that it is tf_slim's own object.

Functions that take arg scopes are made anew as well: here they look at slimnets'
scopes, which are safe across threads, under the key they share with tf_slim's.
"""

from __future__ import annotations

import functools
import importlib
import pathlib
import sys
import types
from collections.abc import Iterator
from typing import Any

import tf_slim

from slimnets import scopes

_CLASS_INTERNALS = {"__dict__", "__weakref__", "_abc_impl", "__abstractmethods__"}


def tf_slim_modules() -> dict[str, types.ModuleType]:
    """Imports all of tf_slim but its tests, and returns it: `{name: module}`."""
    root = pathlib.Path(tf_slim.__file__).parent
    modules = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root.parent).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        if not _is_of_tests(name):
            modules[name] = importlib.import_module(name)
    return modules


def loaded_modules() -> dict[str, types.ModuleType]:
    """Returns what `import tf_slim` has imported of it, so without its networks."""
    return {
        name: module
        for name, module in sys.modules.items()
        if name.partition(".")[0] == "tf_slim"
        and not name.startswith("tf_slim.nets")
        and not _is_of_tests(name)
    }


def _is_of_tests(name: str) -> bool:
    return name.endswith(("_test", ".test_utils"))


class Mirror:
    """tf_slim's modules with replacements.

    Attributes:
        modules: `{name in tf_slim: module}`, new where it had to change.
    """

    def __init__(
        self,
        originals: dict[str, types.ModuleType],
        replacements: dict[int, Any],
        package: str,
    ):
        """Builds the new modules.

        Args:
            originals: modules by name, as `loaded_modules` gives them.
            replacements: `{id of an object: what stands in its place}`.
            package: the new modules are named as if they lay in this one.
        """
        self._originals = originals
        self._home = {id(vars(m)): name for name, m in originals.items()}
        self._new = dict(replacements)
        self._changed: dict[int, frozenset[str]] = {}
        self._spread()
        for name in self._names_of_changed_modules():
            fresh = types.ModuleType(package + name.removeprefix("tf_slim"))
            fresh.__doc__ = originals[name].__doc__
            self._new[id(originals[name])] = fresh
        self._made: dict[int, Any] = {}
        for module in originals.values():
            if id(module) in self._new:
                target = vars(self._new[id(module)])
                for key, value in vars(module).items():
                    if not (key.startswith("__") and key != "__all__"):
                        target[key] = self._replaced(value)
        self.modules = {
            name: self._new.get(id(module), module)
            for name, module in originals.items()
        }

    def _spread(self) -> None:
        """Marks all that reaches a replaced object, until nothing is added."""
        self._marked: set[int] = set()
        while True:
            before = len(self._marked), sum(map(len, self._changed.values()))
            self._changed = {
                id(module): self._changed_names(module)
                for module in self._originals.values()
            }
            for module in self._originals.values():
                for value in vars(module).values():
                    if id(value) not in self._marked and self._reaches(value):
                        self._marked.add(id(value))
            if before == (len(self._marked), sum(map(len, self._changed.values()))):
                return

    def _names_of_changed_modules(self) -> list[str]:
        return [n for n, m in self._originals.items() if self._changed[id(m)]]

    def _changed_names(self, module: types.ModuleType) -> frozenset[str]:
        return frozenset(k for k, v in vars(module).items() if self._is_changed(v))

    def _is_changed(self, value: Any) -> bool:
        if isinstance(value, types.ModuleType):
            return bool(self._changed.get(id(value)))
        return id(value) in self._new or id(value) in self._marked

    def _reaches(self, value: Any) -> bool:
        """Whether a function, partial or class of tf_slim reads something changed."""
        if isinstance(value, functools.partial):
            return self._is_changed(value.func)
        if isinstance(value, type):
            return value.__module__ in self._originals and (
                any(self._is_changed(base) for base in value.__bases__)
                or any(self._reaches(f) for f in _functions_of(value))
            )
        if not isinstance(value, types.FunctionType):
            return False
        if value.__module__ in self._originals and _takes_scope(value):
            return True
        inner = [*(value.__defaults__ or ()), *_cells(value)]
        if any(self._is_changed(v) or self._reaches_within(v) for v in inner):
            return True
        names = set(_names_in(value.__code__))
        home = self._home.get(id(value.__globals__))
        return home is not None and any(
            self._is_read(value.__globals__.get(name), names) for name in names
        )

    def _reaches_within(self, value: Any) -> bool:
        """`_reaches` of what a closure holds, which may be tf_slim's too."""
        return (
            isinstance(value, types.FunctionType)
            and id(value.__globals__) in self._home
            and self._reaches(value)
        )

    def _is_read(self, value: Any, names: set[str]) -> bool:
        """Whether code with these names, one of them of `value`, sees a change."""
        if isinstance(value, types.ModuleType):
            new = self._new.get(id(value))
            supplied = getattr(new, "supplied_names", ())
            return not names.isdisjoint({*supplied, *self._changed.get(id(value), ())})
        return self._is_changed(value)

    def _replaced(self, value: Any) -> Any:
        """Returns what stands for `value` in the new modules."""
        if id(value) in self._new:
            return self._new[id(value)]
        if id(value) in self._made:
            return self._made[id(value)]
        if not (id(value) in self._marked or self._reaches_within(value)):
            return value
        if isinstance(value, functools.partial):
            made = functools.partial(
                self._replaced(value.func), *value.args, **value.keywords
            )
        elif isinstance(value, type):
            made = self._class(value)
        elif _takes_scope(value):
            made = scopes.add_arg_scope(self._function(value.__wrapped__), like=value)
        else:
            made = self._function(value)
        self._made[id(value)] = made
        return made

    def _function(
        self, function: types.FunctionType, of_class: types.CellType | None = None
    ) -> types.FunctionType:
        """Makes a function anew; `of_class` will hold the class it is a method of."""
        home = self._home.get(id(function.__globals__))
        module = self._new.get(id(self._originals[home])) if home else None
        made = types.FunctionType(
            function.__code__,
            vars(module) if module else function.__globals__,
            function.__name__,
            function.__defaults__
            and tuple(self._replaced(value) for value in function.__defaults__),
            function.__closure__
            and tuple(
                of_class
                if name == "__class__"
                else types.CellType(self._replaced(cell.cell_contents))
                for name, cell in zip(
                    function.__code__.co_freevars, function.__closure__, strict=True
                )
            ),
        )
        made.__kwdefaults__ = function.__kwdefaults__
        made.__dict__.update(function.__dict__)
        if "__wrapped__" in made.__dict__:
            made.__wrapped__ = self._replaced(function.__wrapped__)
        made.__doc__ = function.__doc__
        made.__qualname__ = function.__qualname__
        made.__module__ = function.__module__
        return made

    def _class(self, cls: type) -> type:
        cell = types.CellType()
        members = {}
        for name, value in vars(cls).items():
            if isinstance(value, types.FunctionType):
                value = self._function(value, cell)
            elif isinstance(value, (staticmethod, classmethod)):
                value = type(value)(self._function(value.__func__, cell))
            elif isinstance(value, property):
                accessors = (value.fget, value.fset, value.fdel)
                value = property(*(f and self._function(f, cell) for f in accessors))
            if name not in _CLASS_INTERNALS:
                members[name] = value
        bases = tuple(self._replaced(base) for base in cls.__bases__)
        made = type(cls)(cls.__name__, bases, members)
        cell.cell_contents = made
        return made


def _functions_of(cls: type) -> Iterator[types.FunctionType]:
    for value in vars(cls).values():
        if isinstance(value, (staticmethod, classmethod)):
            yield value.__func__
        elif isinstance(value, property):
            yield from (f for f in (value.fget, value.fset) if f)
        elif isinstance(value, types.FunctionType):
            yield value


def _takes_scope(function: types.FunctionType) -> bool:
    """Whether this is what tf_slim's `add_arg_scope` made of a function."""
    return hasattr(function, "_key_op") and hasattr(function, "__wrapped__")


def _cells(function: types.FunctionType) -> list[Any]:
    """What a function's closure holds, but for the class it is a method of."""
    return [
        cell.cell_contents
        for name, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        )
        if name != "__class__"
    ]


def _names_in(code: types.CodeType) -> Iterator[str]:
    """Every global and attribute that code reads, nested functions included."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names_in(constant)
