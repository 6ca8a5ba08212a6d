"""Frozen graphs of TensorFlow 1: constants that were variables, under their names."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets.checkpoints.base import (
    WeightsReader,
    check_expansion,
    damaged,
    unreadable,
)

_WHAT = "the frozen graph"
_KERAS = ("/kernel", "/depthwise_kernel", "/pointwise_kernel")


class FrozenGraphReader(WeightsReader):
    """The variables of a GraphDef that became constants when it was frozen.

    tf.graph_util leaves each its name and what read it, now an Identity. Constants that
    were changed for inference, as by `slimnets export`, are no variables any more.
    """

    kind = "tensorflow"

    def __init__(self, path: str):
        graph = tf.compat.v1.GraphDef()
        try:
            with open(path, "rb") as file:
                graph.ParseFromString(file.read())
        except OSError:
            raise
        except Exception:  # protobuf's errors have no common public type.
            raise unreadable(path, _WHAT, "it is no GraphDef, or damaged") from None
        if not graph.node:
            raise unreadable(path, _WHAT, "it is no GraphDef, or has no nodes")
        self._tensors = dict(_variables(graph))
        shapes = {name: _shape(tensor) for name, tensor in self._tensors.items()}
        if wrong := [n for n, shape in shapes.items() if min(shape, default=0) < 0]:
            raise unreadable(path, _WHAT, f"the shape of {wrong[0]!r} is damaged")
        sizes = (
            math.prod(shape) * (tf.as_dtype(self._tensors[name].dtype).size or 1)
            for name, shape in shapes.items()
        )
        check_expansion(path, _WHAT, sum(sizes))
        if any(name.endswith(_KERAS) for name in shapes):
            self.kind = "keras"
        super().__init__(os.fspath(path), shapes)

    def read(self, name: str) -> np.ndarray:
        try:
            return tf.make_ndarray(self._tensors[name])
        except (TypeError, ValueError) as error:
            raise damaged(self.prefix, _WHAT, error, f"{name!r} is") from None


def _variables(graph: Any) -> Iterator[tuple[str, Any]]:
    constants = {
        node.name: node.attr["value"].tensor
        for node in graph.node
        if node.op == "Const"
    }
    read = {
        source.partition(":")[0]
        for node in graph.node
        if node.op == "Identity"
        for source in node.input
    }
    for name, tensor in constants.items():
        # TensorFlow 2 calls what it froze by what read it: no variable's name.
        is_reader = name.endswith("/ReadVariableOp/resource")
        if name in read and not is_reader and _is_floating(tensor):
            yield name, tensor


def _is_floating(tensor: Any) -> bool:
    try:
        return tf.as_dtype(tensor.dtype).is_floating
    except TypeError:  # A number that is no type.
        return False


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(dim.size for dim in tensor.tensor_shape.dim)
