"""OpenVINO's files: an .xml file for the network and a .bin file for its weights."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from slimnets import extras
from slimnets.export.frozen import Frozen
from slimnets.export.onnx_file import write_onnx, write_quantized_onnx
from slimnets.export.refusals import refusals_of
from slimnets.export.rounding import Rounding
from slimnets.export.saved_model import Run

WEIGHTS_ENDING = ".bin"
# Where the file says what it is to be computed in.
_PLACE = ["slimnets", "precision"]
_HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}


def write_openvino(
    frozen: Frozen,
    path: str,
    precision: str,
    metadata: Mapping[str, Any],
    rounding: Rounding,
) -> None:
    """Writes a network, by way of ONNX, and the precision that it is to run in.

    Args:
        frozen: a folded graph in float32.
        path: the .xml file; the .bin file lies beside it.
        precision: `float32`; `bfloat16`, to which a processor that has it rounds as
            it computes; or `int8`.
        metadata: as of `write_onnx`.
        rounding: how int8 comes of it.
    """
    openvino = _import_openvino()
    with tempfile.TemporaryDirectory() as directory:
        source = os.path.join(directory, "network.onnx")
        if precision == "int8":
            write_quantized_onnx(frozen, source, metadata, rounding)
        else:
            write_onnx(frozen, source, metadata)
        with refusals_of("OpenVINO refuses this network"):
            network = openvino.convert_model(source)
            network.set_rt_info(precision, _PLACE)
            # Half precision, its default, would round the weights.
            openvino.save_model(network, path, compress_to_fp16=False)


def load_openvino(
    path: str, outputs: Sequence[str], threads: int | None = None
) -> tuple[Run, list[str]]:
    """Returns what runs an OpenVINO file on the CPU, and the names of its inputs.

    Args:
        path: the file.
        outputs: which of the names that it has for an output is meant, where known.
        threads: see `loading.load`.

    Raises:
        ImportError: if openvino is not installed.
    """
    core = _import_openvino().Core()
    network = core.read_model(path)
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    if network.has_rt_info(_PLACE):
        precision = network.get_rt_info(_PLACE).astype(str)
        settings["INFERENCE_PRECISION_HINT"] = _HINTS[precision]
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    compiled = core.compile_model(network, "CPU", settings)
    names = [
        next(iter(output.get_names() & set(outputs)), output.get_any_name())
        for output in compiled.outputs
    ]

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        # What a request gives is overwritten by its next call.
        found = compiled(dict(inputs), share_outputs=False)
        return {name: np.array(found[name]) for name in names}

    return run, [each.get_any_name() for each in compiled.inputs]


def _import_openvino() -> Any:
    return extras.require("OpenVINO files need", "openvino", "openvino")
