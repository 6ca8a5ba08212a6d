"""Small things of Python 2 and NumPy 1 for programs of their time: `slimnets run`."""

from __future__ import annotations

import ast
import builtins
import functools
import importlib.abc
import importlib.machinery
import importlib.util
import numbers
import os
import pathlib
import re
import sys
import sysconfig
import warnings
from collections.abc import Sequence
from typing import Any

_BUILTINS = {
    "basestring": (str, bytes),
    "long": int,
    "raw_input": input,
    "reduce": functools.reduce,
    "unichr": chr,
    "unicode": str,
    "xrange": range,
}
_METHODS = {"iteritems": "items", "iterkeys": "keys", "itervalues": "values"}
_MODULES = {
    "ConfigParser": "configparser",
    "Queue": "queue",
    "StringIO": "io",
    "cPickle": "pickle",
    "urllib2": "urllib.request",
    "urlparse": "urllib.parse",
}
_QUOTIENT, _METHOD = "__python2_quotient__", "__python2_method__"


def give_numpy_its_names() -> None:
    """Sets what NumPy 1.24 and 2 have dropped, and had an equal for, on `numpy`."""
    import numpy as np

    old = {
        "alltrue": np.all, "bool": bool, "complex": complex, "cumproduct": np.cumprod,
        "float": float, "float_": np.float64, "in1d": np.isin, "int": int,
        "mat": np.asmatrix, "object": object, "product": np.prod,
        "row_stack": np.vstack, "sometrue": np.any, "str": str, "unicode_": np.str_,
        "string_": np.bytes_, "complex_": np.complex128, "round_": np.round,
        "infty": np.inf, "Inf": np.inf, "Infinity": np.inf, "PINF": np.inf,
        "NINF": -np.inf, "NaN": np.nan, "NAN": np.nan,
    }  # fmt: skip
    for name, value in old.items():
        # np.bool and others may be back with another meaning; it is not theirs to lose.
        if name not in vars(np):
            setattr(np, name, value)


class Loader(importlib.machinery.SourceFileLoader):
    """Loads a file as Python 2 meant it, where Python 3 can read it."""

    def source_to_code(self, data: Any, path: Any, **options: Any) -> Any:
        in_package = self.name != "__main__" and (
            "." in self.name or self.is_package(self.name)
        )
        beside = os.path.dirname(self.path) if in_package else None
        tree = _Meaning(beside).of(_tree(data, path))
        return super().source_to_code(tree, path)

    def path_stats(self, path: str) -> dict[str, Any]:
        raise OSError("what is compiled here is kept nowhere")


def _tree(data: Any, path: str) -> ast.Module:
    """Reads a text; one that Python 3 cannot read is translated by 2to3, where this
    Python still brings it along (up to 3.12)."""
    try:
        return ast.parse(data, path)
    except SyntaxError:
        text = importlib.util.decode_source(data) if isinstance(data, bytes) else data
        text = re.sub(r"(?m)^[ \t]+", lambda m: m.group().expandtabs(), text)
        new = _translated(f"{text.rstrip()}\n", path)
        if new is None:
            raise
    return ast.parse(new, path)


def _translated(text: str, path: str) -> str | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # That it will be gone is known.
        try:
            from lib2to3 import refactor
            from lib2to3.pgen2 import parse, tokenize
        except ImportError:
            return None
    fixers = refactor.get_fixers_from_package("lib2to3.fixes")
    try:
        return str(refactor.RefactoringTool(fixers).refactor_string(text, path))
    except (parse.ParseError, tokenize.TokenError):
        return None


class _Meaning(ast.NodeTransformer):
    """Rewrites `a / b`, `d.iteritems()` and imports of what lies beside a module."""

    def __init__(self, beside: str | None):
        self._beside = beside

    def of(self, module: ast.Module) -> ast.Module:
        future = {
            alias.name
            for node in ast.walk(module)
            if isinstance(node, ast.ImportFrom) and node.module == "__future__"
            for alias in node.names
        }
        self._floors = "division" not in future
        if "absolute_import" in future:
            self._beside = None
        return ast.fix_missing_locations(self.visit(module))

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if not (self._floors and isinstance(node.op, ast.Div)):
            return node
        function = ast.Name(_QUOTIENT, ast.Load())
        call = ast.Call(function, [node.left, node.right], [])
        return ast.copy_location(call, node)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        if not (isinstance(node.op, ast.Div) and isinstance(node.target, ast.Name)):
            return self.generic_visit(node)
        left = ast.copy_location(ast.Name(node.target.id, ast.Load()), node)
        quotient = ast.copy_location(ast.BinOp(left, node.op, node.value), node)
        assign = ast.Assign([node.target], self.visit(quotient))
        return ast.copy_location(assign, node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        if node.level == 0 and self._lies_beside(node.module):
            node.level = 1
        return node

    def visit_Import(self, node: ast.Import) -> list[ast.AST]:
        ours = [alias for alias in node.names if self._lies_beside(alias.name)]
        others = [alias for alias in node.names if alias not in ours]
        plain = [ast.ImportFrom(None, [alias], 1) for alias in ours]
        rest = [ast.Import(others)] if others else []
        return [ast.copy_location(new, node) for new in (*plain, *rest)]

    def _lies_beside(self, name: str) -> bool:
        if self._beside is None or "." in name:
            return False
        path = os.path.join(self._beside, name)
        return os.path.isfile(f"{path}.py") or os.path.isfile(f"{path}/__init__.py")

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if node.attr not in _METHODS or not isinstance(node.ctx, ast.Load):
            return node
        function = ast.Name(_METHOD, ast.Load())
        call = ast.Call(function, [node.value, ast.Constant(node.attr)], [])
        return ast.copy_location(call, node)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the program's own modules."""

    _others = (
        *{sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")},
        str(pathlib.Path(__file__).parents[1]),  # slimnets, wherever it lies.
    )

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        loader = spec and spec.loader
        is_text = type(loader) is importlib.machinery.SourceFileLoader
        if not is_text or loader.path.startswith(self._others):
            return None
        levels = fullname.count(".") + (spec.submodule_search_locations is not None)
        if _holds_packages(str(pathlib.Path(loader.path).parents[levels])):
            return None
        spec.loader = Loader(fullname, loader.path)
        return spec


@functools.cache
def _holds_packages(folder: str) -> bool:
    """Whether pip has installed into a folder: of users, or by `--target`."""
    return any(pathlib.Path(folder).glob("*.dist-info"))


def be_python_2() -> None:
    """Gives this process Python 2's names, and the program's modules their meaning."""
    for old, new in _MODULES.items():
        sys.modules.setdefault(old, importlib.import_module(new))
    for name, value in {**_BUILTINS, _QUOTIENT: _quotient, _METHOD: _method}.items():
        setattr(builtins, name, value)
    sys.meta_path.insert(0, _Finder())


def _quotient(left: Any, right: Any) -> Any:
    return left // right if _is_whole(left) and _is_whole(right) else left / right


def _method(value: Any, name: str) -> Any:
    """A method of Python 2's dicts, or of a class that has its own of that name."""
    return getattr(value, name if hasattr(value, name) else _METHODS[name])


def _is_whole(value: Any) -> bool:
    if isinstance(value, numbers.Integral):
        return True
    kind = getattr(value, "dtype", None)
    return getattr(kind, "is_integer", getattr(kind, "kind", "")) in (True, *"iu")
