"""Rows with something changed in all of their layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from slimnets.blocks import takes
from slimnets.rows.row import Row

_PADDED = ("SAME",)


def with_padding(row: Row, padding: str) -> Row:
    """Returns the row with that padding in place of `VALID`, outside of the head.

    Raises:
        ValueError: for another padding than `SAME`.
    """
    if padding not in _PADDED:
        raise ValueError(f"padding={padding!r}; allowed are 'SAME' and None.")

    def change(layer: Any) -> dict[str, Any]:
        return {"padding": padding} if layer.padding in ("VALID", None) else {}

    return _changed_stages(row, "padding", change)


def explicitly_padded(row: Row) -> Row:
    """Returns the row whose strided layers pad both sides alike, as `conv2d_same`."""

    def change(part: Any) -> dict[str, Any]:
        if not hasattr(part, "padding"):
            return {"options": (*part.options, ("padding", "EVEN"))}
        return {"padding": "EVEN"} if part.padding == "SAME" else {}

    row = _changed_stages(row, "padding", change)
    stages = tuple(
        dataclasses.replace(stage, **change(stage))
        if hasattr(stage, "unit_fn") and takes(stage.unit_fn, "padding")
        else stage
        for stage in row.stages
    )
    return dataclasses.replace(row, stages=stages)


def with_activation(row: Row, activation_fn: Callable) -> Row:
    """Returns the row with another activation wherever it names one."""

    def pairs(options: tuple) -> tuple:
        return tuple(
            (key, activation_fn if key.endswith("activation_fn") and value else value)
            for key, value in options
        )

    def change(part: Any) -> dict[str, Any]:
        each = getattr(part, "each", None)
        made = {} if each is None else {"each": tuple(map(pairs, each))}
        return {"options": pairs(part.options), **made}

    def own(part: Any) -> dict[str, Any]:
        return {"activation_fn": activation_fn} if part.activation_fn else {}

    for field, made in (("options", change), ("activation_fn", own)):
        row = dataclasses.replace(
            _changed_stages(row, field, made),
            head=_changed(row.head, field, made),
            auxiliary=_changed(row.auxiliary, field, made),
        )
    return dataclasses.replace(row, unit_options=pairs(row.unit_options))


def _changed_stages(row: Row, field: str, change: Callable) -> Row:
    return dataclasses.replace(
        row,
        root=_changed(row.root, field, change),
        stages=_changed(row.stages, field, change),
    )


def _changed(value: Any, field: str, change: Callable[[Any], dict]) -> Any:
    """Changes every dataclass with that field in tuples and dataclasses."""
    if type(value) is tuple:
        return tuple(_changed(part, field, change) for part in value)
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    own = {
        f.name: _changed(getattr(value, f.name), field, change)
        for f in dataclasses.fields(value)
        if isinstance(getattr(value, f.name), tuple)
        or dataclasses.is_dataclass(getattr(value, f.name))
    }
    if hasattr(value, field):
        own |= change(value)
    return dataclasses.replace(value, **own)
