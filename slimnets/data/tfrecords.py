"""TFRecord files: where their records lie, read one by one, and what is in one."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets.data.remote_files import open_file, size_of

# A record of TFRecord is its length (8 bytes), a checksum (4), itself, a checksum (4).
_HEADER, _CHECKSUM = 12, 4
# CRC-32C, Castagnoli's polynomial in reverse, and what TFRecord makes of it.
_POLYNOMIAL, _MASK = 0x82F63B78, 0xA282EAD8
_READERS = 16


@dataclasses.dataclass(frozen=True)
class RecordFiles:
    """The records of some files, each by its index.

    Attributes:
        paths: the files.
        places: of each record which of the files, which record of that, its offset and
            its length in bytes: int64 `[records, 4]`.
    """

    paths: Sequence[str]
    places: np.ndarray

    @classmethod
    def of(cls, paths: Sequence[str]) -> RecordFiles:
        """All records of files, whose lengths alone are read."""
        with concurrent.futures.ThreadPoolExecutor(_READERS) as pool:
            spans = list(pool.map(record_spans, paths))
        parts = [
            np.column_stack([np.full(len(part), file), np.arange(len(part)), part])
            for file, part in enumerate(spans)
        ]
        return cls(paths, np.concatenate([np.zeros([0, 4], np.int64), *parts]))

    def __len__(self) -> int:
        return len(self.places)

    def name(self, index: int) -> str:
        """What a record is called: its file, and its number in that."""
        file, record, *_ = self.places[index]
        return f"{self.paths[file]}:{record}"

    def read(self, index: int) -> bytes:
        """A record's bytes."""
        file, _, offset, length = self.places[index].tolist()
        return read_span(self.paths[file], offset, length)

    def chosen(self, indices: np.ndarray) -> RecordFiles:
        """Some of the records."""
        return RecordFiles(self.paths, self.places[indices])


def read_span(path: str, offset: int, length: int) -> bytes:
    """Reads that many bytes of a file from `offset` on."""
    with open_file(path) as file:
        file.seek(offset)
        return file.read(length)


def record_spans(path: str) -> np.ndarray:
    """Returns the offset and length of each record in bytes: int64 `[records, 2]`.

    Only the lengths before the records, with their checksums, are read.

    Raises:
        ValueError: if the file is cut short, damaged, or of another kind.
    """
    size, offset = size_of(path), 0
    spans: list[tuple[int, int]] = []
    with open_file(path) as file:
        while offset < size:
            file.seek(offset)
            header = file.read(_HEADER)
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


def is_record_file(path: str) -> bool:
    """Whether the file begins with a length, and its checksum or zeros above it."""
    with open_file(path) as file:
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


def features_in(record: bytes) -> Mapping[str, Any]:
    """The features of a record, `tf.train.Feature` by name.

    Raises:
        ValueError: if it is no tf.train.Example.
    """
    try:
        return tf.train.Example.FromString(record).features.feature
    except Exception:  # protobuf's DecodeError has no public home in TensorFlow.
        raise ValueError("the record is no tf.train.Example") from None


def record_of(features: Mapping[str, tf.train.Feature]) -> bytes:
    """A record with these features; the same ones give the same bytes."""
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString(deterministic=True)


def texts(*values: bytes) -> tf.train.Feature:
    """A feature of bytes."""
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def wholes(*values: int) -> tf.train.Feature:
    """A feature of whole numbers."""
    return tf.train.Feature(int64_list=tf.train.Int64List(value=map(int, values)))


def floats(values: Iterable[float]) -> tf.train.Feature:
    """A feature of numbers."""
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))
