"""PyTorch's state dicts: .safetensors read and written here, .pth and .bin by torch.

Source: the format of .safetensors, github.com/huggingface/safetensors: the length of
a header, the header in JSON, then the values one after the other.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import struct
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets import extras
from slimnets.checkpoints.base import (
    Shape,
    WeightsReader,
    damaged,
    is_zip,
    unreadable,
    write_file,
)
from slimnets.listing import one_line

_WHAT = "the .safetensors file"
_BFLOAT16 = np.dtype(tf.bfloat16.as_numpy_dtype)
_DTYPES = {
    "BOOL": np.dtype(np.bool_),
    "U8": np.dtype(np.uint8),
    "I8": np.dtype(np.int8),
    "I16": np.dtype(np.int16),
    "I32": np.dtype(np.int32),
    "I64": np.dtype(np.int64),
    "F16": np.dtype(np.float16),
    "BF16": _BFLOAT16,
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
}
_LONGEST_HEADER = 100 * 2**20
# Where training scripts keep the state dict inside of what they save.
_STATE_DICTS = ("state_dict", "model_state_dict", "model", "net", "module")


class SafetensorsReader(WeightsReader):
    """The tensors of a .safetensors file."""

    kind = "torch"

    def __init__(self, path: str):
        self._file = open(path, "rb")  # noqa: SIM115 - closed with the reader
        try:
            self._entries = self._read_header(path)
        except (ValueError, TypeError, KeyError, struct.error) as error:
            self.close()
            raise unreadable(path, _WHAT, error) from None
        super().__init__(path, {n: shape for n, (_, shape, _) in self._entries.items()})

    def close(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()

    def _read_header(self, path: str) -> dict[str, tuple[np.dtype, Shape, int]]:
        size = os.path.getsize(path)
        (length,) = struct.unpack("<Q", self._file.read(8))
        if length > min(_LONGEST_HEADER, size - 8):
            raise ValueError("it is damaged or cut short: its header is not whole")
        header = json.loads(self._file.read(length))
        header.pop("__metadata__", None)
        start = 8 + length
        return {n: _entry(n, header[n], start, size) for n in header}

    def read(self, name: str) -> np.ndarray:
        dtype, shape, position = self._entries[name]
        value = np.empty(shape, dtype)
        if value.size:
            self._file.seek(position)
            view = value.reshape(-1).view(np.uint8).data
            if self._file.readinto(view) != value.nbytes:
                raise unreadable(self.prefix, _WHAT, f"{name!r} is cut short")
        return value


def is_safetensors(start: bytes) -> bool:
    """Whether a file that begins with these nine bytes is a .safetensors file."""
    if len(start) < 9 or start[8:9] != b"{":
        return False
    return struct.unpack("<Q", start[:8])[0] <= _LONGEST_HEADER


def _entry(
    name: str, entry: Mapping[str, Any], start: int, size: int
) -> tuple[np.dtype, Shape, int]:
    dtype = _DTYPES.get(entry["dtype"])
    if dtype is None:
        raise ValueError(
            f"{name!r} is of type {entry['dtype']}; known are {', '.join(_DTYPES)}"
        )
    shape = tuple(entry["shape"])
    first, last = entry["data_offsets"]
    if any(type(n) is not int or n < 0 for n in (*shape, first, last)):
        raise ValueError(f"the entry of {name!r} is damaged")
    if last - first != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name!r} has another size than its shape and type say")
    if start + last > size:
        raise ValueError(f"it is damaged or cut short: {name!r} ends after the file")
    return dtype, shape, start + first


class PickleReader(WeightsReader):
    """The tensors of a file that torch.save wrote, read without running its code."""

    kind = "torch"

    def __init__(self, path: str):
        self._state = _state_dict(path, _load_pickle(path))
        super().__init__(path, {n: tuple(t.shape) for n, t in self._state.items()})

    def read(self, name: str) -> np.ndarray:
        import torch

        value = self._state[name].detach()
        if value.dtype == torch.bfloat16:
            return value.view(torch.int16).numpy().view(_BFLOAT16)
        return value.numpy()


def _load_pickle(path: str) -> Any:
    torch = extras.require(f"{path} needs", "torch", "torch")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Only the newer format, a zip archive, can be mapped into memory.
            return torch.load(
                path, map_location="cpu", weights_only=True, mmap=is_zip(path)
            )
    except pickle.UnpicklingError as error:
        why = (
            "its pickle is damaged, or asks for more than tensors, which would run "
            f"code that comes with it; refused ({_asked_for(str(error))})"
        )
        raise unreadable(path, "the PyTorch file", why) from None
    except Exception as error:
        # What torch raises for a damaged file has many types.
        raise damaged(path, "the PyTorch file", error) from error


def _asked_for(text: str) -> str:
    """The sentence of torch's long message that tells what is in the file."""
    lines = [line.strip() for line in text.splitlines()]
    words = ("GLOBAL", "operand", "Unsupported")
    found = [line for line in lines if any(word in line for word in words)]
    return one_line(found[-1] if found else text, 100)


def _state_dict(path: str, loaded: Any) -> dict[str, Any]:
    """Finds the one dict of tensors in what torch.save was given."""
    if _tensors(loaded):
        return _tensors(loaded)
    inner = loaded if isinstance(loaded, Mapping) else {}
    found = [key for key in _STATE_DICTS if _tensors(inner.get(key))]
    if len(found) == 1:
        return _tensors(inner[found[0]])
    what = f"has {', '.join(found)}" if found else f"is a {type(loaded).__name__}"
    raise unreadable(
        path,
        "the PyTorch file",
        f"it should be one dict of tensors, perhaps under {', '.join(_STATE_DICTS)}; "
        f"it {what}",
    )


def _tensors(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not value:
        return {}
    if not all(hasattr(v, "detach") and hasattr(v, "shape") for v in value.values()):
        return {}
    return {str(name): tensor for name, tensor in value.items()}


def write_safetensors(
    path: str,
    shapes: Mapping[str, tuple[np.dtype, Shape]],
    read: Callable[[str], np.ndarray],
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Writes a .safetensors file, one tensor in memory at a time.

    Args:
        path: the file.
        shapes: type and shape of each tensor.
        read: gives a tensor's value.
        metadata: goes to `path`.json.
    """
    codes = {dtype: code for code, dtype in _DTYPES.items()}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    position = 0
    # Large types first, so that every tensor is aligned.
    names = sorted(shapes, key=lambda n: (-shapes[n][0].itemsize, n))
    for name in names:
        dtype, shape = shapes[name]
        end = position + math.prod(shape) * dtype.itemsize
        header[name] = {
            "dtype": codes[dtype],
            "shape": list(shape),
            "data_offsets": [position, end],
        }
        position = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)

    def write(draft: str) -> None:
        with open(draft, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for name in names:
                value = np.ascontiguousarray(read(name)).reshape(-1)
                file.write(value.view(np.uint8).data)

    write_file(path, write, metadata)
