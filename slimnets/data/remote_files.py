"""Files at addresses, such as gs://bucket/folder or s3://bucket/folder.

TensorFlow reads what one of its file systems is for (gs:// and hdfs:// among them, and
more with tensorflow-io); what it has none for, Ray's does, which is pyarrow's (s3://,
gs://, abfs://, hdfs://). Keys and regions come from where these look for them. What is
an image is told by its name: to look into each of a million objects would be slow.
"""

from __future__ import annotations

import fnmatch
import functools
import glob
import os
import posixpath
import re
from typing import IO, Any

import tensorflow as tf

from slimnets import extras

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)


def is_remote(path: str) -> bool:
    """Whether it is an address, and no path of this machine."""
    return _ADDRESS.match(path) is not None


def open_file(path: str) -> IO[bytes]:
    """Opens a file, of this machine or an address, to read from any place of it."""
    if not is_remote(path):
        return open(path, "rb", buffering=0)
    return _system_of(path).open(path)


def size_of(path: str) -> int:
    """The size of a file in bytes."""
    return _system_of(path).size(path) if is_remote(path) else os.path.getsize(path)


def find_remote(path: str) -> tuple[str, list[str]]:
    """What an address names: `folder` and all files below it, relative to it; `file`
    and itself; or `pattern` and all files that match it. Files are sorted.

    Raises:
        FileNotFoundError: if there is nothing.
        ImportError: if only pyarrow has a file system for it, and is not installed.
    """
    system = _system_of(path)
    if system.is_folder(path):
        return "folder", sorted(system.files_below(path))
    if not glob.has_magic(path):
        if system.is_file(path):
            return "file", [path]
    elif found := system.matches(path):
        return "pattern", sorted(found)
    raise FileNotFoundError(f"There is no file or folder {path}.")


class _TensorFlows:
    """tf.io.gfile."""

    def open(self, path: str) -> Any:
        return tf.io.gfile.GFile(path, "rb")

    def size(self, path: str) -> int:
        return tf.io.gfile.stat(path).length

    def is_folder(self, path: str) -> bool:
        return tf.io.gfile.isdir(path)

    def is_file(self, path: str) -> bool:
        return tf.io.gfile.exists(path)

    def files_below(self, root: str) -> list[str]:
        start = len(root.rstrip("/")) + 1
        return [
            posixpath.join(folder, name)[start:]
            for folder, _, names in tf.io.gfile.walk(root)
            for name in names
        ]

    def matches(self, pattern: str) -> list[str]:
        return [p for p in tf.io.gfile.glob(pattern) if not tf.io.gfile.isdir(p)]


class _Arrows:
    """pyarrow.fs, for the addresses of one store."""

    def __init__(self, scheme: str, store: str):
        address = f"{scheme}://{store}"
        fs = extras.require(f"To read {address} needs", "ray", "pyarrow.fs")
        self._files, inner = fs.FileSystem.from_uri(f"{address}/")
        # What stands before a path of the file system's own, of which the store's name
        # is a part or not.
        self._before = f"{scheme}://" if inner.startswith(store) else address
        self._selector, self._type = fs.FileSelector, fs.FileType

    def open(self, path: str) -> Any:
        return self._files.open_input_file(self._inner(path))

    def size(self, path: str) -> int:
        return self._info(path).size

    def is_folder(self, path: str) -> bool:
        return self._info(path).type == self._type.Directory

    def is_file(self, path: str) -> bool:
        return self._info(path).type == self._type.File

    def files_below(self, root: str) -> list[str]:
        start = len(self._inner(root).rstrip("/")) + 1
        return [path[start:] for path in self._all(self._inner(root))]

    def matches(self, pattern: str) -> list[str]:
        inner = self._inner(pattern)
        before, *_ = re.split(r"[*?\[]", inner)
        folder = posixpath.dirname(before)
        return [
            self._before + path
            for path in self._all(folder)
            if path.count("/") == inner.count("/") and fnmatch.fnmatch(path, inner)
        ]

    def _all(self, folder: str) -> list[str]:
        found = self._files.get_file_info(self._selector(folder, recursive=True))
        return [info.path for info in found if info.type == self._type.File]

    def _info(self, path: str) -> Any:
        return self._files.get_file_info(self._inner(path))

    def _inner(self, path: str) -> str:
        return path.removeprefix(self._before)


def _system_of(path: str) -> _TensorFlows | _Arrows:
    scheme, _, rest = path.partition("://")
    # Of one store all addresses are read alike.
    return _system(scheme, rest.partition("/")[0])


@functools.cache
def _system(scheme: str, store: str) -> _TensorFlows | _Arrows:
    try:
        tf.io.gfile.exists(f"{scheme}://{store}/")
    except tf.errors.UnimplementedError:
        return _Arrows(scheme, store)
    except tf.errors.OpError:  # It has one, and tells so when it reads.
        pass
    return _TensorFlows()
