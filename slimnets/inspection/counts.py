"""Multiply-adds of a graph, counted from its operations.

As papers count them: one for each product of a weight and a value in convolutions and
matrix products; normalization, activation, pooling and biases count nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import tensorflow as tf


def count_multiply_adds(graph: tf.Graph | Iterable[tf.Operation]) -> int:
    """Returns the multiply-adds of a graph, or of some of its operations.

    Args:
        graph: a graph with static shapes, the batch size included; counted for the
            batch.

    Raises:
        ValueError: for an operation whose output's shape is not known.
    """
    operations = graph.get_operations() if isinstance(graph, tf.Graph) else graph
    return sum(_COUNTS[op.type](op) for op in operations if op.type in _COUNTS)


def _outputs_of(op: tf.Operation) -> int:
    size = op.outputs[0].shape.num_elements()
    if size is None:
        raise ValueError(
            f"The shape {op.outputs[0].shape} of {op.name} is not known; build the "
            "network with inputs of a known shape."
        )
    return size


def _convolution(op: tf.Operation) -> int:
    # [height, width, channels of a group, outputs]: one output sees all but the last.
    return _outputs_of(op) * math.prod(op.inputs[1].shape[:-1])


def _depthwise(op: tf.Operation) -> int:
    return _outputs_of(op) * math.prod(op.inputs[1].shape[:2])


def _matrix_product(op: tf.Operation) -> int:
    transposed = op.get_attr("transpose_a")
    return _outputs_of(op) * op.inputs[0].shape[0 if transposed else 1]


def _batched_product(op: tf.Operation) -> int:
    return _outputs_of(op) * op.inputs[0].shape[-2 if op.get_attr("adj_x") else -1]


_COUNTS: dict[str, Callable[[tf.Operation], int]] = {
    "Conv2D": _convolution,
    "DepthwiseConv2dNative": _depthwise,
    "MatMul": _matrix_product,
    "BatchMatMulV2": _batched_product,
}
