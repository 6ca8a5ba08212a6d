"""Named choices as tables, whose entries say which options they have."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from slimnets.listing import nearest


@dataclasses.dataclass(frozen=True)
class Entry:
    """What a name stands for: a function of its options, with their defaults."""

    make: Callable[..., Any]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def find(argument: str, name: str, table: Mapping[str, Entry]) -> Entry:
    """The entry of `table` called `name`; an unknown one raises ValueError."""
    if name not in table:
        near = nearest(name, table, most=1)
        hint = f"; did you mean {near}?" if near else ""
        raise ValueError(
            f"{argument}={name!r} is not one of {', '.join(sorted(table))}{hint}"
        )
    return table[name]
