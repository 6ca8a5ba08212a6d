"""ONNX files: writing, running and quantizing them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from slimnets import extras
from slimnets.export.frozen import Frozen
from slimnets.export.onnx_writer import import_onnx, to_onnx
from slimnets.export.refusals import refusals_of
from slimnets.export.saved_model import Run

# What the quantizer advises to do first, folding and constant sizes, is done.
_LAYERS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_PREPARED = {"onnx.quant.pre_process": "onnxruntime.quant"}


def write_onnx(frozen: Frozen, path: str, metadata: Mapping[str, Any]) -> None:
    """Writes an ONNX file; the metadata are texts in it, as JSON."""
    onnx = import_onnx()
    onnx.save(to_onnx(frozen, _texts(metadata)), path)


def _texts(metadata: Mapping[str, Any]) -> dict[str, str]:
    return {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in metadata.items()
    }


def write_quantized_onnx(
    frozen: Frozen,
    path: str,
    metadata: Mapping[str, Any],
    calibration: Sequence[Mapping[str, np.ndarray]],
) -> None:
    """Writes an ONNX file in int8, with QuantizeLinear and DequantizeLinear.

    Weights are int8 with a scale for each channel, activations uint8 with ranges that
    the calibration images reached, or those that a network was trained with. What goes
    in and comes out stays float32.

    Args:
        frozen: a folded graph in float32.
        path: the file.
        metadata: as of `write_onnx`.
        calibration: inputs by name, a few images at a time; none for a network that
            was trained for int8.
    """
    if frozen.quantized:
        write_onnx(frozen, path, metadata)
        return
    _import_runtime()
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        def __init__(self):
            self._batches = iter(calibration)

        def get_next(self):
            return next(self._batches, None)

    source = f"{path}.float32"
    onnx = import_onnx()
    network = to_onnx(frozen, _texts({**metadata, **_PREPARED}))
    onnx.save(network, source)
    try:
        with refusals_of("ONNX Runtime's quantizer refuses this network"):
            quantization.quantize_static(
                source,
                path,
                Reader(),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                nodes_to_exclude=_behind_all_layers(network.graph),
            )
    finally:
        os.remove(source)


def _behind_all_layers(graph: Any) -> list[str]:
    """The names of nodes whose results no layer with weights sees.

    There is nothing to win by rounding, and much to lose: of a detector these are the
    boxes, in pixels.
    """
    seen: set[str] = set()
    behind = []
    for node in reversed(graph.node):
        if node.op_type in _LAYERS or seen.intersection(node.output):
            seen.update(node.input)
        else:
            behind.append(node.name)
    return behind


def load_onnx(path: str, threads: int | None = None) -> tuple[Run, list[str]]:
    """Returns what runs an ONNX file in ONNX Runtime, and the names of its inputs.

    Raises:
        ImportError: if onnxruntime is not installed.
    """
    runtime = _import_runtime()
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    if threads:
        options.intra_op_num_threads = threads
    session = runtime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )
    outputs = [output.name for output in session.get_outputs()]

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        values: Iterable[np.ndarray] = session.run(outputs, dict(inputs))
        return dict(zip(outputs, values, strict=True))

    return run, [each.name for each in session.get_inputs()]


def _import_runtime() -> Any:
    return extras.require("ONNX files are run by", "onnx", "onnxruntime")
