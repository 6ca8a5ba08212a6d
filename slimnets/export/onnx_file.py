"""ONNX files: writing, running and quantizing them."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from slimnets import extras
from slimnets.export.frozen import Frozen
from slimnets.export.onnx_writer import import_onnx, to_onnx
from slimnets.export.refusals import refusals_of
from slimnets.export.rounding import Rounding
from slimnets.export.saved_model import Run

# What the quantizer advises to do first, folding and constant sizes, is done.
_LAYERS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
# ONNX Runtime's third, by entropy, has as many bins as steps and leaves nothing out.
_METHODS = {"minmax": "MinMax", "percentile": "Percentile"}
_PERCENTILE = 99.99
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
    rounding: Rounding,
) -> None:
    """Writes an ONNX file in int8, with QuantizeLinear and DequantizeLinear.

    Weights are int8 with a scale for each channel, activations uint8 with ranges that
    the calibration images reached, or those that a network was trained with. What goes
    in and comes out stays float32.

    Args:
        frozen: a folded graph in float32.
        path: the file.
        metadata: as of `write_onnx`.
        rounding: how.
    """
    if frozen.quantized:
        write_onnx(frozen, path, metadata)
        return
    _import_runtime()
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        def __init__(self):
            self._batches = iter(rounding.calibration)

        def get_next(self):
            return next(self._batches, None)

    source = f"{path}.float32"
    onnx = import_onnx()
    network = to_onnx(frozen, _texts({**metadata, **_PREPARED}))
    onnx.save(network, source)
    kept = [node.name for node in network.graph.node if rounding.keeps(node.name)]
    unrounded = [*_behind_all_layers(network.graph), *kept]
    unrounded += _activations_before(network.graph, kept)
    try:
        with (
            refusals_of("ONNX Runtime's quantizer refuses this network"),
            contextlib.redirect_stdout(io.StringIO()),  # It tells of histograms.
        ):
            quantization.quantize_static(
                source,
                path,
                Reader(),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                nodes_to_exclude=unrounded,
                calibrate_method=getattr(
                    quantization.CalibrationMethod, _METHODS[rounding.method]
                ),
                extra_options={"CalibPercentile": _PERCENTILE},
            )
    finally:
        os.remove(source)
    if kept:
        network = onnx.load(path)
        _take_unrounded(network.graph, kept)
        onnx.save(network, path)


def _activations_before(graph: Any, kept: Sequence[str]) -> list[str]:
    """The names of activations of which nodes take the values.

    Where all that an activation does is done by rounding in its range, the quantizer
    leaves it out, and there would be nothing to take before that.
    """
    taken = {name for node in graph.node if node.name in kept for name in node.input}
    return [
        node.name
        for node in graph.node
        if node.op_type in ("Relu", "Clip") and taken.intersection(node.output)
    ]


def _take_unrounded(graph: Any, kept: Sequence[str]) -> None:
    """Gives nodes what their inputs were before they were rounded for others.

    ONNX Runtime rounds the weights of a convolution whose input is rounded, with one
    scale for all of them.
    """
    makers = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if node.name not in kept:
            continue
        for index, name in enumerate(node.input):
            last = makers.get(name)
            if last is not None and last.op_type == "DequantizeLinear":
                first = makers.get(last.input[0])
                if first is not None:
                    node.input[index] = first.input[0]


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
