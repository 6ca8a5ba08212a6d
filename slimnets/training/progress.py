"""How far a run is: a bar on a terminal, plain lines elsewhere."""

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping
from typing import TextIO

import tqdm

SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Counts from `first` to `last`; see `show_progress`."""

    def __init__(self, stream: TextIO, title: str, first: int, last: int, unit: str):
        self._stream, self._title, self._last = stream, title, last
        self._unit = unit
        self._values = ""
        self._next_line = 0.0
        self._bar = None
        if stream.isatty():
            self._bar = tqdm.tqdm(
                desc=title,
                initial=first,
                total=last,
                file=stream,
                unit=unit,
                dynamic_ncols=True,
            )

    def update(self, step: int, values: Mapping[str, float] | None = None) -> None:
        """Shows `step`, and `values` from now on."""
        if values:
            texts = [f"{name} {value:.4g}" for name, value in values.items()]
            # A bar has room for the first value, the loss.
            self._values = texts[0] if self._bar is not None else ", ".join(texts)
        if self._bar is not None:
            self._bar.set_postfix_str(self._values, refresh=False)
            self._bar.update(step - self._bar.n)
        elif step == self._last or (values and time.monotonic() >= self._next_line):
            self._next_line = time.monotonic() + SECONDS_BETWEEN_LINES
            print(
                f"{self._title}: {self._unit} {step} of {self._last}, {self._values}",
                file=self._stream,
                flush=True,
            )

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


class _Silent:
    def update(self, step: int, values: Mapping[str, float] | None = None) -> None:
        pass


@contextlib.contextmanager
def show_progress(
    title: str, first: int, last: int, *, unit: str = "step", show: bool = True
) -> Iterator[Progress | _Silent]:
    """A Progress on standard error for as long as the context lasts."""
    if not show:
        yield _Silent()
        return
    progress = Progress(sys.stderr, title, first, last, unit)
    try:
        yield progress
    finally:
        progress.close()
