"""How each operation of a folded graph is written in ONNX.

A function takes the writer and a node, and emits operators that give a tensor of the
node's name: with channels second where that is how it is computed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from slimnets.export.graph import NodeDef, is_channels_last
from slimnets.export.onnx_heads import HEADS
from slimnets.export.onnx_moves import MOVES, axes_of, squeeze_to
from slimnets.export.onnx_rounding import bias_as, rounded_in_range, weights_as
from slimnets.export.onnx_writer import AXIS_IN_FIRST, Unsupported, Writer
from slimnets.export.quantized import RANGE, scales_of


def _same_pads(sizes, kernel, strides, rates) -> list[int]:
    """Returns the padding of `SAME`: before, then after, of height and width."""
    before, after = [], []
    for size, length, stride, rate in zip(sizes, kernel, strides, rates, strict=True):
        reach = (length - 1) * rate + 1
        total = max((-(-size // stride) - 1) * stride + reach - size, 0)
        before.append(total // 2)
        after.append(total - total // 2)
    return before + after


def _window(writer: Writer, node: NodeDef, kernel: list[int]) -> dict:
    """Returns the attributes of a convolution or pool."""
    if not is_channels_last(node):
        raise Unsupported("it has channels second already; build it with NHWC")
    strides = list(node.attr["strides"].list.i)[1:3]
    rates = list(node.attr["dilations"].list.i)[1:3] or [1, 1]
    attributes = {"kernel_shape": kernel, "strides": strides}
    if rates != [1, 1]:
        attributes["dilations"] = rates
    padding = node.attr["padding"].s
    if padding == b"SAME":
        sizes = writer.shape(node)[1:3]
        if strides == [1, 1]:  # The same for every size.
            sizes = [1, 1]
        if None in sizes:
            attributes["auto_pad"] = "SAME_UPPER"
        else:
            attributes["pads"] = _same_pads(sizes, kernel, strides, rates)
    elif padding == b"EXPLICIT":
        _, _, top, bottom, left, right, *_ = node.attr["explicit_paddings"].list.i
        attributes["pads"] = [top, left, bottom, right]
    return attributes


def _conv(writer: Writer, node: NodeDef) -> None:
    weights = writer.known(node, 1, "weights are")
    height, width, depth, outputs = weights.shape
    if node.op == "DepthwiseConv2dNative":
        groups = depth
        arranged = weights.reshape(height, width, 1, depth * outputs)
    else:
        groups, arranged = writer.shape(node)[3] // depth, weights
    name, arranged = f"{node.input[1]}/first", arranged.transpose(3, 2, 0, 1)
    inputs = [writer.get(node, first=True), weights_as(writer, node, name, arranged, 0)]
    output = node.name
    # A bias that alone reads the outputs is part of the convolution.
    if writer.graph.is_private(node.name):
        reader = writer.graph.nodes[writer.graph.consumers[node.name][0]]
        if reader.op == "BiasAdd" and writer.value(reader, 1) is not None:
            inputs.append(bias_as(writer, node, reader))
            output = reader.name
    attributes = _window(writer, node, [height, width])
    writer.emit("Conv", inputs, output, first=True, group=groups, **attributes)


def _bias(writer: Writer, node: NodeDef) -> None:
    if node.name not in writer.first:  # Else its convolution has it.
        _elementwise("Add")(writer, node)


def _pool(op: str) -> Callable[[Writer, NodeDef], None]:
    def write(writer, node):
        attributes = _window(writer, node, list(node.attr["ksize"].list.i)[1:3])
        writer.emit(op, [writer.get(node, first=True)], node.name, first=True,
                    **attributes)  # fmt: skip

    return write


def _elementwise(op: str, *, squared: bool = False) -> Callable:
    def write(writer, node):
        ranks = [writer.rank(node, i) for i in range(len(node.input))]
        varying = [i for i in range(len(ranks)) if writer.value(node, i) is None]
        first = any(writer.is_first(node, i) for i in varying) and all(
            ranks[i] == 4 for i in varying
        )
        inputs = [writer.get(node, i, first=first) for i in range(len(ranks))]
        output = f"{node.name}/difference" if squared else node.name
        writer.emit(op, inputs, output, first=first)
        if squared:
            writer.emit_alike("Mul", [output, output], node.name)

    return write


def _relu6(writer: Writer, node: NodeDef) -> None:
    dtype = tf.as_dtype(node.attr["T"].type).as_numpy_dtype
    bounds = [
        writer.constant(f"relu6/{np.dtype(dtype)}/{limit}", np.array(limit, dtype))
        for limit in (0, 6)
    ]
    writer.emit_alike("Clip", [writer.as_is(node), *bounds], node.name)


def _rsqrt(writer: Writer, node: NodeDef) -> None:
    root = f"{node.name}/root"
    writer.emit_alike("Sqrt", [writer.as_is(node)], root)
    writer.emit_alike("Reciprocal", [root], node.name)


def _square(writer: Writer, node: NodeDef) -> None:
    writer.emit_alike("Mul", [writer.as_is(node)] * 2, node.name)


def _erfc(writer: Writer, node: NodeDef) -> None:
    error = f"{node.name}/erf"
    dtype = tf.as_dtype(node.attr["T"].type).as_numpy_dtype
    one = writer.constant(f"erfc/{np.dtype(dtype)}/one", np.array(1, dtype))
    writer.emit_alike("Erf", [writer.as_is(node)], error)
    writer.emit_alike("Sub", [one, error], node.name)


def _leaky_relu(writer: Writer, node: NodeDef) -> None:
    alpha = node.attr["alpha"].f
    writer.emit_alike("LeakyRelu", [writer.as_is(node)], node.name, alpha=alpha)


def _softmax(writer: Writer, node: NodeDef) -> None:
    writer.emit("Softmax", [writer.get(node)], node.name, axis=-1)


def _identity(writer: Writer, node: NodeDef) -> None:
    # Only outputs are identities here, and these are as TensorFlow has them.
    writer.emit("Identity", [writer.get(node)], node.name)


def _cast(writer: Writer, node: NodeDef) -> None:
    to = writer.element_type(tf.as_dtype(node.attr["DstT"].type))
    writer.emit_alike("Cast", [writer.as_is(node)], node.name, to=to)


def _reduce(op: str) -> Callable[[Writer, NodeDef], None]:
    def write(writer, node):
        rank, keep = writer.rank(node), node.attr["keep_dims"].b
        axes = axes_of(writer, node, 1, rank)
        first = writer.is_first(node) and (keep or axes == [1, 2])
        if first:
            axes = sorted(AXIS_IN_FIRST[axis] for axis in axes)
        inputs = [writer.get(node, first=first)]
        kept = first and keep
        if op == "ReduceMean" and first and axes == [2, 3]:
            # Runtimes have a kernel of its own for this.
            output = node.name if keep else f"{node.name}/pooled"
            writer.emit("GlobalAveragePool", inputs, output, first=kept)
            if not keep:
                squeeze_to(writer, output, axes, node.name)
        elif op == "ReduceSum":
            inputs.append(writer.integers(f"{node.name}/axes", axes))
            writer.emit(op, inputs, node.name, first=kept, keepdims=int(keep))
        else:
            writer.emit(op, inputs, node.name, first=kept, axes=axes,
                        keepdims=int(keep))  # fmt: skip

    return write


def _matmul(writer: Writer, node: NodeDef) -> None:
    weights = writer.value(node, 1)
    if writer.int8 and scales_of(writer.graph, node) is not None:
        rounded = weights_as(writer, node, f"{node.input[1]}/dense", weights, 1)
        writer.emit("MatMul", [writer.get(node), rounded], node.name)
        return
    names = []
    batched = node.op.startswith("Batch")
    keys = ("adj_x", "adj_y") if batched else ("transpose_a", "transpose_b")
    for index, key in enumerate(keys):
        name = writer.get(node, index)
        if node.attr[key].b:
            rank = writer.rank(node, index)
            permutation = [*range(rank - 2), rank - 1, rank - 2]
            turned = f"{node.name}/turned_{index}"
            writer.emit("Transpose", [name], turned, perm=permutation)
            name = turned
        names.append(name)
    writer.emit("MatMul", names, node.name)


def _local_response(writer: Writer, node: NodeDef) -> None:
    size = 2 * node.attr["depth_radius"].i + 1
    writer.emit(
        "LRN",
        [writer.get(node, first=True)],
        node.name,
        first=True,
        size=size,
        # ONNX's alpha is of the mean of the squares, TensorFlow's of their sum.
        alpha=node.attr["alpha"].f * size,
        beta=node.attr["beta"].f,
        bias=node.attr["bias"].f,
    )


_SAME_AS = {
    "Add": "Add", "AddV2": "Add", "Sub": "Sub", "Mul": "Mul", "RealDiv": "Div",
    "Maximum": "Max", "Minimum": "Min", "Relu": "Relu", "Sigmoid": "Sigmoid",
    "Tanh": "Tanh", "Elu": "Elu", "Selu": "Selu", "Softplus": "Softplus",
    "Sqrt": "Sqrt", "Exp": "Exp", "Erf": "Erf", "Neg": "Neg", "Abs": "Abs",
}  # fmt: skip
_REDUCTIONS = {"Mean": "ReduceMean", "Max": "ReduceMax", "Sum": "ReduceSum"}

OPERATORS: dict[str, Callable[[Writer, NodeDef], None]] = {
    **{name: _elementwise(op) for name, op in _SAME_AS.items()},
    **{name: _reduce(op) for name, op in _REDUCTIONS.items()},
    **MOVES,
    **HEADS,
    "SquaredDifference": _elementwise("Sub", squared=True),
    "Conv2D": _conv,
    "DepthwiseConv2dNative": _conv,
    "BiasAdd": _bias,
    "MaxPool": _pool("MaxPool"),
    "AvgPool": _pool("AveragePool"),
    "Relu6": _relu6,
    RANGE: rounded_in_range,
    "LeakyRelu": _leaky_relu,
    "Rsqrt": _rsqrt,
    "Square": _square,
    "Erfc": _erfc,
    "Softmax": _softmax,
    "Identity": _identity,
    "Cast": _cast,
    "MatMul": _matmul,
    "BatchMatMulV2": _matmul,
    "LRN": _local_response,
}
