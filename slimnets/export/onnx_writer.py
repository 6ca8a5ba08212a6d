"""Writes a folded graph as ONNX, with channels second and few transposes.

Images come in and feature maps go out with channels last, under the names that all
formats share; in between, convolutions, pools and what follows them have the layout
that ONNX's operators and its runtimes' fast kernels expect. A bias becomes part of its
convolution. What is written is opset 17 of the default domain and nothing else.

Source: https://onnx.ai/onnx/operators (versions of opset 17).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets import extras
from slimnets.export.frozen import Frozen
from slimnets.export.graph import NodeDef, NodeGraph, node_of
from slimnets.export.padding import dilations_into_convolutions
from slimnets.export.refusals import refusals_of
from slimnets.units.views import CONVOLUTIONS
from slimnets.version import __version__

OPSET, IR_VERSION = 17, 8
TO_FIRST, TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)
# Where an axis of NHWC lies in NCHW.
AXIS_IN_FIRST = (0, 2, 3, 1)


class Unsupported(Exception):
    """What stands in the way of writing a node."""


def to_onnx(frozen: Frozen, metadata: dict[str, str] | None = None) -> Any:
    """Returns an `onnx.ModelProto` that computes the same.

    Args:
        frozen: a folded graph; one of a network that was trained for int8 has its
            weights stored so.
        metadata: texts to store in the file.

    Raises:
        ImportError: if onnx is not installed.
        ValueError: for an operation that this writer does not know.
    """
    onnx = import_onnx()
    from slimnets.export.onnx_ops import OPERATORS

    writer = Writer(frozen, onnx)
    for node in writer.graph.nodes.values():
        if node.op == "Placeholder" or node.op == "Const":
            continue
        if node.op not in OPERATORS:
            raise ValueError(
                f"{node.name} is a {node.op}, which the ONNX writer does not know; it "
                f"knows {', '.join(sorted(OPERATORS))}.{_advice(frozen)}"
            )
        try:
            OPERATORS[node.op](writer, node)
        except Unsupported as error:
            raise ValueError(
                f"{node.name} ({node.op}) cannot be written as ONNX: {error}."
                f"{_advice(frozen)}"
            ) from None
    return writer.model(metadata or {})


def _advice(frozen: Frozen) -> str:
    """What may help where sizes, which are constants otherwise, are free."""
    free = [n for n, spec in frozen.inputs.items() if None in spec.shape.as_list()[1:]]
    if not free:
        return ""
    return (
        f" The sizes of {', '.join(free)} are free: with an input_shape that fixes all "
        "but the batch, such as [None, 224, 224, 3], they become constants."
    )


def import_onnx() -> Any:
    """Returns the package onnx. Raises ImportError that names the extra."""
    parts = ("onnx", "onnx.checker", "onnx.helper", "onnx.numpy_helper")
    return extras.require("ONNX files need", "onnx", *parts)


class Writer:
    """The nodes and constants written so far, and in which layout each tensor is.

    Attributes:
        graph: what is written.
        shapes: what is known of each node's shape, in TensorFlow's layout.
        first: the names whose tensors have channels second under their own name.
    """

    def __init__(self, frozen: Frozen, onnx: Any):
        # Left in float32, ONNX Runtime rounds such weights by itself, and coarser.
        self.int8 = frozen.quantized
        self._onnx = onnx
        self._frozen = frozen
        self.graph = NodeGraph(frozen.graph_def, frozen.outputs)
        dilations_into_convolutions(self.graph, CONVOLUTIONS)
        self.shapes = self.graph.shapes()
        self.first: set[str] = set()
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._copies: set[str] = set()

    def value(self, node: NodeDef, index: int) -> np.ndarray | None:
        """Returns the constant that is an input of a node; None if it varies."""
        return self.graph.value(node.input[index])

    def known(self, node: NodeDef, index: int, what: str) -> np.ndarray:
        """Returns the constant that is an input of a node. Raises Unsupported if it
        varies; `what` is what it is called there, with its verb."""
        value = self.value(node, index)
        if value is None:
            raise Unsupported(f"its {what} not known")
        return value

    def is_first(self, node: NodeDef, index: int = 0) -> bool:
        """Whether an input has its channels second."""
        return node.input[index] in self.first

    def shape(self, node: NodeDef, index: int = 0) -> list[int | None]:
        """Returns the shape of an input, in TensorFlow's layout."""
        return self.shapes[node_of(node.input[index])].as_list()

    def rank(self, node: NodeDef, index: int = 0) -> int:
        return self.shapes[node_of(node.input[index])].rank

    def get(self, node: NodeDef, index: int = 0, *, first: bool = False) -> str:
        """Returns the name of an input in the layout that is wanted."""
        name = node.input[index]
        value = self.graph.value(name)
        if value is not None:
            return self.constant(f"{name}/first" if first else name, value, first)
        if first == (name in self.first):
            return name
        copy = f"{name}/channels_{'second' if first else 'last'}"
        if copy not in self._copies:
            self._copies.add(copy)
            permutation = TO_FIRST if first else TO_LAST
            self.emit("Transpose", [name], copy, perm=permutation)
        return copy

    def as_is(self, node: NodeDef) -> str:
        """Returns the name of a node's first input, in whatever layout it is."""
        return self.get(node, first=self.is_first(node))

    def constant(self, name: str, value: np.ndarray, first: bool = False) -> str:
        """Stores a constant once; `first` for what meets tensors of that layout."""
        if name not in self._constants:
            if first:
                value = _broadcast_first(value)
            self._constants[name] = self._onnx.numpy_helper.from_array(
                np.asarray(value, order="C"), name
            )
        return name

    def integers(self, name: str, values: Sequence[int]) -> str:
        """Stores sizes, axes or places."""
        return self.constant(name, np.array(values, np.int64))

    def emit(
        self, op: str, inputs: Sequence[str], output: str, *others: str,
        first: bool = False, **attributes: Any,
    ) -> None:  # fmt: skip
        """Adds an operator that gives the tensor `output`, and perhaps others."""
        self._nodes.append(
            self._onnx.helper.make_node(
                op, list(inputs), [output, *others], name=output, **attributes
            )
        )
        if first:
            self.first.add(output)

    def emit_alike(
        self, op: str, inputs: Sequence[str], output: str, **attributes: Any
    ) -> None:
        """Adds an operator that leaves values where they are, in its inputs' layout."""
        first = not self.first.isdisjoint(inputs)
        self.emit(op, inputs, output, first=first, **attributes)

    def element_type(self, dtype: tf.DType) -> int:
        """Returns ONNX's number of a type."""
        return self._onnx.helper.np_dtype_to_tensor_dtype(
            np.dtype(dtype.as_numpy_dtype)
        )

    def model(self, metadata: dict[str, str]) -> Any:
        """Returns the whole, checked."""
        helper = self._onnx.helper
        used = {name for node in self._nodes for name in node.input}
        graph = helper.make_graph(
            self._nodes,
            "slimnets",
            [self._info(name) for name in self._frozen.inputs],
            [self._info(name) for name in self._frozen.outputs],
            [tensor for name, tensor in self._constants.items() if name in used],
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="slimnets",
            producer_version=__version__,
        )
        helper.set_model_props(model, metadata)
        with refusals_of("ONNX's checker refuses this network"):
            self._onnx.checker.check_model(model, full_check=True)
        return model

    def _info(self, name: str) -> Any:
        sizes = [
            ("batch" if axis == 0 else f"{name}_{axis}") if size is None else size
            for axis, size in enumerate(self.shapes[name].as_list())
        ]
        attributes = self.graph.nodes[name].attr
        kind = attributes["dtype" if "dtype" in attributes else "T"].type
        element = self.element_type(tf.as_dtype(kind))
        return self._onnx.helper.make_tensor_value_info(name, element, sizes)


def _broadcast_first(value: np.ndarray) -> np.ndarray:
    """Returns a constant that broadcasts against NCHW as `value` does against NHWC."""
    if value.size == 1 and value.ndim <= 1:
        return value.reshape(())
    padded = value.reshape((1,) * (4 - value.ndim) + value.shape)
    return padded.transpose(TO_FIRST)
