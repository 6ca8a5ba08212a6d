"""NumPy's archives, as BiT's weights come in; never a pickle."""

from __future__ import annotations

import math
import zipfile

import numpy as np

from slimnets.checkpoints.base import (
    Shape,
    WeightsReader,
    check_expansion,
    damaged,
    unreadable,
)

_WHAT = "the .npz file"


class NpzReader(WeightsReader):
    """The arrays of an .npz file."""

    kind = "npz"

    def __init__(self, path: str):
        try:
            # Mapping names to files is cheap; an array is read when it is asked for.
            if not zipfile.is_zipfile(path):
                raise ValueError("it is no archive of arrays")
            self._archive = np.load(path, allow_pickle=False)
            headers = {name: _header(self._archive, name) for name in self._archive}
        except Exception as error:
            # What NumPy raises for a damaged file has many types.
            self.close()
            raise _refused(path, error) from None
        sizes = (math.prod(shape) * dtype.itemsize for shape, dtype in headers.values())
        check_expansion(path, _WHAT, sum(sizes))
        super().__init__(path, {name: shape for name, (shape, _) in headers.items()})

    def close(self) -> None:
        if hasattr(self, "_archive"):
            self._archive.close()

    def read(self, name: str) -> np.ndarray:
        try:
            return self._archive[name]
        except Exception as error:
            raise _refused(self.prefix, error) from None


def _refused(path: str, error: Exception) -> ValueError:
    if "pickle" in str(error) or "Object arrays" in str(error):
        why = "it holds pickled objects, which would run code that comes with it"
        return unreadable(path, _WHAT, f"{why}; refused")
    return damaged(path, _WHAT, error)


def _header(archive: np.lib.npyio.NpzFile, name: str) -> tuple[Shape, np.dtype]:
    """Reads the header of an array only."""
    with archive.zip.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            read = np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    if dtype.hasobject:
        raise ValueError(f"{name!r} is a pickle")
    return shape, dtype
