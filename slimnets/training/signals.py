"""Ends a run between two steps when the user or the system asks for it."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


class TrainingInterrupted(KeyboardInterrupt):
    """A run was asked to end, and did so; what it had reached is saved.

    Attributes:
        signum: the signal that asked.
        exit_code: of the process: 0 where the system asked, by SIGTERM, and 128 + N
            where the user did, by a signal N.
    """

    def __init__(self, message: str, signum: int):
        super().__init__(message)
        self.signum = signum
        self.exit_code = 0 if signum == signal.SIGTERM else 128 + signum


class StopRequest:
    """Whether a signal has asked the run to end.

    Attributes:
        signum: the signal; None until one comes.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._where: str | None = None

    @contextlib.contextmanager
    def at_once(self, where: str) -> Iterator[None]:
        """In this context, where nothing is lost by it, a signal ends the run at once.

        Args:
            where: is told with it, after `stopped`.

        Raises:
            TrainingInterrupted: when a signal comes, or has come before.
        """
        self._where = where
        try:
            self._end()
            yield
        finally:
            self._where = None

    def come(self, signum: int) -> None:
        """Notes that a signal has come."""
        self.signum = signum
        self._end()

    def _end(self) -> None:
        if self.signum is not None and self._where is not None:
            raise TrainingInterrupted(f"stopped {self._where}", self.signum)


@contextlib.contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turns SIGINT and SIGTERM into a request; a second one acts as it always does.

    Outside of the main thread, where Python has no signals, nothing is changed.
    """
    request = StopRequest()
    previous: dict[int, Any] = {}

    def restore() -> None:
        for signum, handler in previous.items():
            signal.signal(signum, handler)

    def on_signal(signum: int, frame: object) -> None:
        restore()
        request.come(signum)

    if threading.current_thread() is threading.main_thread():
        for signum in (signal.SIGINT, signal.SIGTERM):
            previous[signum] = signal.signal(signum, on_signal)
    try:
        yield request
    finally:
        restore()
