"""The results of finished shards, in a file: what a run that was stopped goes on from.

The file has a line of JSON for each: the first says what work it is of, the others
have a shard's number and result. A line counts when it is whole and on the disk, so
that one which was being written when the power went is one that is not there.
"""

from __future__ import annotations

import base64
import io
import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from slimnets.files import try_lock
from slimnets.progress import Count, show_progress
from slimnets.sharding.engines import finished
from slimnets.sharding.options import ManifestOptions
from slimnets.sharding.shards import Shard, Work

_ARRAY = "npy"


class Manifest:
    """A file of results by the numbers of their shards; see `in_order`.

    Args:
        path: where it lies; it is made.
        work: what the results follow from, as JSON can hold it.

    Raises:
        ValueError: if there is one of other work, or a file that is none.
        OSError: if another process has it, or it cannot be written.
    """

    def __init__(self, path: str, work: Mapping[str, Any]):
        self.path = path
        self._file = open(path, "a+b")  # noqa: SIM115  It stays open, and locked.
        self._places: dict[int, int] = {}
        try:
            if not try_lock(self._file):
                raise OSError(f"Another process goes on with {path}.")
            self._read(work)
        except BaseException:
            self._file.close()
            raise

    def _read(self, work: Mapping[str, Any]) -> None:
        """Finds the whole lines, and takes off what else there is."""
        self._file.seek(0)
        begun, end = _encoded(work), 0
        for line in self._file:
            if not line.endswith(b"\n"):
                if not end and not begun.startswith(line):
                    raise self._is_none()
                break
            read = self._decoded(line)
            if not end:
                check_same(self.path, read, work, "other work", "manifest")
            else:
                self._places.setdefault(read["shard"], end)
            end += len(line)
        self._file.truncate(end)
        if not end:
            self._append(work)

    def __contains__(self, number: int) -> bool:
        return number in self._places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: int) -> Any:
        self._file.seek(self._places[number])
        return self._decoded(self._file.readline())["result"]

    def add(self, number: int, result: Any) -> None:
        """Notes a result; one that is there stays."""
        if number not in self:
            self._places[number] = self._append({"shard": number, "result": result})

    def close(self) -> None:
        """Lets another process have it."""
        self._file.close()

    def _append(self, value: Any) -> int:
        place = self._file.seek(0, os.SEEK_END)
        self._file.write(_encoded(value))
        self._file.flush()
        os.fsync(self._file.fileno())
        return place

    def _decoded(self, line: bytes) -> dict[str, Any]:
        try:
            read = json.loads(line, object_hook=_array)
        except (ValueError, zlib.error):
            read = None
        if not isinstance(read, dict):
            raise self._is_none()
        return read

    def _is_none(self) -> ValueError:
        return ValueError(
            f"{self.path} is there, and no manifest of finished shards, or damaged: "
            "choose another manifest."
        )


def in_order(
    title: str,
    shards: Sequence[Shard],
    open_work: Callable[[], Work],
    options: ManifestOptions,
    work: Mapping[str, Any],
    path: str,
    max_bad_records: int | None = None,
    *,
    at_a_time: int | None = 1,
    is_there: Callable[[Shard], bool] = lambda shard: True,
    show: bool = True,
) -> Iterator[Any]:
    """Yields the results of all shards in their order, once all are finished.

    The manifest goes when the last result was taken.

    Args:
        title: of the progress that is shown.
        shards, open_work, options: as of `finished`.
        work: what the results follow from beside the shards' numbers.
        path: of the manifest, if the options name none.
        max_bad_records: how many entries `bad` of all results may have together; None
            for any number.
        show: whether progress goes to standard error.

    Raises:
        ValueError: for more than that; and as of `Manifest` and `finished`.
    """
    cut = {"shards": len(shards), "first": shards[0].size if shards else 0}
    manifest = Manifest(options.manifest or path, {**cut, **work})
    bad: list[str] = []

    def take(number: int, result: Any) -> None:
        bad.extend(result["bad"])
        if max_bad_records is not None and len(bad) > max_bad_records:
            raise ValueError(
                f"{len(bad)} bad images, of which max_bad_records={max_bad_records} "
                f"allows no more: {bad[-1]}"
            )
        count.add(shards[number].size)

    numbers = range(len(shards))
    done = [n for n in numbers if n in manifest and is_there(shards[n])]
    todo = sorted({*numbers} - {*done})
    total = sum(shard.size for shard in shards)
    try:
        with show_progress(title, 0, total, unit="image", show=show) as progress:
            if done:
                progress.say(
                    f"{title}: goes on: {len(done)} of {len(shards)} shards are "
                    f"finished in {manifest.path}"
                )
            count = Count(progress)
            for number in done:
                take(number, manifest[number])
            count = Count(progress, count.done)
            for number, result in finished(
                shards, todo, open_work, options, progress.say, at_a_time
            ):
                manifest.add(number, result)
                take(number, result)
        for number in numbers:
            yield manifest[number]
        os.remove(manifest.path)
    finally:
        manifest.close()


def check_same(
    where: str,
    theirs: Mapping[str, Any],
    mine: Mapping[str, Any],
    what: str,
    name: str = "output",
) -> None:
    """Raises ValueError where what lies somewhere is not of this work.

    Args:
        where: the place.
        theirs: what is written there.
        mine: what would be.
        what: what it is then.
        name: the setting that chooses the place.
    """
    mine = json.loads(json.dumps(mine))
    different = [
        f"{key}={theirs.get(key)!r} there, {mine.get(key)!r} here"
        for key in {**mine, **theirs}
        if theirs.get(key) != mine.get(key)
    ]
    if different:
        raise ValueError(
            f"{where} holds {what} ({'; '.join(different)}): choose another {name}, or "
            "the same settings to go on with it."
        )


def _encoded(value: Any) -> bytes:
    """A line of the file."""
    return json.dumps(value, default=_plain).encode() + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{type(value).__name__} is no result of a shard.")
    buffer = io.BytesIO()
    np.save(buffer, value, allow_pickle=False)
    return {_ARRAY: base64.b64encode(zlib.compress(buffer.getvalue(), 1)).decode()}


def _array(value: dict[str, Any]) -> Any:
    if value.keys() != {_ARRAY}:
        return value
    stored = zlib.decompress(base64.b64decode(value[_ARRAY]))
    return np.load(io.BytesIO(stored), allow_pickle=False)
