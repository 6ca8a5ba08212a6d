"""What a converter or runtime raises, as an error that says what it was about."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from slimnets.listing import one_line

_LENGTH = 300


@contextlib.contextmanager
def refusals_of(what: str, *passing: type[Exception]) -> Iterator[None]:
    """Turns what others raise into a ValueError: `what`, and their words on one line.

    What tells of the machine, such as a package that is missing or a full disk, passes,
    and so does what is `passing`.
    """
    try:
        yield
    except (ImportError, OSError, MemoryError, *passing):
        raise
    except Exception as error:  # Converters' exceptions have no common type.
        words = one_line(error, _LENGTH) or type(error).__name__
        raise ValueError(f"{what}: {words}.") from error
