"""Files: whole or not there, one process's at a time; what exports end in."""

from __future__ import annotations

import errno
import os
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
