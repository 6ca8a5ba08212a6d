"""Turns a file of weights into another framework's: slim, Keras or PyTorch."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets import factory
from slimnets.checkpoints import networks
from slimnets.checkpoints.base import WeightsReader
from slimnets.checkpoints.detect import read_checkpoint
from slimnets.checkpoints.keras_files import write_keras
from slimnets.checkpoints.mapping import Foreign
from slimnets.checkpoints.matching import Match, Request, match
from slimnets.checkpoints.metadata import LABELS_ENDING, labels_offset
from slimnets.checkpoints.report import LoadReport
from slimnets.checkpoints.torch_files import write_safetensors
from slimnets.checkpoints.writer import save_weights
from slimnets.version import __version__

FORMATS = ("slim", "keras", "torch")
_ENDINGS = {".weights.h5": "keras", ".safetensors": "torch"}
_NOT_WRITTEN = (".h5", ".keras", ".pth", ".pt", ".bin", ".npz", ".tar.gz", ".tgz")
_COUNTER = "num_batches_tracked"


def convert_weights(
    source: str | os.PathLike,
    output: str | os.PathLike,
    *,
    network: networks.Network | None = None,
    options: Mapping[str, Any] | None = None,
    rename: Iterable[tuple[str, str]] = (),
    file_format: str | None = None,
) -> LoadReport:
    """Writes the weights of a network in another format; all of them, or nothing.

    Their number of classes and of channels are the source's.

    Args:
        source: see `read_checkpoint`.
        output: a .weights.h5 or .safetensors file, or the prefix of a checkpoint.
        network: a registered name or a network function; None for what the source's
            metadata says.
        options: further arguments of the network function; None likewise.
        rename: as of `load_weights`.
        file_format: `slim`, `keras` or `torch`; None for what `output` ends in.

    Returns:
        The report of the comparison of the source with the network.

    Raises:
        FileNotFoundError: if there is no source.
        ValueError: if it cannot be read, its network is not known, it does not fit, or
            the network has no counterpart in that format.
    """
    output = os.fspath(output)
    file_format = _format_of(output, file_format)
    reader = read_checkpoint(source)
    function, options = _network(reader, network, options)
    if file_format != "slim":
        _source_for(function, file_format)
    num_classes, channels = _sizes(reader, function)
    specs = networks.variable_specs(function, num_classes, channels, options)
    found = match(reader, specs, Request(rename=rename, network=function))
    if not found.report.complete:
        raise ValueError(f"Cannot convert {found.report}")
    metadata = {
        "image_size": getattr(function, "default_image_size", None),
        "labels_offset": labels_offset(num_classes),
        **reader.metadata,
        "model_name": networks.name_of(function),
        "network_options": dict(options),
        "num_classes": num_classes,
        "input_channels": channels,
        "converted_from": os.path.basename(reader.prefix),
        "slimnets_version": __version__,
    }
    _WRITERS[file_format](output, _Weights(found, specs, function), metadata)
    if os.path.exists(reader.prefix + LABELS_ENDING):
        shutil.copyfile(reader.prefix + LABELS_ENDING, output + LABELS_ENDING)
    return found.report


def _format_of(output: str, file_format: str | None) -> str:
    if file_format is not None and file_format not in FORMATS:
        raise ValueError(f"format={file_format!r}; allowed are {', '.join(FORMATS)}.")
    found = next((f for end, f in _ENDINGS.items() if output.endswith(end)), None)
    if found is None and output.endswith(_NOT_WRITTEN):
        raise ValueError(
            f"{output}: what is written is a .weights.h5 or .safetensors file, or a "
            "checkpoint, whose prefix has no such ending."
        )
    found = found or "slim"
    if file_format not in (None, found):
        ending = next((e for e, f in _ENDINGS.items() if f == file_format), None)
        ends = f"should end in {ending}" if ending else "is the prefix of a checkpoint"
        raise ValueError(f"{output}: the output of format {file_format} {ends}.")
    return found


def _network(
    reader: WeightsReader,
    network: networks.Network | None,
    options: Mapping[str, Any] | None,
) -> tuple[Callable, Mapping[str, Any]]:
    known = reader.metadata.get("model_name")
    network = network or known
    if network is None:
        raise ValueError(
            f"{reader.prefix} has no metadata beside it that tells its network: give "
            "the network (--model_name)."
        )
    if options is None:
        same = networks.name_of(network) == known
        options = reader.metadata.get("network_options", {}) if same else {}
    return networks.network_of(None, network), options


def _source_for(function: Callable, file_format: str) -> str:
    """The rules by which a network's variables are named in a format."""
    sources = networks.sources_of(function, file_format)
    is_chain = networks.chain_of(function) is not None
    if not sources or is_chain:
        known = [factory.network_info(name) for name in factory.list_networks()]
        names = [
            info.name
            for info in known
            if networks.sources_of(info.network, file_format)
            and networks.chain_of(info.network) is None
        ]
        why = "has no counterpart in"
        if sources:
            why = "is read from, but not written for,"
        raise ValueError(
            f"{networks.name_of(function)} {why} {file_format}; these "
            f"have: {', '.join(names)}."
        )
    return sources[0]


