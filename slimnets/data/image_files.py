"""Encoded images in folders, lists of files and TFRecords, each by its index.

Nothing is read but names and lengths until an image is asked for, so that work on
millions of images can begin, or go on, anywhere.
"""

from __future__ import annotations

import dataclasses
import functools
import glob
import os
import pathlib
import struct
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from slimnets.data.bad_records import reason
from slimnets.data.pixel_limit import decode_image

SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp")
# A record of TFRecord is its length (8 bytes), a checksum (4), itself, a checksum (4).
_HEADER, _CHECKSUM = 12, 4
# CRC-32C, Castagnoli's polynomial in reverse, and what TFRecord makes of it.
_POLYNOMIAL, _MASK = 0x82F63B78, 0xA282EAD8


class BadImage(ValueError):
    """An image that cannot be decoded; the message says which, and why."""


@dataclasses.dataclass(frozen=True)
class ImageFile:
    """Where an encoded image lies.

    Attributes:
        name: what it is called: the path in its folder or list, or `file:record`.
        path: the file that holds it.
        offset, length: of its record, in bytes; None for a file of its own.
    """

    name: str
    path: str
    offset: int | None = None
    length: int | None = None

    def read(self, channels: int = 3) -> np.ndarray:
        """Decodes the image: uint8 `[height, width, channels]`.

        Raises:
            BadImage: if it cannot be read or decoded.
        """
        try:
            image = decode_image(self._bytes(), channels)
        except (OSError, tf.errors.OpError, ValueError, KeyError) as error:
            raise BadImage(f"{self.name} is no image: {reason(error)}") from None
        return image.numpy()

    def _bytes(self) -> bytes:
        if self.offset is None:
            return pathlib.Path(self.path).read_bytes()
        record = read_span(self.path, self.offset, self.length)
        try:
            example = tf.train.Example.FromString(record)
        except Exception:  # protobuf's DecodeError has no public home in TensorFlow.
            raise ValueError("the record is no tf.train.Example") from None
        values = example.features.feature["image/encoded"].bytes_list.value
        if not values:
            raise ValueError("the record has no feature 'image/encoded'")
        return values[0]


def find_images(path: str | os.PathLike) -> list[ImageFile]:
    """Returns the images at `path`, in an order that does not change.

    Args:
        path: a folder, which is searched with all below it; a text file that lists
            images, one a line, relative to itself or absolute; a TFRecord of
            tf.train.Examples with `image/encoded`; or a glob pattern of TFRecords.

    Raises:
        FileNotFoundError: if there is nothing there, or a listed file is missing.
        ValueError: if there are no images, or a TFRecord is cut short.
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        images = _in_folder(path)
    elif os.path.isfile(path):
        images = list(_records(path)) if _is_record(path) else _listed(path)
    else:
        matches = sorted(glob.glob(path))
        if not matches:
            raise FileNotFoundError(f"There is no file or folder {path}.")
        images = [image for match in matches for image in _records(match)]
    if not images:
        raise ValueError(
            f"There are no images in {path}; a folder's are known by "
            f"{', '.join(SUFFIXES)}."
        )
    return images


def _in_folder(folder: str) -> list[ImageFile]:
    root = pathlib.Path(folder)
    names = sorted(
        file.relative_to(root).as_posix()
        for file in root.rglob("*")
        if file.suffix.lower() in SUFFIXES and file.is_file()
    )
    return [ImageFile(name, str(root / name)) for name in names]


def _listed(path: str) -> list[ImageFile]:
    root = pathlib.Path(path).parent
    try:
        lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise ValueError(
            f"{path} is neither an image that can be read "
            f"({', '.join(SUFFIXES)}), nor a TFRecord, nor a text file that lists "
            "images."
        ) from None
    names = [line.strip() for line in lines if line.strip()]
    images = [ImageFile(name, str(root / name)) for name in names]
    for number, image in enumerate(images):
        if not os.path.isfile(image.path):
            raise FileNotFoundError(
                f"{path} lists {image.name} ({number + 1} of {len(images)}), which is "
                "not there."
            )
    return images


def _is_record(path: str) -> bool:
    """Whether the file begins with a length, and its checksum or zeros above it."""
    with open(path, "rb") as file:
        start = file.read(_HEADER)
    whole = len(start) == _HEADER
    return whole and (_is_header(start) or start[5:8] == b"\0\0\0")


def _is_header(header: bytes) -> bool:
    """Whether twelve bytes are the length of a record and the checksum of that."""
    crc, tables = _crc_tables()
    for table, byte in zip(tables, header[:8], strict=True):
        crc ^= table[byte]
    masked = ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF
    return masked.to_bytes(4, "little") == header[8:]


@functools.cache
def _crc_tables() -> tuple[int, list[list[int]]]:
    """The checksum of eight zeros, and what each other value changes of it."""
    plain = list(range(256))
    for _ in range(8):
        plain = [n >> 1 ^ (_POLYNOMIAL if n & 1 else 0) for n in plain]
    tables = [plain]
    for _ in range(7):
        tables.append([plain[n & 0xFF] ^ n >> 8 for n in tables[-1]])
    # To begin with ones is to change the first four bytes.
    zeros = functools.reduce(lambda n, table: n ^ table[0xFF], tables[4:], 0xFFFFFFFF)
    return zeros, tables[::-1]


def _records(path: str) -> Iterator[ImageFile]:
    base = os.path.basename(path)
    for number, (offset, length) in enumerate(record_spans(path).tolist()):
        yield ImageFile(f"{base}:{number}", path, offset, length)


def read_span(path: str, offset: int, length: int) -> bytes:
    """Reads that many bytes of a file from `offset` on."""
    with open(path, "rb", buffering=0) as file:
        return os.pread(file.fileno(), length, offset)


def record_spans(path: str) -> np.ndarray:
    """Returns the offset and length of each record in bytes: int64 `[records, 2]`.

    Only the lengths before the records, with their checksums, are read.

    Raises:
        ValueError: if the file is cut short, damaged, or of another kind.
    """
    size, offset = os.path.getsize(path), 0
    spans: list[tuple[int, int]] = []
    with open(path, "rb", buffering=0) as file:
        while offset < size:
            header = os.pread(file.fileno(), _HEADER, offset)
            if len(header) == _HEADER and not _is_header(header):
                raise ValueError(
                    f"{path} is damaged at the length of record {len(spans)}, or "
                    "compressed, or no TFRecord."
                )
            length = struct.unpack("<Q", header[:8])[0] if len(header) > 8 else size
            start, offset = offset + _HEADER, offset + _HEADER + length + _CHECKSUM
            if offset > size:
                raise ValueError(f"{path} is cut short at record {len(spans)}.")
            spans.append((start, length))
    return np.array(spans, np.int64).reshape(-1, 2)
