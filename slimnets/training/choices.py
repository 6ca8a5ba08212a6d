"""Named choices as tables, whose entries say which options they have."""

import dataclasses
import difflib
from collections.abc import Callable, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Entry:
    """What a name stands for: a function of its options, with their defaults."""

    make: Callable[..., Any]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def find(argument: str, name: str, table: Mapping[str, Entry]) -> Entry:
    """The entry of `table` called `name`; an unknown one raises ValueError."""
    if name not in table:
        near = difflib.get_close_matches(name, table, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(
            f"{argument}={name!r} is not one of {', '.join(sorted(table))}{hint}"
        )
    return table[name]
