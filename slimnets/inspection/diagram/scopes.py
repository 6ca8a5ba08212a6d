"""Which boxes of a picture a frame holds together: those of one scope."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence

from slimnets.listing import with_scopes

# Frames around a box at most.
_LEVELS = 2


@dataclasses.dataclass(frozen=True, eq=False)
class Scope:
    """Boxes that a frame holds together.

    Attributes:
        path: the scope.
        label: the scope relative to the frame around.
        level: number of frames around it.
        members: names of its boxes.
    """

    path: str
    label: str
    level: int
    members: frozenset[str]


def scopes_of(names: Sequence[str]) -> list[Scope]:
    """Returns the scopes that hold several of the names but not all, outer first."""
    members: dict[str, list[str]] = collections.defaultdict(list)
    for name in names:
        for scope in with_scopes(name):
            members[scope].append(name)
    # Of scopes with the same members the inner one stays.
    inner = {tuple(found): path for path, found in sorted(members.items())}
    scopes: list[Scope] = []
    for found, path in sorted(inner.items(), key=lambda item: item[1]):
        # A layer and its norm alone need no frame.
        least = 3 if path in names else 2
        if not least <= len(found) < len(names):
            continue
        around = [scope for scope in scopes if path.startswith(scope.path + "/")]
        label = path.removeprefix(around[-1].path + "/") if around else path
        scopes.append(Scope(path, label, len(around), frozenset(found)))
    return [scope for scope in scopes if scope.level < _LEVELS]
