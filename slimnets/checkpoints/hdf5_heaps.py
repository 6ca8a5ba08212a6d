"""Refuses HDF5 files on whose heaps the HDF5 library would hang or fill the memory.

Texts of variable length lie in collections of objects. The library takes memory for
what a collection says is its size, and steps from object to object by the sizes in the
file; it does not notice when it no longer moves, and nothing can then stop it but the
end of the process.

Source: HDF5 File Format Specification 3.0, section III.E, Global Heap.
"""

from __future__ import annotations

import mmap
import struct
from typing import IO

_SIGNATURE = b"GCOL\x01"  # With the version.
_HEADER = 16  # Of a collection: signature and size; of an object: number to size.


def check_heaps(file: IO[bytes]) -> None:
    """Raises ValueError if a collection in an HDF5 file cannot be walked through."""
    try:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError:
        return  # An empty file.
    with content:
        start = content.find(_SIGNATURE)
        while start >= 0:
            _check_collection(content, start)
            start = content.find(_SIGNATURE, start + 1)


def _check_collection(content: mmap.mmap, start: int) -> None:
    if start + _HEADER > len(content):
        return
    (size,) = struct.unpack_from("<Q", content, start + 8)
    end = start + size
    if end > len(content):
        raise ValueError("it is damaged or cut short: a heap in it ends after it")
    place = start + _HEADER
    while place + _HEADER <= end:
        number, _, length = struct.unpack_from("<HH4xQ", content, place)
        # The free space, number 0, counts its own header.
        step = _HEADER + -(-length // 8) * 8 if number else length
        if step < _HEADER:
            raise ValueError("it is damaged: a heap in it has no end")
        place += step
