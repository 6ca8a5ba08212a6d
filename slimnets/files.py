"""Files: whole or not there, one process's at a time; what exports end in."""

from __future__ import annotations

import contextlib
import csv
import errno
import os
import re
import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import IO

# Of exports by format; a directory has none.
EXPORT_ENDINGS = {
    "saved_model": "",
    "frozen_graph": ".pb",
    "onnx": ".onnx",
    "tflite": ".tflite",
    "openvino": ".xml",
    "stablehlo": ".mlir",
    "keras": ".keras",
}
# How int8 has the ranges of activations from what calibration images reach: all of it,
# or all but the outermost values.
CALIBRATION_METHODS = ("minmax", "percentile")
EXPORT_PRECISIONS = ("float32", "bfloat16", "float16", "int8")
_DRAFT = re.compile(r"\.(.+)\.[0-9a-f]{32}\.part")


@contextlib.contextmanager
def drafted(path: str) -> Iterator[str]:
    """Gives the name of a draft, which becomes the file once the context ends well.

    It is hidden, and nobody else's: several may write a file at a time, of which the
    last one wins.
    """
    folder, name = os.path.split(path)
    draft = os.path.join(folder, f".{name}.{uuid.uuid4().hex}.part")
    try:
        yield draft
        move_into_place(draft, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(draft)


def write_text(path: str, text: str) -> None:
    """Writes a file of text, whole or not at all."""
    with drafted(path) as draft, open(draft, "w", encoding="utf-8") as file:
        file.write(text)


def write_table(path: str, headings: Sequence[str], rows: Iterable[Iterable]) -> None:
    """Writes a CSV file, in which names of files and classes need not be UTF-8."""
    with open(
        path, "w", encoding="utf-8", errors="surrogateescape", newline=""
    ) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(headings)
        writer.writerows(rows)


def remove_drafts(folder: str, names: Collection[str]) -> None:
    """Removes what processes that were killed have left of files of these names."""
    for draft in os.listdir(folder):
        match = _DRAFT.fullmatch(draft)
        if match and match[1] in names:
            with contextlib.suppress(FileNotFoundError):
                os.remove(os.path.join(folder, draft))


def move_into_place(draft: str, path: str) -> None:
    """Moves a file to where another of its name may be, across a power cut too.

    The disk has the file before it gets its name, and the name before this returns.

    Raises:
        OSError: if the disk is full, or fails.
    """
    _flush(draft)
    os.replace(draft, path)
    if os.name != "nt":  # Windows opens no directories.
        _flush(os.path.dirname(path) or ".")


def _flush(path: str) -> None:
    """Returns once the disk has a file, or a directory's names."""
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems over a network cannot.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
            raise
    finally:
        os.close(descriptor)


def try_lock(file: IO) -> bool:
    """Whether no other process has locked the open file; true where there are no
    locks. It is free again when it is closed."""
    try:
        import fcntl
    except ImportError:  # On Windows.
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        # Some file systems over a network have none.
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise
    return True
