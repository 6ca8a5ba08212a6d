"""The cells of NASNet and PNASNet, as rows, and the unit that builds them.

Source: [1] Zoph et al., Learning Transferable Architectures for Scalable Image
Recognition, arXiv:1707.07012, figure 4; [2] Liu et al., Progressive Neural Architecture
Search, arXiv:1712.00559, figure 1; names and layout of research/slim's nets/nasnet.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from slimnets import end_points, layers
from slimnets.blocks import Built
from slimnets.layers.building import channels_of
from slimnets.scopes import add_arg_scope
from slimnets.units.single import Pool
from slimnets.units.traits import Path, Traits, describes


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


def _traits(
    channels,
    cell,
    depth,
    scaling=1.0,
    stride=1,
    rate=1,
    next_rate=None,
    key="",
    scope="",
    **_,
) -> Traits:
    next_rate = next_rate or rate
    paths: list[set[Path]] = [{()}, {()}]
    for pair in cell.pairs:
        found = set()
        for operation, source in pair:
            step = (stride, rate) if source < 2 else (1, next_rate)
            for path in paths[source]:
                found.add(path + _passed(operation, *step, next_rate))
        paths.append(found)
    every = {path for index in cell.outputs for path in paths[index]}
    # State 1 itself is an output in NASNet, and has passed nothing.
    strided = {path for path in every if path} if stride > 1 else every
    return Traits(
        int(depth * scaling) * len(cell.outputs),
        tuple(sorted(strided)),
        activated=False,
        key=key or scope,
    )


def _passed(operation: str, stride: int, rate: int, next_rate: int) -> Path:
    kind = operation.partition("_")[0]
    if kind == "none":
        return ((1, stride, 1),)
    kernel = int(operation.rpartition("x")[2][0])
    if kind == "separable":
        return ((kernel, stride, rate), (kernel, 1, next_rate))
    return ((kernel, stride, rate),)


@describes(_traits)
@add_arg_scope(default_scope="cell")
def cell_unit(
    inputs: tf.Tensor,
    cell: Cell,
    depth: int,
    stride: int = 1,
    rate: int = 1,
    outputs_collections: Any = None,
    scope: str | None = None,
    *,
    next_rate: int | None = None,
    earlier: Sequence[Built] = (),
    before: int = -2,
    scaling: float = 1.0,
    drop_path: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
    zero_padded_pools: bool = False,
    activation_fn: Callable = tf.nn.relu,
    normalizer_fn: Callable = layers.batch_norm,
    bounded: bool = False,
    key: str = "",
) -> tf.Tensor:
    """Builds a cell.

    Args:
        inputs: `[batch, height, width, channels]`.
        cell: the row.
        depth: channels of each state.
        stride: of what is applied to the inputs and the state before.
        rate: of atrous convolution, up to the stride.
        outputs_collections: collections for the output.
        scope: name of the variable scope.
        next_rate: of atrous convolution, after the stride; as `rate` by default.
        earlier: the last outputs before it; see `stack_blocks`.
        before: which of them is the state before; the inputs where there is none.
        scaling: of the depth.
        drop_path: applied to the result of every operation but `none`.
        zero_padded_pools: whether strided pools are padded with zeros, which count, as
            in Keras Applications.
        activation_fn: before every convolution.
        normalizer_fn: after every convolution.
        bounded: whether activations are ReLU6, pools and sums follow on one too, and
            results of operations are between -6 and 6.
        key: of the end point; the scope's if empty.

    Returns:
        The output, `[batch, height / stride, width / stride, depth * outputs]`.
    """
    activation_fn = tf.nn.relu6 if bounded else activation_fn
    made = _Maker(
        int(depth * scaling),
        rate,
        next_rate or rate,
        activation_fn,
        normalizer_fn,
        zero_padded_pools,
        bounded,
    )
    with tf.compat.v1.variable_scope(scope, "cell", [inputs]) as sc:
        first = activation_fn(inputs)
        second = inputs
        if len(earlier) >= -before:
            second = made.alike(earlier[before], earlier[-1])
        states = [made.projected(first, "1x1", "beginning_bn"), second]
        for index, pair in enumerate(cell.pairs):
            sides = []
            with tf.compat.v1.variable_scope(f"comb_iter_{index}"):
                for side, (operation, source) in zip(
                    ("left", "right"), pair, strict=True
                ):
                    with tf.compat.v1.variable_scope(side):
                        step = stride if source < 2 else 1
                        result = made.apply(operation, states[source], step, source < 2)
                        sides.append(
                            result if operation == "none" else drop_path(result)
                        )
                states.append(made.bounded(sides[0] + sides[1]))
        with tf.compat.v1.variable_scope("cell_output"):
            outputs = [made.reduced(states[index], index) for index in cell.outputs]
            net = tf.concat(outputs, 3)
    path = end_points.full_name(key) if key else sc.name
    return end_points.collect(outputs_collections, path, net, further=not key)


class _Maker:
    """Builds the operations of one cell."""

    def __init__(
        self, depth, rate, next_rate, activation_fn, normalizer_fn, zeros, bounded
    ):
        self.depth = depth
        self.rate, self.next_rate = rate, next_rate
        self.activate, self.normalize = activation_fn, normalizer_fn
        self.zero_padded_pools = zeros
        self.is_bounded = bounded

    def bounded(self, net: tf.Tensor) -> tf.Tensor:
        return self.activate(net) if self.is_bounded else net

    def clipped(self, net: tf.Tensor) -> tf.Tensor:
        return tf.clip_by_value(net, -6.0, 6.0) if self.is_bounded else net

    def projected(self, net, conv: str, norm: str, stride: int = 1) -> tf.Tensor:
        net = layers.conv2d(net, self.depth, 1, stride=stride, scope=conv)
        return self.normalize(net, scope=norm)

    def alike(self, before: Built, net: Built) -> tf.Tensor:
        """The state before with the size of the input, `depth` deep."""
        if before.nominal_stride != net.nominal_stride:
            return self._halved(self.activate(before.net), net.stride // before.stride)
        if channels_of(before.net) == self.depth:
            return before.net
        return self.projected(self.activate(before.net), "prev_1x1", "prev_bn")

    def reduced(self, net: tf.Tensor, index: int) -> tf.Tensor:
        """A state as an output: the first cell's inputs may have another depth."""
        if channels_of(net) == self.depth:
            return net
        with tf.compat.v1.variable_scope(f"reduction_{index}"):
            return self.projected(net, "path_conv", "path_bn")

    def _halved(self, net: tf.Tensor, step: int) -> tf.Tensor:
        """Every second pixel, and those beside them: a stride that leaves none out.

        All of them (step 1) where striding has ended; neighbours are further apart.
        """
        far = max(self.rate // 2, 1)
        shifted = tf.pad(net, [[0, 0], [0, far], [0, far], [0, 0]])[:, far:, far:]
        half = self.depth // 2
        paths = [
            layers.conv2d(net[:, ::step, ::step], half, 1, scope="path1_conv"),
            layers.conv2d(
                shifted[:, ::step, ::step], self.depth - half, 1, scope="path2_conv"
            ),
        ]
        return self.normalize(tf.concat(paths, 3), scope="final_path_bn")

    def apply(self, operation: str, net, stride: int, strides: bool) -> tf.Tensor:
        """Applies an operation; `strides` tells whether it is one that may."""
        kind, _, shape = operation.partition("_")
        rate = self.rate if strides else self.next_rate
        if kind == "separable":
            sizes = int(shape[0]), int(shape[-1])
            return self.clipped(self._separable(net, *sizes, stride, rate))
        channels = channels_of(net)
        if kind == "none":
            if stride == 1 and channels == self.depth:
                return self.bounded(net)
            net = self.projected(self.activate(net), "1x1", "bn_1", stride)
            return self.clipped(net)
        net = self._pool(self.bounded(net), kind, stride, rate)
        if channels != self.depth:
            net = self.projected(net, "1x1", "bn_1")
        return self.clipped(net)

    def _separable(self, net, kernel, count, stride, rate):
        for index in range(1, count + 1):
            net = layers.separable_conv2d(
                self.activate(net),
                self.depth,
                kernel,
                depth_multiplier=1,
                stride=stride if index == 1 else 1,
                rate=rate if index == 1 else self.next_rate,
                scope=f"separable_{kernel}x{kernel}_{index}",
            )
            scope = f"bn_sep_{kernel}x{kernel}_{index}"
            net = self.normalize(net, scope=scope)
        return net

    def _pool(self, net: tf.Tensor, kind: str, stride: int, rate: int) -> tf.Tensor:
        pool = Pool(None, 3, stride, "SAME", kind)
        if not self.zero_padded_pools or stride == 1:
            return pool.build(net, stride, rate, rate)
        # As much as SAME would pad: one pixel after, and one before for odd sizes.
        size = tf.shape(net)[1:3] % 2
        padding = [[0, 0], [size[0], 1], [size[1], 1], [0, 0]]
        channels = net.shape[3]
        net = tf.pad(net, padding)
        net.set_shape([None, None, None, channels])
        return dataclasses.replace(pool, padding="VALID").build(net, stride, 1, 1)