def _sizes(reader: WeightsReader, function: Callable) -> tuple[int | None, int]:
    """Number of classes (None without logits) and channels of the weights in a file."""
    roots, logits = networks.ROOTS, networks.LOGITS
    chain = networks.chain_of(function)
    if chain is not None:
        roots, logits = (chain.root,), chain.logits
    elif networks.weights_of(function):
        roots = (f"{function.row.root.conv_names[0]}/weights",)
    foreign = {name: [name] for name in (logits, *roots)}
    for source in networks.sources_of(function, reader.kind):
        for name in foreign:
            foreign[name].append(networks.foreign_of([name], source)[name])
    num_classes, channels = None, 3
    for name in reader:
        for ours, theirs in foreign.items():
            for tensor in theirs:
                if not _is_it(name, tensor):
                    continue
                shape = reader.shapes[name]
                if ours == logits:
                    num_classes = shape[-1]
                elif len(shape) == 4:
                    is_torch = isinstance(tensor, Foreign) and tensor.layout == "conv"
                    channels = shape[1 if is_torch else 2]
    return num_classes, channels


def _is_it(name: str, tensor: str | Foreign) -> bool:
    if isinstance(tensor, Foreign):
        return name == tensor.name
    return networks.is_at_top(name, tensor)


@dataclasses.dataclass(frozen=True)
class _Weights:
    """A source that fits a network, to be written under other names."""

    found: Match
    specs: Mapping[str, tf.TensorSpec]
    function: Callable

    def value(self, name: str) -> np.ndarray:
        return self.found.value(name, self.specs[name].dtype)

    def foreign(self, source: str) -> dict[str, Foreign]:
        return networks.foreign_names(self.specs, source)


def _write_slim(output: str, weights: _Weights, metadata: Mapping[str, Any]) -> None:
    values = {name: weights.value(name) for name in weights.specs}
    save_weights(output, values, metadata)


def _write_torch(output: str, weights: _Weights, metadata: Mapping[str, Any]) -> None:
    foreign = weights.foreign(_source_for(weights.function, "torch"))
    names = {tensor.name: name for name, tensor in foreign.items()}
    shapes = {}
    for name, tensor in foreign.items():
        spec = weights.specs[name]
        blank = np.broadcast_to(np.zeros((), spec.dtype.as_numpy_dtype), spec.shape)
        shapes[tensor.name] = (blank.dtype, tensor.from_slimnets(blank).shape)
    counted = [n for n in names if n.endswith(".running_mean")]
    for name in counted:
        # torch's own state dicts have it; without a source for it, it begins at 0.
        counter = name.removesuffix("running_mean") + _COUNTER
        shapes[counter] = (np.dtype(np.int64), ())

    def read(tensor: str) -> np.ndarray:
        if tensor in names:
            return foreign[names[tensor]].from_slimnets(weights.value(names[tensor]))
        reader = weights.found.reader
        count = reader[tensor] if tensor in reader else np.zeros(())
        return count.astype(np.int64)

    write_safetensors(output, shapes, read, metadata)


def _write_keras(output: str, weights: _Weights, metadata: Mapping[str, Any]) -> None:
    _source_for(weights.function, "keras")
    foreign = weights.foreign("keras")
    places = weights.foreign("keras_order")
    names = {
        name: (foreign[name].name.rpartition("/")[0], places[name].name)
        for name in foreign
    }

    def read(name: str) -> np.ndarray:
        return foreign[name].from_slimnets(weights.value(name))

    write_keras(output, names, read, metadata)


_WRITERS = {"slim": _write_slim, "keras": _write_keras, "torch": _write_torch}
