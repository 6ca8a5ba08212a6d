"""What is worked on together, and what becomes of it that cannot be finished."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Shard:
    """Items that are worked on together.

    Attributes:
        title: which these are, for people.
        size: how many.
        items: what a worker needs to know of them; small, for it is sent.
    """

    title: str
    size: int
    items: Any


# What a worker makes of a shard's items, once it has opened what it needs.
Work = Callable[[Any], Any]


class ShardsFailed(RuntimeError):
    """Some shards could not be finished, again and again; all others are."""


def cut(
    items: Sequence[Any], size: int, *, batch_size: int = 1, what: str = "images"
) -> list[Shard]:
    """Cuts items into shards, of which the last may be smaller.

    Args:
        items: all of them.
        size: of a shard; at most, but for a batch that is larger.
        batch_size: of which each has whole ones.
        what: the items are.
    """
    size = batch_size * max(1, size // batch_size)
    return [
        Shard(
            f"{what} {start} to {min(start + size, len(items)) - 1}",
            len(items[start : start + size]),
            items[start : start + size],
        )
        for start in range(0, len(items), size)
    ]
