"""tf_slim's code, run a second time with what works today; tf_slim is left alone.

The modules that `import tf_slim` loads are run once more, under the names of another
package. There their imports find each other, slimnets' functions in the place of those
that it has, and TensorFlow's modules with the names that have left them.
"""

from __future__ import annotations

import builtins
import importlib
import pathlib
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tf_slim

from slimnets import scopes

_ARG_SCOPE = "tf_slim.ops.arg_scope"


def tf_slim_modules() -> dict[str, types.ModuleType]:
    """Imports all of tf_slim but its tests, and returns it: `{name: module}`."""
    root = pathlib.Path(tf_slim.__file__).parent
    modules = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root.parent).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        if not name.endswith(("_test", ".test_utils")):
            modules[name] = importlib.import_module(name)
    return modules


class SecondRun:
    """tf_slim's modules, run again.

    Attributes:
        modules: `{name in tf_slim: the new module}`.
    """

    def __init__(self, package: str, replacements: Mapping[int, Any]):
        """Runs tf_slim again, without its networks.

        Args:
            package: the new modules are named as if they lay in this one.
            replacements: `{id of an object: what stands in its place}`.
        """
        self.modules: dict[str, types.ModuleType] = {}
        self._package, self._replacements = package, replacements
        self._builtins = {**vars(builtins), "__import__": self._import}
        # One stack of scopes: this module is tf_slim's own, but for slimnets' functions
        # and, while the layers are defined, the decorator that keeps their keys.
        self._new_module("tf_slim")  # The package itself, which is registered already.
        scoping = self._new_module(_ARG_SCOPE)
        vars(scoping).update(_public(sys.modules[_ARG_SCOPE]))
        scoping.add_arg_scope = self._add_arg_scope
        self._run("tf_slim")
        for name in self.modules:
            self._replace_in(name)

    def _module(self, name: str) -> types.ModuleType:
        """The new module of this name in tf_slim, run if it has not been yet."""
        if name not in self.modules:
            self._new_module(name)
            self._run(name)
        return self.modules[name]

    def _run(self, name: str) -> None:
        namespace = vars(self.modules[name])
        namespace["__builtins__"] = self._builtins
        exec(sys.modules[name].__spec__.loader.get_code(name), namespace)
        self._replace_in(name)

    def _new_module(self, name: str) -> types.ModuleType:
        new = types.ModuleType(self._package + name.removeprefix("tf_slim"))
        new.__doc__ = sys.modules[name].__doc__
        self.modules[name] = new
        parent, _, last = name.rpartition(".")
        if parent:
            sys.modules[new.__name__] = new
            setattr(self._module(parent), last, new)
        return new

    def _replace_in(self, name: str) -> None:
        for key, value in _public(sys.modules[name]).items():
            if id(value) in self._replacements:
                setattr(self.modules[name], key, self._replacements[id(value)])

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        """What an import statement of tf_slim's gets: `builtins.__import__`."""
        if name.partition(".")[0] == "tf_slim":
            module = self._module(name)
            for inner in fromlist or ():
                if f"{name}.{inner}" in sys.modules:
                    self._module(f"{name}.{inner}")
            return module if fromlist else self._module("tf_slim")
        module = builtins.__import__(name, globals, locals, fromlist, level)
        if not name.startswith("tensorflow.python"):
            return module
        found = {inner: getattr(module, inner) for inner in fromlist or ()}
        return types.SimpleNamespace(
            **{k: self._replacements.get(id(v), v) for k, v in found.items()}
        )

    def _add_arg_scope(self, function: Callable) -> Callable:
        """Lets scopes reach a function under the key that tf_slim's has."""
        home = "tf_slim" + function.__module__.removeprefix(self._package)
        original = getattr(sys.modules[home], function.__name__, None)
        if id(original) in self._replacements:
            return self._replacements[id(original)]
        return scopes.add_arg_scope(function, like=original)


def _public(module: types.ModuleType) -> dict[str, Any]:
    return {k: v for k, v in vars(module).items() if not k.startswith("__")}
