"""Turns a file of weights into another framework's: slim, Keras or PyTorch."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from slimnets import factory
from slimnets.checkpoints import keras_places, networks
from slimnets.checkpoints.averaged import open_weights
from slimnets.checkpoints.base import WeightsReader
from slimnets.checkpoints.keras_files import write_keras
from slimnets.checkpoints.load_report import LoadReport
from slimnets.checkpoints.mapping import Foreign
from slimnets.checkpoints.matching import Match, Request, match
from slimnets.checkpoints.metadata import LABELS_ENDING, labels_offset
from slimnets.checkpoints.recognition import recognized, sizes_in
from slimnets.checkpoints.torch_files import write_safetensors
from slimnets.checkpoints.writer import FOREIGN, save_weights
from slimnets.rules import Rules, ruled
from slimnets.version import __version__

FORMATS = ("slim", "keras", "torch")
_ENDINGS = {".weights.h5": "keras", ".safetensors": "torch"}
_COUNTER = "num_batches_tracked"


def convert_weights(
    source: str | os.PathLike | WeightsReader,
    output: str | os.PathLike,
    *,
    network: networks.Network | None = None,
    options: Mapping[str, Any] | None = None,
    rename: Iterable[tuple[str, str]] = (),
    exclude: Iterable[str] = (),
    file_format: str | None = None,
    averages: bool | None = None,
) -> LoadReport:
    """Writes the weights of a network in another format; all of them, or nothing.

    Their number of classes and of channels are the source's.

    Args:
        source: see `open_weights`.
        output: a .weights.h5 or .safetensors file, or the prefix of a checkpoint.
        network: a registered name or a network function; None for what the source's
            metadata says.
        options: further arguments of the network function; None likewise.
        rename: as of `load_weights`.
        exclude: patterns of tensors that are not converted.
        file_format: `slim`, `keras` or `torch`; None for what `output` ends in.
        averages: see `Weights`.

    Returns:
        The report of the comparison of the source with the network.

    Raises:
        FileNotFoundError: if there is no source.
        ValueError: if it cannot be read, its network is not known, it does not fit, or
            the network has no counterpart in that format.
    """
    output = os.fspath(output)
    file_format = _format_of(output, file_format)
    reader = open_weights(source, averages)
    function, options = _network(reader, network, options)
    if file_format != "slim":
        _source_for(function, file_format)
    weights = NetworkWeights(reader, function, options, rename, exclude)
    report = weights.found.report
    if not report.complete:
        raise ValueError(f"Cannot convert {report}")
    if report.excluded:
        raise ValueError(
            f"exclude leaves {report.excluded[0]} without a value; a file is "
            "written of all variables."
        )
    metadata = {
        "image_size": getattr(function, "default_image_size", None),
        "labels_offset": labels_offset(weights.num_classes),
        **reader.metadata,
        "model_name": networks.name_of(function),
        "network_options": dict(options),
        "num_classes": weights.num_classes,
        "input_channels": weights.channels,
        "converted_from": os.path.basename(reader.prefix),
        "slimnets_version": __version__,
    }
    _WRITERS[file_format](output, weights, metadata)
    theirs, labels = reader.prefix + LABELS_ENDING, output + LABELS_ENDING
    if os.path.exists(theirs):
        shutil.copyfile(theirs, labels)
    elif os.path.exists(labels):  # Of what was there before.
        os.remove(labels)
    return report


def _format_of(output: str, file_format: str | None) -> str:
    if file_format is not None and file_format not in FORMATS:
        raise ValueError(f"format={file_format!r}; allowed are {', '.join(FORMATS)}.")
    found = next((f for end, f in _ENDINGS.items() if output.endswith(end)), None)
    if found is None and output.endswith(FOREIGN):
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
    if task := reader.metadata.get("task"):
        raise ValueError(
            f"{reader.prefix} is of a run of {task} on {known}, and other frameworks "
            "have no such head; slimnets export writes it in a format of theirs."
        )
    network = network or known or recognized(reader)
    if network is None:
        raise ValueError(
            f"{reader.prefix} has no metadata beside it that tells its network, and "
            "its variables are those of no registered one: give it "
            "(network='resnet50', for example)."
        )
    same = networks.name_of(network) == known
    if options is None:
        options = reader.metadata.get("network_options", {}) if same else {}
    function: Any = networks.network_of(None, network)
    if same and (rules := reader.metadata.get("rules")):
        function = ruled(function, Rules(rules))
    return function, options


def _source_for(function: Callable, file_format: str) -> Any:
    """The rules by which a network's variables are named in a format."""
    sources = networks.written_sources(function, file_format)
    if not sources:
        known = [factory.network_info(name) for name in factory.list_networks()]
        names = [
            info.name
            for info in known
            if networks.written_sources(info.network, file_format)
        ]
        why = "has no counterpart in"
        if networks.sources_of(function, file_format):
            why = "is read from, but not written for,"
        raise ValueError(
            f"{networks.name_of(function)} {why} {file_format}; these "
            f"have: {', '.join(names)}."
        )
    return sources[0]


class NetworkWeights:
    """A file of weights, seen as a network's variables.

    Args:
        reader: the file.
        function: the network function.
        options: further arguments of it.
        rename, exclude: as of `load_weights`.

    Attributes:
        found: what of the file each variable is.
        specs: shapes and types of the variables by name.
        function: the network function.
        num_classes: as the file has them; None without logits.
        channels: of the images.
    """

    def __init__(
        self,
        reader: WeightsReader,
        function: Callable,
        options: Mapping[str, Any],
        rename: Iterable[tuple[str, str]] = (),
        exclude: Iterable[str] = (),
    ):
        self.function = function
        self.num_classes, self.channels = sizes_in(reader, function, options, rename)
        self.specs = networks.variable_specs(
            function, self.num_classes, self.channels, options
        )
        self.found: Match = match(
            reader, self.specs, Request(exclude, rename, network=function)
        )

    def value(self, name: str) -> np.ndarray:
        return self.found.value(name, self.specs[name].dtype)

    def foreign(self, source: str) -> dict[str, Foreign]:
        return networks.foreign_names(self.specs, source, self.function)


def _write_slim(
    output: str, weights: NetworkWeights, metadata: Mapping[str, Any]
) -> None:
    values = {name: weights.value(name) for name in weights.specs}
    save_weights(output, values, metadata)


def _write_torch(
    output: str, weights: NetworkWeights, metadata: Mapping[str, Any]
) -> None:
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


def _write_keras(
    output: str, weights: NetworkWeights, metadata: Mapping[str, Any]
) -> None:
    source = _source_for(weights.function, "keras")
    foreign = weights.foreign(source)
    places = weights.foreign(source + networks.IN_ORDER)
    names = {
        name: (keras_places.layer_name(foreign[name].name), places[name].name)
        for name in foreign
    }
    constants = keras_places.constants(source, weights.channels)
    names |= {name: (name.partition("/")[0], name) for name in constants}

    def read(name: str) -> np.ndarray:
        if name in constants:
            return constants[name]
        return foreign[name].from_slimnets(weights.value(name))

    write_keras(output, names, read, metadata)


_WRITERS = {"slim": _write_slim, "keras": _write_keras, "torch": _write_torch}
