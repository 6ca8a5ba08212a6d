"""`slimnets migrate`: which files there are, what they become, and writing them."""

from __future__ import annotations

import dataclasses
import difflib
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator

from slimnets import contrib_names


@dataclasses.dataclass(frozen=True)
class Told:
    """What is left to a person.

    Attributes:
        line: its line, from 1.
        old: what stands there.
        note: what to do.
    """

    line: int
    old: str
    note: str

    def __str__(self) -> str:
        return f"{self.line}: {self.old}: by hand: {self.note}"


@dataclasses.dataclass(frozen=True)
class Migrated:
    """A file before and after.

    Attributes:
        old: its text.
        new: what it becomes.
        told: what is left to a person.
    """

    old: str
    new: str
    told: tuple[Told, ...] = ()

    def diff(self, path: str) -> str:
        """The change as a unified diff; empty if there is none."""
        lines = difflib.unified_diff(
            self.old.splitlines(keepends=True),
            self.new.splitlines(keepends=True),
            path,
            path,
        )
        return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def python_files(path: str) -> list[str]:
    """Returns a file, or the Python files in a folder and those in it, sorted.

    Raises:
        FileNotFoundError: if there is nothing there.
    """
    if os.path.isfile(path):
        return [path]
    if not os.path.isdir(path):
        raise FileNotFoundError(f"{path}: no such file or folder")
    found = []
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [os.path.join(folder, f) for f in sorted(files) if f.endswith(".py")]
    return found


def own_packages(path: str) -> set[str]:
    """Which of research/slim's packages the project has itself.

    Args:
        path: the project's folder, or a file in it.
    """
    folders = {os.path.dirname(file) for file in python_files(path)}
    if os.path.isfile(path):
        folders.update(_above(os.path.dirname(os.path.abspath(path))))
    return {
        name
        for name in contrib_names.RESEARCH
        for folder in folders
        if os.path.isfile(os.path.join(folder, f"{name}.py"))
        or _has_python(os.path.join(folder, name))
    }


def _above(folder: str) -> Iterator[str]:
    """The folder and those that it lies in, as long as these have Python files."""
    while _has_python(folder):
        yield folder
        folder = os.path.dirname(folder)


def _has_python(folder: str) -> bool:
    return os.path.isdir(folder) and any(n.endswith(".py") for n in os.listdir(folder))


def read(path: str) -> str:
    """Returns the text of a Python 3 file.

    Raises:
        ValueError: for one that Python 3 cannot read, with the compiler's line and
            reason.
    """
    with open(path, encoding="utf-8", newline="") as file:
        source = file.read()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of escapes in strings, not of this.
            compile(source, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        raise ValueError(f"line {error.lineno}: {error.msg}") from None
    return source


def write(path: str, text: str) -> None:
    """Puts a file's new text in its place at once, or leaves it as it was."""
    path = os.path.realpath(path)
    folder, name = os.path.split(path)
    handle, new = tempfile.mkstemp(".tmp", f".{name}", folder)
    try:
        with open(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        shutil.copymode(path, new)
        os.replace(new, path)
    except BaseException:
        os.unlink(new)
        raise
