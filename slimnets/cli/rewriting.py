"""Rewrites what a file takes from TensorFlow 1, tf.contrib, TF-Slim and research/slim.

What is to change is changed in the text, so that all else stays as it is written.
Where an old name is today is asked where `slimnets run` asks, of
`slimnets.slim.contrib.home_of`.
"""

from __future__ import annotations

import functools
import types
from typing import Any

from slimnets import contrib_names
from slimnets.cli import old_file
from slimnets.cli.migration import Migrated, Told

_TENSORFLOW, _V1 = "tensorflow", "tensorflow.compat.v1"
_SLIM = contrib_names.SLIM
_CONTRIB = f"{_SLIM}.contrib."


def migrate(file: old_file.File, tensorflow_1: bool = False) -> Migrated:
    """Rewrites a file.

    Args:
        file: the file.
        tensorflow_1: whether `tensorflow` becomes tensorflow.compat.v1.
    """
    return _Rewriting(file, tensorflow_1).migrated()


class _Rewriting:
    """The changes of one file."""

    def __init__(self, file: old_file.File, tensorflow_1: bool):
        self._file, self._tensorflow_1 = file, tensorflow_1
        self._edits: dict[tuple[int, int], str] = {}
        self._told: list[Told] = []
        self._needed: dict[str, str] = {}  # Import line -> name that it binds.
        self._homes: dict[str, str] = {}  # Name -> home of the module it will be.
        self._taken = file.names()
        self._newline = file.module.default_newline

    def migrated(self) -> Migrated:
        for node in self._file.imports:
            is_from = isinstance(node, self._file.cst.ImportFrom)
            (self._import_from if is_from else self._import)(node)
        renamed = self._assigned_modules()
        for chain in self._file.chains:
            if id(chain.nodes[-1]) not in renamed:
                self._use(chain)
        text = self._file.source
        present = {line.strip() for line in self._edits.values() for line in
                   line.replace(";", "\n").split("\n")}  # fmt: skip
        missing = [line for line in self._needed if line not in present]
        if missing:
            at = self._file.place_of_import()
            self._edits[at, at] = "".join(line + self._newline for line in missing)
        for (first, last), new in sorted(self._edits.items(), reverse=True):
            text = text[:first] + new + text[last:]
        return Migrated(self._file.source, text, tuple(self._told))

    def _import(self, node: Any) -> None:
        lines, changed = [], False
        for name, alias in self._file.aliases(node):
            new = self._module_line(node, name, alias)
            changed |= new is not None
            written = f"import {name} as {alias}" if alias else f"import {name}"
            lines += new if new is not None else [written]
        if changed:
            self._replace(node, lines)

    def _module_line(self, node: Any, name: str, alias: str | None) -> list[str] | None:
        """What `import NAME as ALIAS` becomes; None if it stays."""
        if name == _TENSORFLOW and self._tensorflow_1:
            bound = alias or name
            return [f"import {_V1} as {bound}", f"{bound}.disable_v2_behavior()"]
        if not self._file.is_old(name):
            return None
        home = self._module_home(name)
        if home is None:
            if name == "tensorflow.contrib":
                return [
                    self._import_of(_SLIM, "slim" if self._is_free("slim") else None)
                ]
            if name.startswith(old_file.OLD):
                self._tell(node, name)
            return None
        root = name.partition(".")[0]
        if alias is None and root == "tf_slim":
            home, alias = _SLIM, "tf_slim"
        if alias is None and root in contrib_names.RESEARCH:
            return None
        self._homes[alias or "slim"] = home
        return [self._import_of(home, alias)]

    def _import_from(self, node: Any) -> None:
        package = self._file.package(node)
        if package is None or not self._file.is_old(package):
            return
        if isinstance(node.names, self._file.cst.ImportStar):
            home = self._module_home(package)
            if home is not None and not package.startswith(contrib_names.RESEARCH):
                self._replace(node.module, [home])
            elif package.startswith(old_file.OLD):
                self._tell(node, package)
            return
        groups: dict[str, list[str]] = {}
        for name, alias in self._file.aliases(node):
            full = f"{package}.{name}"
            home = self._home(full)
            if home is None and full == "tensorflow.contrib":
                home = _SLIM  # Its uses are rewritten one by one.
            if home is None and package == _TENSORFLOW and old_file.is_only_in_1(name):
                home = f"tf.{name}"
            if home is None:
                self._maybe_tell(node, full)
                groups.setdefault(package, []).append(_as(name, alias))
                continue
            self._homes[alias or name] = home
            parent, _, last = _importable(home).rpartition(".")
            bound = alias or name
            groups.setdefault(parent, []).append(
                _as(last, None if bound == last else bound)
            )
        if list(groups) == [package]:
            return
        if len(groups) == 1 and all(
            new == _as(name, alias)
            for new, (name, alias) in zip(
                *groups.values(), self._file.aliases(node), strict=True
            )
        ):
            self._replace(node.module, list(groups))
            return
        self._replace(
            node, [f"from {m} import {', '.join(n)}" for m, n in groups.items()]
        )

    def _assigned_modules(self) -> set[int]:
        """Rewrites `slim = tf.contrib.slim` to an import; returns the ids of values."""
        done = set()
        for node, full in self._file.assigned():
            target = node.targets[0].target
            home = self._module_home(full) if full.startswith(old_file.OLD) else None
            if (
                home is None
                or len(node.targets) > 1
                or not isinstance(target, self._file.cst.Name)
            ):
                continue
            self._homes[target.value] = home
            self._replace(node, [self._import_of(home, target.value)])
            done.add(id(node.value))
        return done

    def _use(self, chain: old_file.Chain) -> None:
        known = self._homes.get(self._file.code(chain.nodes[0]))
        if chain.bound == _TENSORFLOW and not (
            self._tensorflow_1 or chain.full(1) == "tensorflow.contrib"
        ):
            return
        for count in range(len(chain.names), 0, -1):
            home = self._home(chain.full(count))
            if home is None:
                continue
            if count < len(chain.names) and contrib_names.is_module(chain.full(count)):
                break  # The module is known, and the name in it is not.
            if known is not None and f"{known}.{'.'.join(chain.names[:count])}" == home:
                return
            new = self._expression(home)
            if new != self._file.code(chain.nodes[count]):
                self._replace(chain.nodes[count], [new])
            return
        self._maybe_tell(chain.nodes[-1], chain.full())

    def _expression(self, home: str) -> str:
        """What gives the object of a home, with the imports that it needs."""
        if home.startswith("tf."):
            names = [n for n, full in self._file.bound.items() if full == _TENSORFLOW]
            name = names[0] if names else self._need(f"import {_V1} as tf", "tf")
            return name + home.removeprefix("tf")
        if home.startswith(_CONTRIB):
            module, *names = home.removeprefix(_CONTRIB).split(".")
            line = self._import_of(f"{_CONTRIB}{module}", f"tf_{module}")
            return ".".join([self._need(line, f"tf_{module}"), *names])
        if _is_reached(home):
            slims = [n for n, of in self._homes.items() if of == _SLIM]
            name = slims[0] if slims else "slim"
            if not slims:
                name = name if self._is_free(name) else "slimnets_slim"
                self._need(self._import_of(_SLIM, name), name)
            return name + home.removeprefix(_SLIM)
        last = home.rpartition(".")[2]
        return self._need(self._import_of(home, last), last)

    def _need(self, line: str, name: str) -> str:
        self._needed[line] = name
        return name

    def _is_free(self, name: str) -> bool:
        return name not in self._taken

    def _import_of(self, home: str, alias: str | None) -> str:
        parent, _, last = _importable(home).rpartition(".")
        return f"from {parent} import {_as(last, None if alias == last else alias)}"

    def _home(self, full: str) -> str | None:
        return _home_of(full) if self._file.is_old(full) else None

    def _module_home(self, full: str) -> str | None:
        return _module_home(full) if self._file.is_old(full) else None

    def _maybe_tell(self, node: Any, full: str) -> None:
        root = full.partition(".")[0]
        advised = root == _TENSORFLOW and contrib_names.advice(full) is not None
        if full.startswith(old_file.OLD) or (advised and self._tensorflow_1):
            self._tell(node, full)

    def _tell(self, node: Any, full: str) -> None:
        note = contrib_names.advice(full) or "slimnets.slim has no such name"
        self._told.append(Told(self._file.line(node), full, note))

    def _replace(self, node: Any, lines: list[str]) -> None:
        source = self._file.source
        first, last = self._file.span(node)
        start = source.rfind("\n", 0, first) + 1
        indent = source[start:first]
        rest = source[last:].partition("\n")[0].partition("#")[0].strip()
        alone = not indent.strip() and not rest
        between = self._newline + indent if alone else "; "
        self._edits[first, last] = between.join(lines)


