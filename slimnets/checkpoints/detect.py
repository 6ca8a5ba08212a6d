"""Finds out what kind of file holds the weights, by its content."""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Callable

from slimnets.checkpoints.archives import ArchiveReader
from slimnets.checkpoints.base import WeightsReader, damaged, unreadable
from slimnets.checkpoints.frozen_graphs import FrozenGraphReader
from slimnets.checkpoints.keras_files import WEIGHTS_IN_ARCHIVE, KerasReader
from slimnets.checkpoints.npz_files import NpzReader
from slimnets.checkpoints.readers import CheckpointReader, checkpoint_prefix
from slimnets.checkpoints.torch_files import (
    PickleReader,
    SafetensorsReader,
    is_safetensors,
)
from slimnets.weights import located

# All of the first bytes that a kind of file begins with, and what reads such a file.
_MAGIC: tuple[tuple[bytes, Callable[[str], WeightsReader]], ...] = (
    (b"\x89HDF\r\n\x1a\n", KerasReader),
    (b"\x1f\x8b\x08", ArchiveReader),
    *((b"\x80" + bytes([protocol]), PickleReader) for protocol in (2, 3, 4, 5)),
)
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")  # The second is of an empty one.
# For files that are too short to tell, so that the error is of the right kind.
_ENDINGS: tuple[tuple[str, Callable[[str], WeightsReader]], ...] = (
    (".safetensors", SafetensorsReader),
    (".h5", KerasReader),
    (".keras", KerasReader),
    (".npz", NpzReader),
    (".pth", PickleReader),
    (".pt", PickleReader),
    (".bin", PickleReader),
    (".tar.gz", ArchiveReader),
    (".tgz", ArchiveReader),
    (".tar", ArchiveReader),
    (".pb", FrozenGraphReader),
)


def read_checkpoint(path: str | os.PathLike) -> WeightsReader:
    """Opens the weights at `path`.

    Args:
        path: a file of Keras (.h5, .weights.h5, .keras), PyTorch (.safetensors, .pth,
            .bin), NumPy (.npz), a frozen graph (.pb) or a checkpoint in a tar archive;
            or a TensorFlow checkpoint: a prefix, one of its own files, a directory, of
            which the latest checkpoint is taken, or the directory of a SavedModel; or
            the name of public weights, `timm/resnet50`, see `slimnets.weights`.

    Returns:
        A dict from names to arrays, each of which is read when it is asked for.

    Raises:
        FileNotFoundError: if there is nothing there.
        ValueError: if it cannot be read: cut short, damaged, or of another kind.
        ImportError: if its kind needs a package that is not installed.
        OSError: if public weights cannot be fetched.
    """
    path = located(os.fspath(path))
    if os.path.isfile(path) and not os.path.exists(f"{path}.index"):
        reader = _reader_of(path)
        if reader is not None:
            return reader(path)
    return CheckpointReader(checkpoint_prefix(path))


def _reader_of(path: str) -> Callable[[str], WeightsReader] | None:
    with open(path, "rb") as file:
        start = file.read(9)
    # Its first bytes are a length, which may be what others begin with.
    if is_safetensors(start):
        return SafetensorsReader
    if start.startswith(_ZIP):
        return _zip_reader(path)
    for magic, reader in _MAGIC:
        if start.startswith(magic):
            return reader
    for ending, reader in _ENDINGS:
        if path.endswith(ending):
            return reader
    return ArchiveReader if tarfile.is_tarfile(path) else None


def _zip_reader(path: str) -> Callable[[str], WeightsReader]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception as error:
        # Such as NotImplementedError for a version of the format.
        raise damaged(path, "the zip archive", error) from None
    if WEIGHTS_IN_ARCHIVE in names:
        return KerasReader
    if any(name.endswith("data.pkl") for name in names):
        return PickleReader
    if names and all(name.endswith(".npy") for name in names):
        return NpzReader
    why = f"it holds neither PyTorch's, Keras's nor NumPy's weights, but {names[:3]}"
    raise unreadable(path, "the zip archive", why)
