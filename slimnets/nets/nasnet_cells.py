"""The cells of NASNet and PNASNet, as rows, and how they are built.

Source: [1] Zoph et al., Learning Transferable Architectures for Scalable Image
Recognition, arXiv:1707.07012, figure 4; [2] Liu et al., Progressive Neural Architecture
Search, arXiv:1712.00559, figure 1; names and layout of research/slim's nets/nasnet.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from slimnets import layers


class State(NamedTuple):
    """An activation and its stride against the network's input."""

    net: tf.Tensor
    stride: int


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell as data: pairs of operations on earlier states, whose results are added.

    Attributes:
        pairs: for each new state, the operations and the states they are applied to;
            state 0 is the cell's input and 1 the one before, made alike.
        outputs: the states that make the cell's output.
    """

    pairs: tuple[tuple[tuple[str, int], tuple[str, int]], ...]
    outputs: tuple[int, ...]


NASNET_NORMAL = Cell(
    (
        (("separable_5x5_2", 0), ("separable_3x3_2", 1)),
        (("separable_5x5_2", 1), ("separable_3x3_2", 1)),
        (("avg_pool_3x3", 0), ("none", 1)),
        (("avg_pool_3x3", 1), ("avg_pool_3x3", 1)),
        (("separable_3x3_2", 0), ("none", 0)),
    ),
    (1, 2, 3, 4, 5, 6),
)
NASNET_REDUCTION = Cell(
    (
        (("separable_5x5_2", 0), ("separable_7x7_2", 1)),
        (("max_pool_3x3", 0), ("separable_7x7_2", 1)),
        (("avg_pool_3x3", 0), ("separable_5x5_2", 1)),
        (("none", 3), ("avg_pool_3x3", 2)),
        (("separable_3x3_2", 2), ("max_pool_3x3", 0)),
    ),
    (3, 4, 5, 6),
)
PNASNET = Cell(
    (
        (("separable_5x5_2", 1), ("max_pool_3x3", 1)),
        (("separable_7x7_2", 0), ("max_pool_3x3", 0)),
        (("separable_5x5_2", 0), ("separable_3x3_2", 0)),
        (("separable_3x3_2", 4), ("max_pool_3x3", 0)),
        (("separable_3x3_2", 1), ("none", 0)),
    ),
    (2, 3, 4, 5, 6),
)


def build_cell(
    cell: Cell,
    net: State,
    before: State | None,
    depth: int,
    stride: int,
    scope: str,
    *,
    drop_path: Callable[[tf.Tensor], tf.Tensor],
    zero_padded_pools: bool = False,
) -> State:
    """Builds a cell.

    Args:
        cell: the row.
        net: its input.
        before: the output of the cell before the last one; None for `net`.
        depth: channels of each state.
        stride: of what is applied to `net` and `before`.
        scope: name of the variable scope.
        drop_path: applied to the result of every operation but `none`.
        zero_padded_pools: whether strided pools are padded with zeros, which count, as
            in Keras Applications.

    Returns:
        The output, `[batch, height / stride, width / stride, depth * outputs]`.
    """
    with tf.compat.v1.variable_scope(scope):
        first = tf.nn.relu(net.net)
        second = net.net if before is None else _alike(before, net, depth)
        first = layers.conv2d(first, depth, 1, scope="1x1")
        first = layers.batch_norm(first, scope="beginning_bn")
        states = [first, second]
        for index, pair in enumerate(cell.pairs):
            sides = []
            with tf.compat.v1.variable_scope(f"comb_iter_{index}"):
                for side, (operation, source) in zip(
                    ("left", "right"), pair, strict=True
                ):
                    with tf.compat.v1.variable_scope(side):
                        result = _apply(
                            operation,
                            states[source],
                            depth,
                            stride if source < 2 else 1,
                            zero_padded_pools,
                        )
                        sides.append(
                            result if operation == "none" else drop_path(result)
                        )
                states.append(sides[0] + sides[1])
        outputs = tf.concat([states[index] for index in cell.outputs], 3)
    return State(outputs, net.stride * stride)


def _alike(before: State, net: State, depth: int) -> tf.Tensor:
    """The state before the last one with the size of the last one, `depth` deep."""
    if before.stride != net.stride:
        return _halved(tf.nn.relu(before.net), depth)
    if before.net.shape[3] == depth:
        return before.net
    made = layers.conv2d(tf.nn.relu(before.net), depth, 1, scope="prev_1x1")
    return layers.batch_norm(made, scope="prev_bn")


def _halved(net: tf.Tensor, depth: int) -> tf.Tensor:
    """Every second pixel, and those beside them: a stride that leaves none out."""
    shifted = tf.pad(net, [[0, 0], [0, 1], [0, 1], [0, 0]])[:, 1:, 1:]
    half = depth // 2
    paths = [
        layers.conv2d(net[:, ::2, ::2], half, 1, scope="path1_conv"),
        layers.conv2d(shifted[:, ::2, ::2], depth - half, 1, scope="path2_conv"),
    ]
    return layers.batch_norm(tf.concat(paths, 3), scope="final_path_bn")


def _apply(
    operation: str, net: tf.Tensor, depth: int, stride: int, zero_padded: bool
) -> tf.Tensor:
    kind, _, shape = operation.partition("_")
    channels = net.shape[3]
    if kind == "separable":
        kernel, count = int(shape[0]), int(shape[-1])
        return _separable(net, depth, kernel, count, stride)
    if kind == "none":
        if stride == 1 and channels == depth:
            return net
        net = layers.conv2d(tf.nn.relu(net), depth, 1, stride=stride, scope="1x1")
        return layers.batch_norm(net, scope="bn_1")
    net = _pool(net, kind, stride, zero_padded)
    if channels != depth:
        net = layers.conv2d(net, depth, 1, scope="1x1")
        net = layers.batch_norm(net, scope="bn_1")
    return net


def _separable(net, depth, kernel, count, stride):
    for index in range(1, count + 1):
        net = layers.separable_conv2d(
            tf.nn.relu(net),
            depth,
            kernel,
            depth_multiplier=1,
            stride=stride if index == 1 else 1,
            scope=f"separable_{kernel}x{kernel}_{index}",
        )
        net = layers.batch_norm(net, scope=f"bn_sep_{kernel}x{kernel}_{index}")
    return net


def _pool(net: tf.Tensor, kind: str, stride: int, zero_padded: bool) -> tf.Tensor:
    pool: Any = {"max": layers.max_pool2d, "avg": layers.avg_pool2d}[kind]
    if not zero_padded or stride == 1:
        return pool(net, 3, stride=stride, padding="SAME")
    # As much as SAME would pad: one pixel after, and one before for odd sizes.
    size = tf.shape(net)[1:3] % 2
    padding = [[0, 0], [size[0], 1], [size[1], 1], [0, 0]]
    channels = net.shape[3]
    net = tf.pad(net, padding)
    net.set_shape([None, None, None, channels])
    return pool(net, 3, stride=stride, padding="VALID")
