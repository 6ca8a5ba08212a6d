"""Multiply-adds of a graph, counted from its operations.

As papers count them: one for each product of a weight and a value in convolutions and
matrix products; normalization, activation, pooling and biases count nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import tensorflow as tf

from slimnets.inspection.nodes import is_gradient


def count_multiply_adds(graph: tf.Graph | Iterable[tf.Operation]) -> int:
    """Returns the multiply-adds of a graph, or of some of its operations.

    Args:
        graph: a graph with static shapes, the batch size included; counted for the
            batch, without gradients.

    Raises:
        ValueError: for an operation whose output's shape is not known.
    """
    operations = graph.get_operations() if isinstance(graph, tf.Graph) else graph
    return sum(
        _COUNTS[op.type](op)
        for op in operations
        if op.type in _COUNTS and not is_gradient(op.name)
    )


def _outputs_of(op: tf.Operation) -> int:
    return _size_of(op.outputs[0])


def _shape_of(tensor: tf.Tensor) -> list[int]:
    if not tensor.shape.is_fully_defined():
        raise ValueError(
            f"The shape {tensor.shape} of {tensor.op.name} is not known; build the "
            "network with inputs of a known shape."
        )
    return tensor.shape.as_list()


def _size_of(tensor: tf.Tensor) -> int:
    return math.prod(_shape_of(tensor))


def _convolution(op: tf.Operation) -> int:
    # [height, width, channels of a group, outputs]: one output sees all but the last.
    return _outputs_of(op) * math.prod(_shape_of(op.inputs[1])[:-1])


def _depthwise(op: tf.Operation) -> int:
    return _outputs_of(op) * math.prod(_shape_of(op.inputs[1])[:2])


def _transposed(op: tf.Operation) -> int:
    # [height, width, outputs, channels]: each input goes into all but the last.
    weights, given = op.inputs[1], op.inputs[2]
    return _size_of(given) * math.prod(_shape_of(weights)[:-1])


def _matrix_product(op: tf.Operation) -> int:
    transposed = op.get_attr("transpose_a")
    return _outputs_of(op) * _shape_of(op.inputs[0])[0 if transposed else 1]


def _batched_product(op: tf.Operation) -> int:
    inner = -2 if op.get_attr("adj_x") else -1
    return _outputs_of(op) * _shape_of(op.inputs[0])[inner]


_COUNTS: dict[str, Callable[[tf.Operation], int]] = {
    "Conv2D": _convolution,
    "DepthwiseConv2dNative": _depthwise,
    "Conv2DBackpropInput": _transposed,
    "MatMul": _matrix_product,
    "BatchMatMulV2": _batched_product,
}
