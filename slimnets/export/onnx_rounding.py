"""How what was trained for int8 is written in ONNX: QuantizeLinear, DequantizeLinear.

Runtimes compute in integers where all inputs and outputs of an operator are such, and
elsewhere in float32 with the same values.
"""

from __future__ import annotations

import numpy as np

from slimnets.export.graph import NodeDef
from slimnets.export.onnx_writer import Writer
from slimnets.export.quantized import RANGE, affine_of, scales_of


def rounded_in_range(writer: Writer, node: NodeDef) -> None:
    """Writes activations that are rounded in a range, as uint8."""
    scale, zero = affine_of(writer.graph, node)
    affine = [
        writer.constant(f"{node.name}/scale", scale),
        writer.constant(f"{node.name}/zero", zero),
    ]
    steps = f"{node.name}/steps"
    writer.emit_alike("QuantizeLinear", [writer.as_is(node), *affine], steps)
    writer.emit_alike("DequantizeLinear", [steps, *affine], node.name)


def weights_as(
    writer: Writer, node: NodeDef, name: str, weights: np.ndarray, axis: int
) -> str:
    """Stores a layer's weights, in int8 if they can be; returns their name in float32.

    Args:
        writer: what writes.
        node: the layer.
        name: of the weights.
        weights: in ONNX's layout.
        axis: of the outputs.
    """
    scales = scales_of(writer.graph, node) if writer.int8 else None
    if scales is None:
        return writer.constant(name, weights)
    shape = [-1 if index == axis else 1 for index in range(weights.ndim)]
    steps = np.round(weights / scales.reshape(shape)).astype(np.int8)
    return _from_steps(writer, name, steps, scales, axis)


def bias_as(writer: Writer, node: NodeDef, bias: NodeDef) -> str:
    """Stores a layer's bias, in int32 if its inputs and weights are int8.

    Args:
        writer: what writes.
        node: the layer.
        bias: the BiasAdd behind it.
    """
    name, value = bias.input[1], writer.value(bias, 1)
    source = writer.graph.source(node)
    scales = scales_of(writer.graph, node) if writer.int8 else None
    if scales is None or source.op != RANGE:
        return writer.constant(name, value)
    scales = scales * affine_of(writer.graph, source)[0]
    steps = np.round(value.astype(np.float64) / scales)
    if np.abs(steps).max(initial=0) > np.iinfo(np.int32).max:
        return writer.constant(name, value)
    return _from_steps(writer, name, steps.astype(np.int32), scales, 0)


def _from_steps(
    writer: Writer, name: str, steps: np.ndarray, scales: np.ndarray, axis: int
) -> str:
    inputs = [
        writer.constant(f"{name}/steps", steps),
        writer.constant(f"{name}/scales", scales),
        writer.constant(f"{name}/zeros", np.zeros(len(scales), steps.dtype)),
    ]
    output = f"{name}/from_steps"
    writer.emit("DequantizeLinear", inputs, output, axis=axis)
    return output
