"""How far a run is: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TextIO

import tqdm

SECONDS_BETWEEN_LINES = 10.0
# Of a terminal that does not tell; below _WIDE only loss and accuracy have room.
WIDTH, _WIDE, _NARROWEST = 80, 130, 20
_BAR = "{desc}: {n_fmt}/{total_fmt} |{bar}| {remaining} left{postfix}"
_LONGEST_TITLE = 18
# What a bar calls these, to have room for all.
_SHORT = {
    "train_accuracy": "accuracy",
    "images_per_second": "images/s",
    "learning_rate": "rate",
}


class Progress:
    """Counts from `first` to `last`; see `show_progress`."""

    def __init__(self, stream: TextIO, title: str, first: int, last: int, unit: str):
        self._stream, self._title, self._last = stream, title, last
        self._unit = unit
        self._values = ""
        self._next_line = 0.0
        self._began, self._first = time.monotonic(), first
        self._bar = None
        if stream.isatty():
            self._bar = tqdm.tqdm(
                desc=title[:_LONGEST_TITLE],
                initial=first,
                total=last,
                file=stream,
                unit=unit,
                ncols=self._width,
                bar_format=_BAR,
            )

    def update(self, step: int, values: Mapping[str, float] | None = None) -> None:
        """Shows `step`, and `values` from now on."""
        if values:
            self._values = ", ".join(
                f"{name} {value:.4g}" for name, value in self._shown(values).items()
            )
        if self._bar is not None:
            self._bar.ncols = self._width
            self._bar.set_postfix_str(self._values, refresh=False)
            self._bar.update(step - self._bar.n)
        elif step == self._last or (values and time.monotonic() >= self._next_line):
            self._next_line = time.monotonic() + SECONDS_BETWEEN_LINES
            parts = [f"{self._unit} {step} of {self._last}", self._values]
            parts.append(self._left(step))
            self._print(f"{self._title}: {', '.join(filter(None, parts))}")

    def say(self, text: str) -> None:
        """Shows a line of text."""
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        else:
            self._print(text)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    @property
    def _width(self) -> int:
        """Of the terminal, in which the line must end before the last column."""
        try:
            return max(_NARROWEST, os.get_terminal_size(self._stream.fileno())[0] - 1)
        except (OSError, ValueError):
            return WIDTH - 1

    def _shown(self, values: Mapping[str, float]) -> dict[str, float]:
        """The values for which there is room, by the names that there is room for."""
        if self._bar is None:
            return dict(values)
        first = ("loss", "train_accuracy") if self._width < _WIDE else tuple(values)
        kept = [name for name in first if name in values] or list(values)[:2]
        return {_SHORT.get(name, name): values[name] for name in kept}

    def _left(self, step: int) -> str:
        """How much longer it takes, if the rest goes as what was done."""
        if not self._first < step < self._last:
            return ""
        per_step = (time.monotonic() - self._began) / (step - self._first)
        seconds = int(per_step * (self._last - step))
        return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d} left"

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


class Count:
    """Adds up what is done, and shows how fast that goes.

    Args:
        progress: where.
        done: what was done before.
    """

    def __init__(self, progress: Progress | _Silent, done: int = 0):
        self._progress, self._first, self.done = progress, done, done
        self._began = time.monotonic()
        progress.update(done)

    def add(self, number: int) -> None:
        """Counts images that were worked on now."""
        self.done += number
        rate = (self.done - self._first) / (time.monotonic() - self._began)
        self._progress.update(self.done, {"images_per_second": rate})


class _Silent:
    def update(self, step: int, values: Mapping[str, float] | None = None) -> None:
        pass

    def say(self, text: str) -> None:
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


@contextlib.contextmanager
def show_images(title: str) -> Iterator[Callable[[int], Progress | _Silent]]:
    """Gives a Progress of images, which begins when their number is known."""
    with contextlib.ExitStack() as stack:
        yield functools.cache(
            lambda total: stack.enter_context(
                show_progress(title, 0, total, unit="image")
            )
        )
