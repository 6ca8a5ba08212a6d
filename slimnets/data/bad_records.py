"""Examples that cannot be used: counted by file and index, and left out up to a limit.

In training the next example that can be used stands in for one that cannot, so that a
step's batch stays a pure function of the seed and the step; in evaluation it is left
out.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator

import absl.logging
import tensorflow as tf

# How tf.debugging.Assert begins what it says, in eager code and in graphs.
_ASSERTION = re.compile(
    r"(Expected '.*?' to be true\. Summarized data:|assertion failed:) "
)


# What reading and decoding an example that cannot be used raises.
UNUSABLE = (OSError, ValueError, tf.errors.OpError)


class TooManyBadRecords(ValueError):
    """More examples cannot be used than may be left out."""


class BadRecords:
    """Counts the examples that cannot be used; each once, however often it is met.

    Args:
        limit: how many are left out before `add` raises.
    """

    def __init__(self, limit: int = 0):
        self.limit = limit
        self.found: dict[str, str] = {}
        self._lock = threading.Lock()

    def add(self, name: str, reason: str) -> None:
        """Counts the example called `name`, and logs it the first time.

        Raises:
            TooManyBadRecords: if it is one more than may be left out.
        """
        with self._lock:
            if name in self.found:
                return
            self.found[name] = reason
            number = len(self.found)
        if number > self.limit:
            raise TooManyBadRecords(
                f"{name}: {reason}. It is bad record {number}, where "
                f"max_bad_records={self.limit}."
            )
        absl.logging.warning("Left out %s: %s.", name, reason)

    @property
    def too_many(self) -> bool:
        return len(self.found) > self.limit

    def check(self) -> None:
        """Raises TooManyBadRecords with the names of all, if they are too many."""
        if self.too_many:
            lines = [f"  {name}: {why}" for name, why in sorted(self.found.items())]
            raise TooManyBadRecords(
                f"{len(lines)} images cannot be used, where max_bad_records="
                f"{self.limit}:\n" + "\n".join(lines)
            )


def reason(error: Exception) -> str:
    """What an error says, without what TensorFlow adds around it."""
    said = getattr(error, "message", None) or getattr(error, "strerror", None)
    text = " ".join((said or str(error)).split())
    text, asserted = _ASSERTION.subn("", text)
    if asserted:  # Each of its parts is in quotes or brackets.
        text = re.sub(r"b'(.*?)'|\[(.*?)\]", r"\1\2", text)
    return re.sub(r"{{.*?}} ?| \[Op:.*", "", text)[:200].rstrip(".")


@contextlib.contextmanager
def explained_errors() -> Iterator[None]:
    """Raises TooManyBadRecords itself, where a tf.data iterator wraps it in its own.

    Iterate over `training_batches` and `evaluation_batches` inside of this.
    """
    try:
        yield
    except tf.errors.OpError as error:
        match = re.search(rf"{TooManyBadRecords.__name__}: (.*)", error.message or "")
        if not match:
            raise
        raise TooManyBadRecords(match[1].strip()) from None
