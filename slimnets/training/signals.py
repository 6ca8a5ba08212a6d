"""Ends a run between two steps when the user or the system asks for it."""

import contextlib
import signal
import threading
from collections.abc import Iterator


class TrainingInterrupted(KeyboardInterrupt):
    """A run was asked to end, and did so after writing a checkpoint.

    Attributes:
        signum: the signal that asked.
    """

    def __init__(self, message: str, signum: int):
        super().__init__(message)
        self.signum = signum


class StopRequest:
    """Whether a signal has asked the run to end: `signum` is None until then."""

    signum: int | None = None


@contextlib.contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turns SIGINT and SIGTERM into a request; a second one acts as it always does.

    Outside of the main thread, where Python has no signals, nothing is changed.
    """
    request = StopRequest()
    previous = {}

    def restore() -> None:
        for signum, handler in previous.items():
            signal.signal(signum, handler)

    def on_signal(signum: int, frame: object) -> None:
        request.signum = signum
        restore()

    if threading.current_thread() is threading.main_thread():
        for signum in (signal.SIGINT, signal.SIGTERM):
            previous[signum] = signal.signal(signum, on_signal)
    try:
        yield request
    finally:
        restore()
