"""Keras's files: .h5 in both layouts, .weights.h5 and .keras.

Names are `LAYER/VARIABLE`, such as `conv1_conv/kernel`; of a model inside a model
`MODEL/LAYER/VARIABLE`.

Source: keras/src/saving/saving_lib.py (.weights.h5, .keras) and
keras/src/legacy/saving/legacy_h5_format.py (.h5), Apache 2.0.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets.checkpoints.base import (
    WeightsReader,
    extra_missing,
    one_line,
    unreadable,
    write_file,
)

_WHAT = "the Keras file"
WEIGHTS_IN_ARCHIVE = "model.weights.h5"
# A layer's variables are numbered in .weights.h5; how many there are, and whether the
# first is a vector, tells their names.
_NORM = ("gamma", "beta", "moving_mean", "moving_variance")
_DENSE = ("kernel", "bias")
_ORDER = {name: str(i) for names in (_NORM, _DENSE) for i, name in enumerate(names)}


class KerasReader(WeightsReader):
    """The weights in a file of Keras's, in any of its formats."""

    kind = "keras"

    def __init__(self, path: str):
        try:
            import h5py
        except ImportError:
            raise extra_missing("h5py", path, "weights") from None
        self._archived = None
        try:
            if zipfile.is_zipfile(path):
                self._archived = _unpacked(path)
            self._file = h5py.File(self._archived or path, "r")
            self._datasets = _datasets(self._file)
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            self.close()
            why = f"it is no HDF5 file, or damaged or cut short ({one_line(error)})"
            raise unreadable(path, _WHAT, why, 300) from None
        if not self._datasets:
            self.close()
            raise unreadable(path, _WHAT, "it is an HDF5 file without Keras's weights")
        super().__init__(path, {n: d.shape for n, d in self._datasets.items()})

    def close(self) -> None:
        for name in ("_file", "_archived"):
            if getattr(self, name, None) is not None:
                getattr(self, name).close()

    def read(self, name: str) -> np.ndarray:
        dataset = self._datasets[name]
        try:
            value = np.asarray(dataset[()])
        except OSError as error:
            why = f"{name!r} is damaged or cut short ({one_line(error)})"
            raise unreadable(self.prefix, _WHAT, why) from error
        if dataset.attrs.get("dtype") == "bfloat16":
            return value.view(tf.bfloat16.as_numpy_dtype)
        return value


def _unpacked(path: str) -> Any:
    """Returns an open temporary file with the weights of a .keras archive."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the reader
    try:
        with zipfile.ZipFile(path) as archive, archive.open(WEIGHTS_IN_ARCHIVE) as part:
            shutil.copyfileobj(part, file)
    except BaseException:
        file.close()
        raise
    return file


def _datasets(file: Any) -> dict[str, Any]:
    root = file.get("model_weights", file)
    return _legacy(root) if "layer_names" in root.attrs else _numbered(file)


def _legacy(root: Any) -> dict[str, Any]:
    """Those of .h5: each layer's group lists the names of its weights."""
    datasets = {}
    for layer in _texts(root.attrs, "layer_names"):
        weights = _texts(root[layer].attrs, "weight_names")
        last = {name: name.split("/")[-1].split(":")[0] for name in weights}
        counts = Counter(last.values())
        for name in weights:
            whole = name.split(":")[0].removeprefix(f"{layer}/")
            part = last[name] if counts[last[name]] == 1 else whole
            datasets[f"{layer}/{part}"] = root[layer][name]
    return datasets


def _texts(attributes: Any, name: str) -> list[str]:
    """A list that may lie in several attributes, because each has a limit in HDF5."""
    parts = [attributes[name]] if name in attributes else []
    while f"{name}{len(parts)}" in attributes:
        parts.append(attributes[f"{name}{len(parts)}"])
    texts = [text for part in parts for text in part]
    return [text.decode() if isinstance(text, bytes) else str(text) for text in texts]


def _numbered(file: Any) -> dict[str, Any]:
    """Those of .weights.h5: LAYERS/vars/0, 1 ..., where `vars` may tell a name."""
    groups: dict[str, dict[str, Any]] = {}

    def visit(path: str, item: Any) -> None:
        parent, _, number = path.rpartition("/")
        if hasattr(item, "shape") and parent.rpartition("/")[2] == "vars":
            groups.setdefault(parent, {})[number] = item

    file.visititems(visit)
    datasets = {}
    for parent, items in groups.items():
        layer = _layer_name(file, parent)
        for number, item in items.items():
            datasets[f"{layer}/{_part(items, number)}"] = item
    return datasets


def _layer_name(file: Any, parent: str) -> str:
    """`resnet50/conv1_conv` for `layers/functional/layers/conv2d/vars`."""
    parts = parent.split("/")[:-1]
    names = []
    for index, part in enumerate(parts):
        if part == "layers" and index + 1 < len(parts):
            continue
        # An optimizer has a name too, but is known by its place.
        group = "/".join([*parts[: index + 1], "vars"])
        own = file[group].attrs if group in file and parts[0] == "layers" else {}
        names.append(str(own.get("name", part)))
    return "/".join(names)


def _part(items: Mapping[str, Any], number: str) -> str:
    names: tuple[str, ...] = ()
    if "0" in items:
        is_norm = len(items) == len(_NORM) and len(items["0"].shape) == 1
        is_kernel = len(items) <= len(_DENSE) and len(items["0"].shape) > 1
        names = _NORM if is_norm else _DENSE if is_kernel else ()
    position = int(number) if number.isdigit() else len(names)
    return names[position] if position < len(names) else number


def write_keras(
    path: str,
    names: Mapping[str, tuple[str, str]],
    read: Callable[[str], np.ndarray],
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Writes a .weights.h5 file, as Model.save_weights of Keras does.

    Args:
        path: the file.
        names: for each tensor the layer's name, such as `conv1_conv`, and its place
            among the layers with the variable's name: `conv2d_3/kernel`.
        read: gives a tensor's value.
        metadata: goes to `path`.json.
    """
    try:
        import h5py
    except ImportError:
        raise extra_missing("h5py", path, "weights") from None

    def write(draft: str) -> None:
        with h5py.File(draft, "w") as file:
            for tensor, (layer, place) in names.items():
                group, _, part = place.rpartition("/")
                variables = file.require_group(f"layers/{group}/vars")
                variables.attrs["name"] = layer
                variables[_ORDER[part]] = read(tensor)

    write_file(path, write, metadata)
