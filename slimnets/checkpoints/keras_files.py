"""Keras's files: .h5 in both layouts, .weights.h5 and .keras.

Names are `LAYER/VARIABLE`, such as `conv1_conv/kernel`; of a model inside a model
`MODEL/LAYER/VARIABLE`.

Source: keras/src/saving/saving_lib.py (.weights.h5, .keras) and
keras/src/legacy/saving/legacy_h5_format.py (.h5), Apache 2.0.
"""

from __future__ import annotations

import math
import re
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets import extras
from slimnets.checkpoints.base import (
    WeightsReader,
    check_expansion,
    damaged,
    is_zip,
    unpack,
    unreadable,
    write_file,
)
from slimnets.checkpoints.hdf5_heaps import check_heaps

_WHAT = "the Keras file"
WEIGHTS_IN_ARCHIVE = "model.weights.h5"
# A layer's variables are numbered in .weights.h5; how many there are, and whether the
# first is a vector, tells their names.
_NORM = ("gamma", "beta", "moving_mean", "moving_variance")
_UNSCALED = _NORM[1:]
_DENSE = ("kernel", "bias")
_SEPARABLE = ("depthwise_kernel", "pointwise_kernel")
# Bytes of an attribute; HDF5 allows 64 KiB.
_LARGEST_TEXTS = 2**17
# A layer scale's variable in .h5.
_NAMELESS = re.compile(r"^[vV]ariable(_\d+)?$")
_ORDER = {
    name: str(i)
    for names in (_NORM, _DENSE, _SEPARABLE)
    for i, name in enumerate(names)
}


class KerasReader(WeightsReader):
    """The weights in a file of Keras's, in any of its formats."""

    kind = "keras"

    def __init__(self, path: str):
        h5py = extras.require(f"{path} needs", "weights", "h5py")
        self._archived = None
        try:
            if is_zip(path):
                self._archived = _unpacked(path)
                check_heaps(self._archived)
            else:
                with open(path, "rb") as file:
                    check_heaps(file)
            self._file = h5py.File(self._archived or path, "r")
            self._datasets = _datasets(self._file)
            sizes = [_bytes_inside(dataset) for dataset in self._datasets.values()]
        except Exception as error:
            # What h5py raises for a damaged file has many types.
            self.close()
            raise damaged(path, _WHAT, error, "it is no HDF5 file, or") from None
        check_expansion(path, _WHAT, sum(sizes))
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
        except Exception as error:
            raise damaged(self.prefix, _WHAT, error, f"{name!r} is") from error
        if dataset.attrs.get("dtype") == "bfloat16":
            return value.view(tf.bfloat16.as_numpy_dtype)
        return value


def _unpacked(path: str) -> Any:
    """Returns an open temporary file with the weights of a .keras archive."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the reader
    try:
        with zipfile.ZipFile(path) as archive, archive.open(WEIGHTS_IN_ARCHIVE) as part:
            unpack(path, _WHAT, part, file)
    except BaseException:
        file.close()
        raise
    return file


def _datasets(file: Any) -> dict[str, Any]:
    root = _inside(file, "model_weights") if "model_weights" in file else file
    return _legacy(root) if "layer_names" in root.attrs else _numbered(file)


def _legacy(root: Any) -> dict[str, Any]:
    """Those of .h5: each layer's group lists the names of its weights."""
    datasets = {}
    for layer in _texts(root.attrs, "layer_names"):
        group = _inside(root, layer)
        weights = _texts(group.attrs, "weight_names")
        last = {name: name.split("/")[-1].split(":")[0] for name in weights}
        counts = Counter(last.values())
        for name in weights:
            whole = name.split(":")[0].removeprefix(f"{layer}/")
            part = last[name] if counts[last[name]] == 1 else whole
            part = _NAMELESS.sub("gamma", part)
            datasets[f"{layer}/{part}"] = _inside(group, name)
    return datasets


def _texts(attributes: Any, name: str) -> list[str]:
    """A list that may lie in several attributes, because each has a limit in HDF5."""
    names = [name] if name in attributes else []
    while f"{name}{len(names)}" in attributes:
        names.append(f"{name}{len(names)}")
    for part in map(attributes.get_id, names):
        if math.prod(part.shape) * part.dtype.itemsize > _LARGEST_TEXTS:
            raise ValueError(f"the attribute {name!r} is damaged")
    parts = [attributes[n] for n in names]
    texts = [text for part in parts for text in part]
    return [text.decode() if isinstance(text, bytes) else str(text) for text in texts]


def _inside(group: Any, path: str) -> Any:
    """What `path` leads to, which must lie in the same file."""
    import h5py

    item = group
    for part in path.strip("/").split("/"):
        if not isinstance(item.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"{path!r} is missing, or a link to elsewhere; refused")
        item = item[part]
    return item


def _bytes_inside(dataset: Any) -> int:
    """The size of a dataset's values, which must lie in the same file."""
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{dataset.name!r} lies in another file; refused")
    return math.prod(dataset.shape) * dataset.dtype.itemsize


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
    ranks = [len(items[n].shape) for n in sorted(items)]
    if "0" in items and set(ranks) == {1}:
        # One or two are a layer scale's or a layer norm's.
        names = _UNSCALED if len(items) == len(_UNSCALED) else _NORM[: len(items)]
    elif "0" in items and ranks == [4, 4]:
        names = _SEPARABLE
    elif "0" in items and len(items) <= len(_DENSE) and ranks[0] > 1:
        names = _DENSE
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
    h5py = extras.require(f"{path} needs", "weights", "h5py")

    def write(draft: str) -> None:
        with h5py.File(draft, "w") as file:
            for tensor, (layer, place) in names.items():
                group, _, part = place.rpartition("/")
                path = "layers"
                # A model inside of the network has a name too.
                for name, inner in zip(layer.split("/"), group.split("/"), strict=True):
                    variables = file.require_group(f"{path}/{inner}/vars")
                    variables.attrs["name"] = name
                    path = f"{path}/{inner}/layers"
                variables[_ORDER.get(part, part)] = read(tensor)

    write_file(path, write, metadata)
