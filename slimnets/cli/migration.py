"""Finds what Python code takes from TF-Slim and research/slim, and where it is now.

A file is read by libcst, which knows where each import stands; what is to change is
then changed in the text, so that all else stays as it is written.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from typing import Any

from slimnets.cli.migration_names import (
    BY_HAND,
    FACADE,
    PACKAGES,
    SLIM,
    import_slim,
    new_module,
    note_of,
)


@dataclasses.dataclass(frozen=True)
class Finding:
    """A place in a file.

    Attributes:
        line: its line, from 1.
        old: what stands there.
        new: what should; None if that is for a person to say.
        note: why it is not rewritten.
        span: first and last offset of the text that changes.
        text: what takes its place.
    """

    line: int
    old: str
    new: str | None
    note: str = ""
    span: tuple[int, int] = (0, 0)
    text: str = ""

    def __str__(self) -> str:
        if self.new is None:
            return f"{self.line}: {self.old}: by hand: {self.note}"
        return f"{self.line}: {self.old} -> {self.new}"


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


def find(source: str) -> list[Finding]:
    """Returns what a file takes from TF-Slim, in the order of its text.

    Raises:
        ImportError: if libcst is not installed.
        ValueError: if the text is not Python 3.
    """
    try:
        import libcst
        from libcst.metadata import MetadataWrapper, PositionProvider
    except ImportError:
        raise ImportError(
            "migrate needs libcst: pip install 'slimnets[migrate]'"
        ) from None
    try:
        module = libcst.parse_module(source)
    except libcst.ParserSyntaxError as error:
        raise ValueError(
            f"line {error.raw_line}: this is not Python 3; 2to3 may help first"
        ) from None
    wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
    reader = _Reader(libcst, module, wrapper.resolve(PositionProvider), source)
    return sorted(reader.findings(), key=lambda found: found.span)


def rewritten(source: str, findings: list[Finding]) -> str:
    """Returns the text with all changes that the findings have."""
    for found in sorted(findings, key=lambda f: f.span, reverse=True):
        if found.new is not None:
            first, last = found.span
            source = source[:first] + found.text + source[last:]
    return source


class _Reader:
    """Walks through a file's tree."""

    def __init__(self, libcst: Any, module: Any, positions: Any, source: str):
        self._cst, self._module, self._positions = libcst, module, positions
        self._starts = [0]
        for line in source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._source = source
        self._nodes = list(self._walk(module))
        self._tensorflow = {"tf", "tensorflow"}
        self._bound: set[str] = set()
        self._note_names()

    def findings(self) -> Iterator[Finding]:
        """Yields what there is to change or to tell."""
        cst = self._cst
        uses: list[Any] = []
        imported = False
        skipped: set[int] = set()
        for node in self._nodes:
            if id(node) in skipped:
                continue
            if isinstance(node, (cst.Import, cst.ImportFrom)):
                skipped.update(map(id, self._walk(node)))
                is_from = isinstance(node, cst.ImportFrom)
                yield from (self._import_from if is_from else self._import)(node)
            elif isinstance(node, cst.Assign) and self._names_slim(node):
                name = node.targets[0].target.value
                imported |= name == "slim"
                skipped.update(map(id, self._walk(node)))
                yield self._changed(node, import_slim(name))
            elif self._is_contrib(node, "slim"):
                skipped.update(map(id, self._walk(node)))
                uses.append(node)
            elif self._is_contrib(node):
                yield self._told(node, f"tensorflow.contrib.{node.attr.value}")
        if uses:
            yield from self._uses(uses, imported or "slim" in self._slims())

    def _uses(self, uses: list[Any], imported: bool) -> Iterator[Finding]:
        """Those of `tf.contrib.slim` in expressions, and the import they need."""
        name = "slim"
        if not imported and name in self._bound:
            name = "slimnets_slim"
        for node in uses:
            yield self._changed(node, name)
        if not imported:
            offset, line = self._place_of_import()
            text = import_slim(name)
            yield Finding(line, "(new import)", text, "", (offset, offset), text + "\n")

    def _import_from(self, node: Any) -> Iterator[Finding]:
        if node.relative or node.module is None:
            return
        package = self._code(node.module)
        if isinstance(node.names, self._cst.ImportStar):
            if package in SLIM:
                yield self._changed(node.module, FACADE, node)
            elif package in PACKAGES or package.startswith(SLIM):
                yield self._told(node, package)
            return
        groups: dict[str | None, list[Any]] = {}
        for alias in node.names:
            groups.setdefault(new_module(package, alias.name.value), []).append(alias)
        kept = groups.pop(None, [])
        for alias in kept:
            yield from self._maybe_told(node, package, alias.name.value)
        if not groups:
            return
        if not kept and len(groups) == 1:
            (module,) = groups
            yield self._changed(node.module, module, node)
            return
        parts = {**groups, **({package: kept} if kept else {})}
        lines = [
            f"from {module} import {', '.join(map(self._alias, names))}"
            for module, names in parts.items()
        ]
        yield self._changed(node, *lines)

    def _import(self, node: Any) -> Iterator[Finding]:
        kept, new = [], []
        for alias in node.names:
            package = self._code(alias.name)
            name = alias.asname.name.value if alias.asname else None
            if package == "tf_slim" or (package in SLIM and name):
                new.append(import_slim(name or "tf_slim"))
                continue
            module = new_module(*package.rpartition(".")[::2]) if name else None
            if module is not None:
                last = package.rpartition(".")[2]
                ending = "" if name == last else f" as {name}"
                new.append(f"from {module} import {last}{ending}")
                continue
            kept.append(alias)
            parent, _, last = package.rpartition(".")
            yield from self._maybe_told(node, parent or package, last)
        if new:
            if kept:
                new.append(f"import {', '.join(map(self._alias, kept))}")
            yield self._changed(node, *new)

    def _maybe_told(self, node: Any, package: str, name: str) -> Iterator[Finding]:
        for prefix, names, _ in BY_HAND:
            inside = package == prefix or package.startswith(f"{prefix}.")
            whole = prefix in SLIM and package == name == prefix
            if (inside and (names is None or name in names)) or whole:
                yield self._told(node, package, name)
                return

    def _told(self, node: Any, package: str, name: str = "") -> Finding:
        whole = f"{package}.{name}" if name else package
        first, last = self._span(node)
        return Finding(self._line(node), whole, None, note_of(whole), (first, last))

    def _changed(self, node: Any, *lines: str | Any) -> Finding:
        """The finding that `node` becomes `lines`; a last one that is a node is the
        statement that is shown."""
        shown = lines[-1] if not isinstance(lines[-1], str) else None
        lines = lines[:-1] if shown is not None else lines
        first, last = self._span(node)
        start = self._source.rfind("\n", 0, first) + 1
        indent = self._source[start:first]
        alone = not indent.strip()
        rest = self._source[last:].partition("\n")[0].partition("#")[0].strip()
        joint = f"\n{indent}" if alone and not rest else "; "
        text = joint.join(lines)
        old, new = self._source[first:last], text
        if shown is not None:
            begin, end = self._span(shown)
            new = self._source[begin:first] + text + self._source[last:end]
            old = self._source[begin:end]
        old, new = " ".join(old.split()), " ".join(new.replace(joint, "; ").split())
        return Finding(self._line(node), old, new, "", (first, last), text)

    def _note_names(self) -> None:
        """Learns what TensorFlow is called, and which names are something else."""
        cst = self._cst
        for node in self._nodes:
            if isinstance(node, cst.Import):
                for alias in node.names:
                    name = alias.asname.name.value if alias.asname else None
                    if name and self._code(alias.name) in (
                        "tensorflow",
                        "tensorflow.compat.v1",
                    ):
                        self._tensorflow.add(name)
            elif isinstance(node, (cst.AssignTarget, cst.Param)):
                name = node.target if isinstance(node, cst.AssignTarget) else node.name
                self._bound.add(self._code(name))

    def _slims(self) -> set[str]:
        """The names by which imports of this file have TF-Slim or its facade."""
        names = set()
        for node in self._nodes:
            if not isinstance(node, (self._cst.Import, self._cst.ImportFrom)):
                continue
            if isinstance(node.names, self._cst.ImportStar):
                continue
            for alias in node.names:
                name = alias.asname.name if alias.asname else alias.name
                names.add(self._code(name))
        return names

    def _names_slim(self, node: Any) -> bool:
        return (
            len(node.targets) == 1
            and isinstance(node.targets[0].target, self._cst.Name)
            and self._is_contrib(node.value, "slim")
        )

    def _is_contrib(self, node: Any, name: str | None = None) -> bool:
        """Whether a node is `tf.contrib.NAME`; of any name if it is None."""
        if not isinstance(node, self._cst.Attribute):
            return False
        if name is not None and node.attr.value != name:
            return False
        return self._code(node.value) in {f"{tf}.contrib" for tf in self._tensorflow}

    def _place_of_import(self) -> tuple[int, int]:
        """Offset and line where an import may be added, at the top of the module."""
        cst = self._cst
        last = None
        for statement in self._module.body:
            if not isinstance(statement, cst.SimpleStatementLine):
                break
            small = statement.body[0]
            docstring = isinstance(small, cst.Expr) and last is None
            if not docstring and not isinstance(small, (cst.Import, cst.ImportFrom)):
                break
            last = statement
        if last is None:
            return 0, 1
        line = self._positions[last].end.line
        return self._starts[line], line + 1

    def _walk(self, node: Any) -> Iterator[Any]:
        yield node
        for child in node.children:
            yield from self._walk(child)

    def _code(self, node: Any) -> str:
        return self._module.code_for_node(node).strip()

    def _alias(self, alias: Any) -> str:
        comma = self._cst.MaybeSentinel.DEFAULT
        return self._code(alias.with_changes(comma=comma))

    def _line(self, node: Any) -> int:
        return self._positions[node].start.line

    def _span(self, node: Any) -> tuple[int, int]:
        place = self._positions[node]
        return tuple(
            self._starts[p.line - 1] + p.column for p in (place.start, place.end)
        )
