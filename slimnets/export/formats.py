"""The formats by name: in which precisions, how each is written and how it is run."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping
from typing import Any

from slimnets.data.orientation import trained_upright
from slimnets.data.preprocessing import Preprocessing, get_preprocessing
from slimnets.export.bias_correction import with_corrected_biases
from slimnets.export.frozen import Frozen
from slimnets.export.keras_file import keras_in_graph, load_keras, write_keras
from slimnets.export.onnx_file import load_onnx, write_onnx, write_quantized_onnx
from slimnets.export.openvino_file import (
    WEIGHTS_ENDING,
    load_openvino,
    write_openvino,
)
from slimnets.export.rounding import Rounding
from slimnets.export.saved_model import (
    InGraph,
    Run,
    frozen_graph,
    in_graph,
    load_frozen_graph,
    load_saved_model,
    saved_graph,
    write_frozen_graph,
    write_saved_model,
)
from slimnets.export.stablehlo import load_stablehlo, write_stablehlo
from slimnets.export.tflite import load_tflite, write_tflite
from slimnets.files import EXPORT_ENDINGS
from slimnets.model import Model


@dataclasses.dataclass(frozen=True)
class Job:
    """What is to be written.

    Attributes:
        model: the network.
        frozen: the network as a graph, in float32 and not folded.
        precision: what the file computes in.
        metadata: goes beside the file, and into it where the format has room.
        preprocessing: how images become the input, by name, or None.
        rounding: how int8 comes of it.
    """

    model: Model
    frozen: Frozen
    precision: str
    metadata: Mapping[str, Any]
    preprocessing: str | None = None
    rounding: Rounding = dataclasses.field(default_factory=Rounding)

    @property
    def recipe(self) -> Preprocessing | None:
        """How images become the input, as evaluation sees them."""
        if self.preprocessing is None:
            return None
        seen = self.metadata["eval_crop_fraction"]
        return get_preprocessing(self.preprocessing).with_crop_fraction(seen)

    @property
    def quantized(self) -> bool:
        """Whether the network was trained for int8, and rounds by now."""
        return self.frozen.quantized and self.graph.quantized

    @functools.cached_property
    def graph(self) -> Frozen:
        """The folded graph in the precision; for int8 in float32, to be rounded."""
        folded = self.frozen.folded()
        if self.precision == "int8":
            return self.to_be_rounded(folded)
        return folded.in_precision(self.precision)

    def to_be_rounded(self, folded: Frozen) -> Frozen:
        """Returns a folded graph that loses least in int8."""
        if not self.rounding.calibration:
            return folded
        return with_corrected_biases(folded, self.rounding)


@dataclasses.dataclass(frozen=True)
class Format:
    """How a format is written and run.

    Attributes:
        ending: of its files; empty for a directory.
        precisions: those that it can be in.
        write: a function of a job and the path.
        load: a function of the path, the names of the outputs, if known, and the
            number of threads, that returns what runs the file, and the names of its
            inputs.
        beside: the ending, in the place of its own, of a second file.
        graph: a function of the path that returns what puts the network into a graph
            of TensorFlow's, which can take gradients; None if it runs elsewhere.
    """

    ending: str
    precisions: tuple[str, ...]
    write: Callable[[Job, str], None]
    load: Callable[[str, tuple[str, ...], int | None], tuple[Run, list[str]]]
    beside: str = ""
    graph: Callable[[str], InGraph] | None = None

    def files(self, path: str) -> list[str]:
        """Returns what an export of that path consists of, without its metadata."""
        second = [path.removesuffix(self.ending) + self.beside] * bool(self.beside)
        return [path, *second]


def _onnx(job: Job, path: str) -> None:
    if job.precision == "int8":
        write_quantized_onnx(job.graph, path, job.metadata, job.rounding)
    else:
        write_onnx(job.graph, path, job.metadata)


def _openvino(job: Job, path: str) -> None:
    # It rounds to bfloat16 by itself, as it computes.
    graph = job.graph if job.precision == "int8" else job.frozen.folded()
    write_openvino(graph, path, job.precision, job.metadata, job.rounding)


def _tflite(job: Job, path: str) -> None:
    # Its own convolutions have no paddings but SAME and VALID.
    folded = job.frozen.folded(explicit_padding=False)
    if job.precision == "int8":
        folded = job.to_be_rounded(folded)
    write_tflite(folded, path, job.precision, job.rounding.calibration)


FORMATS = {
    "saved_model": Format(
        EXPORT_ENDINGS["saved_model"],
        ("float32", "bfloat16", "float16"),
        lambda job, path: write_saved_model(
            job.graph.for_tensorflow(),
            path,
            job.recipe,
            trained_upright(job.metadata),
        ),
        lambda path, outputs, threads: load_saved_model(path),
        graph=lambda path: in_graph(saved_graph(path)),
    ),
    "frozen_graph": Format(
        EXPORT_ENDINGS["frozen_graph"],
        ("float32", "bfloat16", "float16"),
        lambda job, path: write_frozen_graph(job.graph.for_tensorflow(), path),
        lambda path, outputs, threads: load_frozen_graph(path, outputs),
        graph=lambda path: in_graph(frozen_graph(path)),
    ),
    "onnx": Format(
        EXPORT_ENDINGS["onnx"],
        ("float32", "float16", "int8"),
        _onnx,
        lambda path, outputs, threads: load_onnx(path, threads),
    ),
    "tflite": Format(
        EXPORT_ENDINGS["tflite"],
        ("float32", "float16", "int8"),
        _tflite,
        lambda path, outputs, threads: load_tflite(path, threads),
    ),
    "openvino": Format(
        EXPORT_ENDINGS["openvino"],
        ("float32", "bfloat16", "int8"),
        _openvino,
        load_openvino,
        WEIGHTS_ENDING,
    ),
    "stablehlo": Format(
        EXPORT_ENDINGS["stablehlo"],
        ("float32", "bfloat16", "float16"),
        lambda job, path: write_stablehlo(job.graph, path),
        lambda path, outputs, threads: load_stablehlo(path),
    ),
    "keras": Format(
        EXPORT_ENDINGS["keras"],
        ("float32", "bfloat16", "float16"),
        lambda job, path: write_keras(job.model, job.frozen, path, job.precision),
        lambda path, outputs, threads: load_keras(path, outputs),
        graph=keras_in_graph,
    ),
}


def get_format(name: str, precision: str = "float32") -> Format:
    """Returns a format.

    Raises:
        ValueError: for an unknown one, or a precision that it cannot be in.
    """
    if name not in FORMATS:
        raise ValueError(f"format={name!r}; allowed are {', '.join(FORMATS)}.")
    if precision not in FORMATS[name].precisions:
        raise ValueError(
            f"precision={precision!r} does not exist for the format {name}; it takes "
            f"{', '.join(FORMATS[name].precisions)}."
        )
    return FORMATS[name]


def format_of(path: str) -> str:
    """Returns the name of the format that a path is in.

    Raises:
        FileNotFoundError: if there is nothing there.
        ValueError: if it is in none of them.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no exported network {path}.")
    if os.path.isdir(path):
        if os.path.exists(os.path.join(path, "saved_model.pb")):
            return "saved_model"
        raise ValueError(f"{path} is a directory without a saved_model.pb.")
    for name, each in FORMATS.items():
        if each.ending and path.endswith(each.ending):
            return name
    endings = ", ".join(each.ending for each in FORMATS.values() if each.ending)
    raise ValueError(
        f"{path} is no exported network: allowed are a SavedModel's directory and "
        f"files that end in {endings}."
    )
