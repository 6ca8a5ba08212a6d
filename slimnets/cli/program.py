"""Runs another Python program in this process, as Python itself would have.

`sys.argv`, `sys.path[0]`, `__main__` with its `__file__` and `__spec__`, tracebacks and
exit codes are what `python PROGRAM` and `python -m MODULE` make of them. Nothing here
imports TensorFlow; what is to be done with it is done when the program imports it.
"""

from __future__ import annotations

import builtins
import importlib.machinery
import importlib.util
import os
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any, NoReturn


def run_file(
    path: str,
    arguments: Sequence[str],
    loader: type[importlib.machinery.SourceFileLoader] | None = None,
) -> None:
    """Does what `python PATH ARGUMENTS` does, up to the end of its main module.

    Args:
        path: a file of source text, or a folder or archive with a `__main__.py`.
        arguments: the program's own.
        loader: what compiles the file; None for Python's own.
    """
    sys.argv[:] = [path, *arguments]
    if os.path.isdir(path) or path.endswith((".zip", ".pyz")):
        _first_on_path(os.path.abspath(path))
        spec = importlib.machinery.PathFinder.find_spec("__main__", [path])
        if spec is None:
            _fail(1, f"can't find '__main__' module in {os.path.abspath(path)!r}")
        _run_spec(spec)
        return
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        whole = os.path.abspath(path)
        _fail(2, f"can't open file {whole!r}: [Errno {error.errno}] {error.strerror}")
    _first_on_path(os.path.dirname(os.path.realpath(path)))
    path = os.path.abspath(path)
    text = (loader or importlib.machinery.SourceFileLoader)("__main__", path)
    _run(
        lambda: text.source_to_code(source, path),
        {"__file__": path, "__cached__": None, "__loader__": text},
    )


def run_module(name: str, arguments: Sequence[str]) -> None:
    """Does what `python -m NAME ARGUMENTS` does, up to the end of its main module."""
    sys.argv[:] = ["-m", *arguments]
    _first_on_path(os.getcwd())
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            name = f"{name}.__main__"
            spec = importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        spec = None
    if spec is None:
        _fail(1, f"No module named {name}")
    sys.argv[0] = spec.origin
    _run_spec(spec)


def _run_spec(spec: importlib.machinery.ModuleSpec) -> None:
    names = {
        "__file__": spec.origin,
        "__cached__": spec.cached,
        "__loader__": spec.loader,
        "__spec__": spec,
        "__package__": spec.parent,
    }
    _run(lambda: spec.loader.get_code(spec.name), names)


def _run(compiled: Callable[[], types.CodeType], names: dict[str, Any]) -> None:
    main = types.ModuleType("__main__")
    vars(main).update({"__annotations__": {}, "__builtins__": builtins, **names})
    sys.modules["__main__"] = main
    try:
        exec(compiled(), vars(main))
    except SystemExit:
        raise
    except BaseException as error:
        _show_from(error, vars(main))
        raise


def _show_from(error: BaseException, namespace: dict[str, Any]) -> None:
    """Lets the traceback that is shown begin at the program's own first line."""
    begin = error.__traceback__
    while begin is not None and begin.tb_frame.f_globals is not namespace:
        begin = begin.tb_next
    hook = sys.excepthook

    def show(kind, value, _):
        hook(kind, value.with_traceback(begin), begin)

    sys.excepthook = show


def _first_on_path(folder: str) -> None:
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = folder


def _fail(code: int, message: str) -> NoReturn:
    print(f"{sys.executable}: {message}", file=sys.stderr)
    sys.exit(code)
