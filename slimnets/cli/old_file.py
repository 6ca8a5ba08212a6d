"""A Python file as `slimnets migrate` sees it: its imports, and what it does with them.

A file is read by libcst, which knows where each name stands.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterator
from typing import Any

from slimnets import contrib_names, extras

_TENSORFLOW, _V1 = "tensorflow", "tensorflow.compat.v1"
# What nothing but code of TensorFlow 1 imports.
OLD = ("tensorflow.contrib", "tf_slim")


@dataclasses.dataclass(frozen=True)
class Chain:
    """`a.b.c` in an expression, of a name that an import has bound.

    Attributes:
        nodes: of `a`, `a.b` and `a.b.c`.
        bound: full name of what `a` is.
        names: `b` and `c`.
    """

    nodes: tuple[Any, ...]
    bound: str
    names: tuple[str, ...]

    def full(self, count: int | None = None) -> str:
        """The full name with this many of `names`, or all."""
        return ".".join([self.bound, *self.names[:count]])


class File:
    """A file's tree, its imports, and its uses of what they bind."""

    def __init__(self, source: str, own: Collection[str] = ()):
        """Reads a file.

        Args:
            source: its text, which Python 3 can read.
            own: packages of research/slim's names that are the project's.

        Raises:
            ImportError: if libcst is not installed.
            ValueError: if libcst cannot read it.
        """
        libcst = extras.require("migrate needs", "migrate", "libcst")
        from libcst.metadata import MetadataWrapper, PositionProvider

        self.cst, self.source, self._own = libcst, source, own
        try:
            self.module = libcst.parse_module(source)
        except libcst.ParserSyntaxError as error:
            raise ValueError(f"line {error.raw_line}: {error.message}") from None
        wrapper = MetadataWrapper(self.module, unsafe_skip_copy=True)
        self._positions = wrapper.resolve(PositionProvider)
        # As libcst counts lines: str.splitlines takes a form feed for an end too.
        ends = [match.end() for match in re.finditer(r"\r\n|\r|\n", source)]
        self._starts = [0, *ends, len(source)]
        self.nodes = list(self._walk(self.module))
        kinds = libcst.Import, libcst.ImportFrom
        self.imports = [node for node in self.nodes if isinstance(node, kinds)]
        self.bound: dict[str, str] = {}
        for node in self.imports:
            self.bound.update(self._bindings(node))
        self.chains = list(self._find_chains())
        if self._bind_assigned():
            self.chains = list(self._find_chains())

    def is_old(self, name: str) -> bool:
        """Whether a full name is of what this module rewrites."""
        root = name.partition(".")[0]
        if root in contrib_names.RESEARCH:
            return root not in self._own
        return root in (_TENSORFLOW, "tf_slim")

    def assigned(self) -> Iterator[tuple[Any, str]]:
        """Assignments as `slim = tf.contrib.slim`, and the full name of their value."""
        values = {id(chain.nodes[-1]): chain.full() for chain in self.chains}
        for node in self.nodes:
            if isinstance(node, self.cst.Assign) and id(node.value) in values:
                yield node, values[id(node.value)]

    def names(self) -> set[str]:
        """Every name that something in the file is bound to, but for imports."""
        cst = self.cst
        return {
            self.code(node.target if isinstance(node, cst.AssignTarget) else node.name)
            for node in self.nodes
            if isinstance(node, (cst.AssignTarget, cst.Param, cst.FunctionDef))
        }

    def package(self, node: Any) -> str | None:
        """The package of an absolute `from` import."""
        return None if node.relative or not node.module else self.code(node.module)

    def aliases(self, node: Any) -> list[tuple[str, str | None]]:
        """The names of an import and what they are bound as; none for `*`."""
        if isinstance(node.names, self.cst.ImportStar):
            return []
        return [
            (self.code(a.name), self.code(a.asname.name) if a.asname else None)
            for a in node.names
        ]

    def code(self, node: Any) -> str:
        return self.module.code_for_node(node).strip()

    def span(self, node: Any) -> tuple[int, int]:
        place = self._positions[node]
        return tuple(
            self._starts[p.line - 1] + p.column for p in (place.start, place.end)
        )

    def line(self, node: Any) -> int:
        return self._positions[node].start.line

    def place_of_import(self) -> int:
        """The offset where an import may be added, at the top of the module."""
        cst = self.cst
        last = None
        for statement in self.module.body:
            if not isinstance(statement, cst.SimpleStatementLine):
                break
            small = statement.body[0]
            docstring = isinstance(small, cst.Expr) and last is None
            if not docstring and not isinstance(small, (cst.Import, cst.ImportFrom)):
                break
            last = statement
        return 0 if last is None else self._starts[self._positions[last].end.line]

    def _bindings(self, node: Any) -> Iterator[tuple[str, str]]:
        """`(name, full name)` of an import that binds something old."""
        package = self.package(node) if isinstance(node, self.cst.ImportFrom) else ""
        if package is None:
            return
        for name, alias in self.aliases(node):
            full = f"{package}.{name}" if package else name
            if full == _V1 or full.startswith(f"{_V1}."):
                full = _TENSORFLOW + full.removeprefix(_V1)
            if not package and alias is None:
                alias, full = (name.partition(".")[0],) * 2
            if self.is_old(full):
                yield alias or name, full

    def _bind_assigned(self) -> bool:
        """Binds names of modules too that are assigned, as in `slim = tf.contrib.slim`.

        Returns:
            Whether there are any.
        """
        bound = {}
        for node, full in self.assigned():
            target = node.targets[0].target
            if isinstance(target, self.cst.Name) and contrib_names.is_module(full):
                bound[target.value] = full
        self.bound.update(bound)
        return bool(bound)

    def _find_chains(self) -> Iterator[Chain]:
        inner: set[int] = set()
        for node in self.nodes:  # Outer nodes come first.
            if isinstance(node, (self.cst.Import, self.cst.ImportFrom)):
                inner.update(map(id, self._walk(node)))
            if id(node) in inner or not isinstance(node, self.cst.Attribute):
                continue
            nodes = [node]
            while isinstance(nodes[-1], self.cst.Attribute):
                nodes.append(nodes[-1].value)
            inner.update(map(id, nodes))
            root = nodes[-1]
            if isinstance(root, self.cst.Name) and root.value in self.bound:
                names = tuple(n.attr.value for n in reversed(nodes[:-1]))
                yield Chain(tuple(reversed(nodes)), self.bound[root.value], names)

    def _walk(self, node: Any) -> Iterator[Any]:
        yield node
        for child in node.children:
            yield from self._walk(child)


