"""Checkpoints inside of a .tar.gz, as TF-Slim's were published; read safely."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import tarfile
import tempfile
import weakref
import zlib
from typing import IO

from slimnets.checkpoints.base import (
    CHUNK,
    check_expansion,
    damaged,
    read_metadata,
    unpack,
    unreadable,
)
from slimnets.checkpoints.readers import SUFFIX, CheckpointReader

_WHAT = "the archive"
_PART = re.compile(r".*(\.ckpt(-\d+)?|\.index|\.data-\d{5}-of-\d{5})")


class ArchiveReader(CheckpointReader):
    """The one checkpoint in a tar archive, whose files are unpacked to a temporary
    directory that lives as long as this object."""

    def __init__(self, path: str):
        directory = tempfile.mkdtemp(prefix="slimnets-")
        weakref.finalize(self, shutil.rmtree, directory, ignore_errors=True)
        own = read_metadata(path)
        try:
            prefixes = _unpack(path, directory, own.get("inside_archive"))
        except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
            raise damaged(path, _WHAT, error) from error
        if len(prefixes) != 1:
            found = ", ".join(sorted(map(os.path.basename, prefixes))) or "none"
            why = f"it should hold one checkpoint; it holds {found}"
            raise unreadable(path, _WHAT, why)
        super().__init__(prefixes.pop())
        self.prefix = path
        self.metadata = own or self.metadata


def _unpack(path: str, directory: str, inside: str | None) -> set[str]:
    """Unpacks what belongs to a checkpoint, and nothing outside of `directory`; of the
    files in one folder, if it is given."""
    names = set()
    with _opened(path) as file, tarfile.open(fileobj=file, mode="r:") as archive:
        for member in archive:
            _check(path, member)
            # What is not wanted is unpacked too, to find what comes after it.
            check_expansion(path, _WHAT, member.offset_data + member.size)
            if not member.isfile() or not _PART.fullmatch(member.name):
                continue
            if inside and inside not in member.name.split("/")[:-1]:
                continue
            # A member's own directory is of no use, and its basename is safe.
            name = os.path.basename(member.name)
            target = os.path.join(directory, name)
            with archive.extractfile(member) as source, open(target, "xb") as part:
                unpack(path, _WHAT, source, part)
            names.add(os.path.join(directory, SUFFIX.sub("", name)))
        # Only at its end does a compressed file tell whether it was whole.
        while file.read(CHUNK):
            check_expansion(path, _WHAT, file.tell())
    return names


def _opened(path: str) -> IO[bytes]:
    with open(path, "rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if compressed else open(path, "rb")


def _check(path: str, member: tarfile.TarInfo) -> None:
    parts = member.name.replace("\\", "/").split("/")
    if ".." in parts or os.path.isabs(member.name):
        why = f"its member {member.name!r} would lie outside of it; refused"
        raise unreadable(path, _WHAT, why)
    if not (member.isfile() or member.isdir()):
        why = f"its member {member.name!r} is no plain file; refused"
        raise unreadable(path, _WHAT, why)
