"""Public names that are on their way out: they warn once, and stay for two minor
versions.

    @deprecated("0.2", "use new_name")
    def old_name(...): ...

What is gone by then is in `overdue()`, which a test holds empty.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from slimnets.version import __version__

_MINOR_VERSIONS = 2
# Each text with the version that it is of, and those that have been shown.
_TEXTS: dict[str, str] = {}
_SHOWN: set[str] = set()


def deprecated(since: str, instead: str) -> Callable[[Callable], Callable]:
    """Returns a decorator for a function that is to go.

    Args:
        since: the first version, `major.minor`, that says so.
        instead: what to do, as the end of a sentence: `use new_name`.
    """

    def decorate(function: Callable) -> Callable:
        name = f"{function.__module__}.{function.__qualname__}"
        end = ".".join(map(str, _end(since)))
        text = f"{name} is deprecated since {since} and goes in {end}: {instead}."
        _TEXTS[text] = since

        @functools.wraps(function)
        def warning(*args: Any, **kwargs: Any) -> Any:
            if text not in _SHOWN:
                _SHOWN.add(text)
                warnings.warn(text, DeprecationWarning, stacklevel=2)
            return function(*args, **kwargs)

        return warning

    return decorate


def overdue(version: str = __version__) -> list[str]:
    """The texts of what should be gone in a version."""
    return [text for text, since in _TEXTS.items() if _end(since) <= _minor(version)]


def _minor(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def _end(since: str) -> tuple[int, int]:
    major, minor = _minor(since)
    return major, minor + _MINOR_VERSIONS
