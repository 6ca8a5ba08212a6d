"""What differs between two networks, graphs or checkpoints."""

from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from slimnets.inspection.common_names import TEXTS, with_common_names
from slimnets.inspection.layer_tables import Layer
from slimnets.inspection.subjects import Opening, Subject, subject_of
from slimnets.listing import common_scope, with_scopes

FORMATS = ("text", "json")
_ASPECTS = ("kind", "shape", "stride", "inputs")


@dataclasses.dataclass(frozen=True)
class Change:
    """What one name stands for on both sides.

    Attributes:
        name: a layer's or a variable's.
        aspect: `kind`, `shape`, `stride` or `inputs`.
        before, after: of A and of B.
    """

    name: str
    aspect: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.aspect} {_text(self.before)} -> {_text(self.after)}"


@dataclasses.dataclass(frozen=True)
class ValueChange:
    """How far two values of a variable are apart.

    Attributes:
        name: the variable's.
        max: the largest absolute difference; NaN where just one side is not a number.
        relative: that, divided by the largest absolute value of A or B.
    """

    name: str
    max: float
    relative: float

    def __str__(self) -> str:
        return f"{self.name}: max {self.max:.3g}, relative {self.relative:.3g}"


@dataclasses.dataclass(frozen=True)
class Part:
    """What differs among layers or among variables.

    Attributes:
        only_a, only_b: names that just one side has.
        changes: of names that both have.
        alike: names without any difference.
    """

    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    changes: tuple[Change, ...]
    alike: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.only_a or self.only_b or self.changes)


@dataclasses.dataclass(frozen=True)
class Difference:
    """What differs between A and B: true if anything does; its text says all.

    Attributes:
        a, b: what was compared.
        layers, variables: None where A or B has none to compare.
        values: of the variables that both have in one shape; None if A or B has none.
        compared: number of values that were compared.
        names: how the names of one side became those of the other; empty if they did
            not.
    """

    a: str
    b: str
    layers: Part | None
    variables: Part | None
    values: tuple[ValueChange, ...] | None
    compared: int = 0
    names: str = ""

    def __bool__(self) -> bool:
        return bool(self.layers or self.variables or self.values)

    def __str__(self) -> str:
        lines = [f"--- {self.a}", f"+++ {self.b}"]
        lines += [f"names: {self.names}"] * bool(self.names)
        for title in ("layers", "variables"):
            part = getattr(self, title)
            if part is not None:
                lines += _part_lines(title, part)
        if self.values is not None:
            lines.append(f"values: {len(self.values)} of {self.compared} differ")
            lines += [f"~ {change}" for change in self.values]
        return "\n".join(lines)

    def formatted(self, format: str = "text") -> str:
        """Returns it as `text` or `json`. Raises ValueError for another format."""
        if format not in FORMATS:
            raise ValueError(f"format={format!r}; allowed are {', '.join(FORMATS)}.")
        if format == "text":
            return str(self)
        content = {"differ": bool(self), **dataclasses.asdict(self)}
        for title in ("layers", "variables"):
            if content[title] is not None:
                content[title]["alike"] = len(content[title]["alike"])
        return json.dumps(content, indent=2)


def diff(
    a: Any,
    b: Any,
    *,
    num_classes: int | None = 1000,
    tolerance: float = 0.0,
    averages: bool | None = None,
    rename: Iterable[tuple[str, str]] = (),
    exclude: Iterable[str] = (),
    tell: Callable[[str], None] = lambda line: None,
) -> Difference:
    """Compares layers, shapes, variables and values, as far as both sides have them.

    Where all names of A lie in one scope, and all of B in another, they are compared
    relative to these: `resnet_v2_50/conv1` is `resnet_v2_101/conv1`. Where one is a
    file of another framework, its names and layouts are those that its network has
    here, if that is known, or else those of the other side's variables of equal values.
    A shape that is not known equals any, and the batch is left out.

    Args:
        a, b: as of `subject_of`: networks, graphs or checkpoints.
        num_classes: of networks that are given by name.
        tolerance: relative differences of values up to this are none.
        averages: of weights in files; see `open_weights`.
        rename: pairs `(pattern, replacement)` for names in files, on either side.
        exclude: patterns of names in files that are not compared.
        tell: gets a line for each file of weights that was opened.

    Raises:
        FileNotFoundError, ValueError: as `subject_of`; or if the two have nothing that
            can be compared.
    """
    opening = Opening(averages, tuple(rename), tuple(exclude), tell)
    first, second = (
        subject_of(side, num_classes=num_classes, opening=opening) for side in (a, b)
    )
    opening.check_used()
    first, second, names = with_common_names(first, second)
    scopes = {
        common_scope([*(side.layers or ()), *(side.variables or ())])
        for side in (first, second)
    }
    if len(scopes) == 2 and "" not in scopes:
        first, second = first.without_scope(), second.without_scope()
    layers = variables = values = None
    compared = 0
    if first.layers is not None and second.layers is not None:
        layers = _part(first.layers, second.layers, _layer_changes)
    if first.variables is not None and second.variables is not None:
        variables = _part(first.variables, second.variables, _shape_changes)
        if first.value and second.value:
            values, compared = _value_changes(first, second, tolerance)
    if layers is None and variables is None:
        raise ValueError(
            f"{first.name} and {second.name} have nothing that can be compared: one "
            "has no variables, the other no layers."
        )
    return Difference(
        first.name, second.name, layers, variables, values, compared, names
    )