def is_tensorflow_1(file: File) -> bool:
    """Whether a file has names that TensorFlow 1 alone has."""
    for node in file.imports:
        package = file.package(node) if isinstance(node, file.cst.ImportFrom) else ""
        for name, _ in file.aliases(node):
            full = f"{package}.{name}" if package else name
            if f"{full}.".startswith(tuple(f"{old}." for old in OLD)):
                return True
    return any(_is_only_1(c) for c in file.chains if c.bound == _TENSORFLOW)


def _is_only_1(chain: Chain) -> bool:
    import tensorflow as tf

    new, old = tf, tf.compat.v1
    for count, name in enumerate(chain.names, 1):
        if contrib_names.is_module(chain.full(count)) and not hasattr(new, name):
            return True
        new, old = getattr(new, name, None), getattr(old, name, None)
        if new is None:
            return old is not None or chain.full(count) in contrib_names.NAMES
        if isinstance(new, type) or not hasattr(new, "__path__"):
            return False
    return False


def is_only_in_1(name: str) -> bool:
    """Whether `tf.NAME` is TensorFlow 1's and not version 2's."""
    import tensorflow as tf

    return not hasattr(tf, name) and hasattr(tf.compat.v1, name)


def is_tensorflow_2(file: File) -> bool:
    """Whether a file has names that TensorFlow 2 alone has."""
    import tensorflow as tf

    old, new = tf.compat.v1, tf
    firsts = {c.names[0] for c in file.chains if c.bound == _TENSORFLOW}
    return any(not hasattr(old, n) and hasattr(new, n) for n in firsts)
