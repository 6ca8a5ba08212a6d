"""What every reader of weights is: a lazy dict from names to arrays."""

from __future__ import annotations

import abc
import contextlib
import glob
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from typing import IO, Any

import numpy as np

from slimnets.checkpoints import metadata as metadata_fields
from slimnets.checkpoints.wrappers import without, wrapper_of
from slimnets.files import move_into_place, write_text
from slimnets.listing import nearest, one_line

Shape = tuple[int, ...]

# What a moving average is called, behind the name of its variable.
AVERAGE = "/ExponentialMovingAverage"

# Weights hardly shrink in compression. What claims to be more than this many times its
# file, and more than a small file may, is damaged or made to fill the memory.
_LARGEST_EXPANSION = 100
_SMALL = 2**26
_DRAFT = ".saving-"
CHUNK = 2**20


class WeightsReader(Mapping[str, np.ndarray]):
    """A read-only dict from names to arrays; each value is read when it is asked for.

    Attributes:
        prefix: the file, or the prefix of a checkpoint's files.
        kind: whose names these are: `tensorflow`, `keras`, `torch` or `npz`.
        shapes: a dict from names to shapes, as tuples. What wrappers have put before
            all names is not in them, but for TensorFlow's, which are scopes.
        wrapper: what that was, such as `module.`.
        metadata: what was written beside the weights as JSON; empty without.
        object_based: whether tf.train.Checkpoint wrote it; a name that is neither a
            Model's variable's nor Keras's is then a path through Python objects.
        bookkeeping: names of what only training needs, as far as the file tells.
    """

    kind = ""
    object_based = False
    bookkeeping: frozenset[str] = frozenset()

    def __init__(self, prefix: str, shapes: Mapping[str, Shape]):
        self.prefix = prefix
        self.wrapper = "" if self.kind == "tensorflow" else wrapper_of(shapes)
        self._stored = without(self.wrapper, shapes)
        self.shapes = {n: tuple(shapes[self._stored[n]]) for n in sorted(self._stored)}
        self.metadata = read_metadata(prefix)

    @abc.abstractmethod
    def read(self, name: str) -> np.ndarray:
        """Reads a tensor by the name that the file has for it.

        Raises:
            ValueError: if it cannot be read.
        """

    def stored_name(self, name: str) -> str:
        """Returns what the file calls the tensor that `shapes` has under a name."""
        return self._stored[name]

    def close(self) -> None:
        """Closes what is open; the garbage collector does it too."""

    def __del__(self):
        self.close()

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.shapes:
            near = nearest(name, self.shapes)
            hint = f"; the nearest are {near}" if near else ""
            raise KeyError(f"No tensor {name!r} in {self.prefix}{hint}.")
        return self.read(self._stored[name])

    def __contains__(self, name: object) -> bool:
        return name in self.shapes

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.prefix!r}, {len(self)} tensors)"


def unreadable(path: str, what: str, why: object) -> ValueError:
    """The error for a file that is not, or no longer, what it should be."""
    return ValueError(f"Cannot read {what} {path}: {one_line(why, 300)}.")


def damaged(
    path: str, what: str, error: Exception, subject: str = "it is"
) -> ValueError:
    """As `unreadable`, of a file or a tensor in it that no library can read."""
    return unreadable(path, what, f"{subject} damaged or cut short ({one_line(error)})")


def check_expansion(path: str, what: str, number: int) -> None:
    """Raises ValueError if `number` bytes are too many to come out of a file.

    Args:
        path: the file, or the prefix of a checkpoint's files.
        what: see `unreadable`.
        number: of bytes in memory, or unpacked.
    """
    limit = _SMALL + _LARGEST_EXPANSION * _size(path)
    if number > limit:
        why = (
            f"it would unpack to more than {limit >> 20} MiB, and is damaged or a trap"
        )
        raise unreadable(path, what, why)


def unpack(path: str, what: str, source: IO[bytes], target: IO[bytes]) -> None:
    """Copies a part of the archive `path`, as far as `check_expansion` allows."""
    number = 0
    while chunk := source.read(CHUNK):
        number += len(chunk)
        check_expansion(path, what, number)
        target.write(chunk)


def is_zip(path: str) -> bool:
    """By its beginning: at its end other files may have bytes like an archive's."""
    with open(path, "rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _size(path: str) -> int:
    parts = glob.glob(f"{glob.escape(path)}.data-*") or [path]
    return sum(os.path.getsize(part) for part in parts if os.path.isfile(part))


def read_metadata(prefix: str) -> dict[str, Any]:
    """Returns the JSON object in `prefix`.json; empty if there is no such file.

    Raises:
        ValueError: if it holds anything else, or a known key of another type.
    """
    path = f"{prefix}.json"
    if not os.path.exists(path):
        return {}
    try:
        with open(path, encoding="utf-8-sig") as file:
            metadata = json.load(file)
    except (ValueError, RecursionError) as error:
        # Such as for what is no UTF-8, no JSON, or nested too deeply.
        raise unreadable(path, "the metadata", error) from None
    if not isinstance(metadata, dict):
        raise unreadable(path, "the metadata", "it is not a JSON object")
    metadata_fields.check(metadata, path)
    return metadata


def to_json(metadata: Mapping[str, Any]) -> str:
    """Returns metadata as the text of a file. Raises TypeError if it has no such."""
    try:
        return json.dumps(dict(metadata), indent=2, sort_keys=True) + "\n"
    except (TypeError, ValueError) as error:
        raise TypeError(f"The metadata cannot be written as JSON: {error}.") from None


def write_metadata(prefix: str, metadata: Mapping[str, Any]) -> None:
    """Writes `prefix`.json, whole or not at all."""
    write_text(f"{prefix}.json", to_json(metadata))


def add_metadata(prefix: str, **values: Any) -> None:
    """Adds to what stands in `prefix`.json."""
    write_metadata(prefix, {**read_metadata(prefix), **values})


@contextlib.contextmanager
def draft_directory(path: str) -> Iterator[str]:
    """A temporary directory beside `path`, from which files are moved into place."""
    directory = os.path.dirname(path) or "."
    os.makedirs(directory, exist_ok=True)
    temporary = tempfile.mkdtemp(dir=directory, prefix=_DRAFT)
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def clear_drafts(directory: str) -> None:
    """Removes the temporary directories of processes that were killed."""
    for path in glob.glob(os.path.join(glob.escape(directory), f"{_DRAFT}*")):
        shutil.rmtree(path, ignore_errors=True)


def write_file(path: str, write: Any, metadata: Mapping[str, Any] | None) -> None:
    """Writes a file of weights, and its metadata, that are whole or not there.

    Args:
        path: the file.
        write: a function of the path of a draft.
        metadata: goes to `path`.json; None removes an earlier one.
    """
    document = None if metadata is None else to_json(metadata)
    with draft_directory(path) as temporary:
        draft = os.path.join(temporary, "draft")
        write(draft)
        if document is not None:
            with open(f"{draft}.json", "w", encoding="utf-8") as file:
                file.write(document)
        if os.path.exists(f"{path}.json"):
            os.remove(f"{path}.json")
        move_into_place(draft, path)
        if document is not None:
            move_into_place(f"{draft}.json", f"{path}.json")