def _part(a: Mapping[str, Any], b: Mapping[str, Any], changes_of) -> Part:
    both = [name for name in a if name in b]
    changes = [change for name in both for change in changes_of(name, a[name], b[name])]
    changed = {change.name for change in changes}
    return Part(
        tuple(name for name in a if name not in b),
        tuple(name for name in b if name not in a),
        tuple(changes),
        tuple(name for name in both if name not in changed),
    )


def _layer_changes(name: str, a: Layer, b: Layer) -> Iterable[Change]:
    for aspect in _ASPECTS:
        before, after = getattr(a, aspect), getattr(b, aspect)
        if aspect == "shape":
            before, after = before[1:], after[1:]
            if _may_be_equal(before, after):
                continue
        # Graphs of functions are read without shapes, and without connections.
        elif aspect != "kind" and not (a.shape and b.shape):
            continue
        if before != after:
            yield Change(name, aspect, before, after)


def _may_be_equal(a: tuple, b: tuple) -> bool:
    if not a or not b:
        return True
    return len(a) == len(b) and all(
        x is None or y is None or x == y for x, y in zip(a, b, strict=True)
    )


def _shape_changes(name: str, a: tuple, b: tuple) -> Iterable[Change]:
    if tuple(a) != tuple(b):
        yield Change(name, "shape", tuple(a), tuple(b))


def _value_changes(
    a: Subject, b: Subject, tolerance: float
) -> tuple[tuple[ValueChange, ...], int]:
    ours, theirs = a.variables or {}, b.variables or {}
    both = [name for name, shape in ours.items() if theirs.get(name) == shape]
    of_a, of_b = a.value, b.value
    assert of_a and of_b  # Nobody asks where there are no values.
    changes = [_value_change(name, of_a(name), of_b(name)) for name in both]
    # Not a number is beyond every tolerance.
    found = tuple(c for c in changes if c is not None and not c.relative <= tolerance)
    return found, len(both)


def _value_change(name: str, a: np.ndarray, b: np.ndarray) -> ValueChange | None:
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype.kind in TEXTS or b.dtype.kind in TEXTS:
        return None if np.array_equal(a, b) else ValueChange(name, np.nan, np.nan)
    a, b = a.astype(np.float64), b.astype(np.float64)
    differs = ~((a == b) | (np.isnan(a) & np.isnan(b)))
    if not differs.any():
        return None
    with np.errstate(invalid="ignore"):
        largest = float(np.abs(a - b)[differs].max())
        scale = float(np.nanmax(np.abs(np.stack([a, b]))))
        return ValueChange(name, largest, float(np.float64(largest) / scale))


def _part_lines(title: str, part: Part) -> list[str]:
    changed: dict[str, list[str]] = {}
    for change in part.changes:
        changed.setdefault(change.name, []).append(str(change))
    both = {*part.alike, *changed}
    return [
        f"{title}: {len(part.only_a)} only in A, {len(part.only_b)} only in B, "
        f"{len(changed)} changed, {len(part.alike)} alike",
        *(f"- {line}" for line in _gathered(part.only_a, {*part.only_b, *both})),
        *(f"+ {line}" for line in _gathered(part.only_b, {*part.only_a, *both})),
        *(f"~ {name}: {'; '.join(texts)}" for name, texts in changed.items()),
    ]


def _gathered(names: Iterable[str], elsewhere: set[str]) -> list[str]:
    """The names, or the outermost scopes that the other side lacks, with counts."""
    known = {scope for name in elsewhere for scope in with_scopes(name)}
    counts = collections.Counter(
        next((scope for scope in with_scopes(name) if scope not in known), name)
        for name in names
    )
    whole = set(names)
    return [
        name if name in whole and count == 1 else f"{name}/ ({count})"
        for name, count in counts.items()
    ]


def _text(value: Any) -> str:
    if not isinstance(value, tuple):
        return str(value)
    if any(isinstance(v, str) for v in value):
        return ", ".join(value)
    # Of a scalar, and of an input, there is nothing to list.
    return "x".join("?" if v is None else str(v) for v in value) or "none"
