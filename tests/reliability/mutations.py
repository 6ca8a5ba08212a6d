"""Damage to files, from a seed: what a bad disk, a bad line or a stranger would do."""

import gzip
import io
import struct
import zipfile
import zlib

import numpy as np

_PNG = b"\x89PNG\r\n\x1a\n"
HUGE = (
    b"\xff" * 8,
    b"\x7f" + b"\xff" * 7,
    (2**62).to_bytes(8, "little"),
    (2**31 - 1).to_bytes(4, "little"),
    (2**31 - 1).to_bytes(4, "big"),
)


def mutated(rng: np.random.Generator, original: bytes) -> bytes:
    """Returns `original` with one to eight kinds of damage.

    A zip archive, a gzip file or a PNG is in half of the cases damaged inside, so that
    its checksums are right and what it holds is read.
    """
    if rng.random() < 0.5:
        if original.startswith(b"PK\x03\x04"):
            return _inside_zip(rng, original)
        if original.startswith(b"\x1f\x8b"):
            return gzip.compress(_damaged(rng, gzip.decompress(original)), mtime=0)
        if original.startswith(_PNG):
            return _inside_png(rng, original)
    return _damaged(rng, original)


def _inside_zip(rng: np.random.Generator, original: bytes) -> bytes:
    result = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(original)) as source,
        zipfile.ZipFile(result, "w") as target,
    ):
        names = source.namelist()
        chosen = set(rng.choice(names, size=min(2, len(names)), replace=False))
        for name in names:
            content = source.read(name)
            target.writestr(name, _damaged(rng, content) if name in chosen else content)
    return result.getvalue()


def _inside_png(rng: np.random.Generator, original: bytes) -> bytes:
    chunks, place = [], len(_PNG)
    while place < len(original):
        (length,) = struct.unpack_from(">I", original, place)
        chunks.append(original[place + 4 : place + 8 + length])
        place += 12 + length
    chosen = int(rng.integers(len(chunks)))
    content = _damaged(rng, chunks[chosen][4:])
    chunks[chosen] = chunks[chosen][:4] + content
    if rng.random() < 0.2:
        rng.shuffle(chunks)
    return _PNG + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in chunks
    )


def _damaged(rng: np.random.Generator, original: bytes) -> bytes:
    data = bytearray(original)
    for _ in range(rng.integers(1, 9)):
        _KINDS[rng.integers(len(_KINDS))](rng, data)
    return bytes(data)


def _place(rng: np.random.Generator, data: bytearray) -> int:
    """Mostly near the beginning or the end, where headers and directories lie."""
    size = len(data)
    if not size:
        return 0
    near = int(rng.integers(min(size, 512)))
    return (near, size - 1 - near, int(rng.integers(size)))[rng.integers(3)]


def _flip(rng, data):
    if data:
        data[_place(rng, data)] ^= 1 << int(rng.integers(8))


def _byte(rng, data):
    if data:
        data[_place(rng, data)] = int(rng.integers(256))


def _cut(rng, data):
    # Rarely, or most files would be short and nothing else.
    if rng.random() < 0.3:
        del data[_place(rng, data) :]


def _drop(rng, data):
    start = _place(rng, data)
    del data[start : start + int(rng.integers(1, 32))]


def _insert(rng, data):
    start = _place(rng, data)
    data[start:start] = rng.bytes(int(rng.integers(1, 32)))


def _huge(rng, data):
    start, value = _place(rng, data), HUGE[rng.integers(len(HUGE))]
    data[start : start + len(value)] = value


def _digit(rng, data):
    """Changes a number in a text, such as a shape in a header."""
    digits = [i for i, byte in enumerate(data[:4096]) if 48 <= byte < 58]
    if digits:
        place = digits[rng.integers(len(digits))]
        number = (b"9" * int(rng.integers(1, 20)), b"-1", b"0", b"1e9")
        data[place : place + 1] = number[rng.integers(len(number))]


def _copy(rng, data):
    start, length = _place(rng, data), int(rng.integers(1, 256))
    target = _place(rng, data)
    data[target : target + length] = data[start : start + length]


_KINDS = (_flip, _byte, _cut, _drop, _insert, _huge, _digit, _copy)