def _as(name: str, alias: str | None) -> str:
    return f"{name} as {alias}" if alias else name


def _importable(home: str) -> str:
    return _V1 + home.removeprefix("tf") if home.split(".")[0] == "tf" else home


@functools.cache
def _home_of(full: str) -> str | None:
    from slimnets.slim import contrib

    if full.startswith("tensorflow.python."):
        return contrib_names.moved(full)
    if contrib_names.is_module(full):
        return _module_home(full)
    home = contrib.home_of(full)
    same = home is not None and home.startswith("tf.")
    return None if same and full == _TENSORFLOW + home.removeprefix("tf") else home


@functools.cache
def _module_home(full: str) -> str | None:
    """Where a whole module is; None if its names are in several or in none."""
    from slimnets.slim import contrib

    homes = contrib_names.homes(full)
    found = [h for h in homes if isinstance(contrib.object_of(h), types.ModuleType)]
    if not found:
        return None
    same = full == _TENSORFLOW + found[0].removeprefix("tf")
    return None if same else found[0]


@functools.cache
def _is_reached(home: str) -> bool:
    """Whether `slim`'s attributes lead to what is at a home."""
    from slimnets import slim
    from slimnets.slim import contrib

    value: Any = slim if home.startswith(_SLIM) else None
    for name in home.removeprefix(_SLIM).split(".")[1:]:
        value = getattr(value, name, None)
    return value is not None and value is contrib.object_of(home)
