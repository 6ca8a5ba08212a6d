"""Blocks of units, and the one place that keeps account of stride and rate.

`Block(name, unit_fn, units)` says what a block is made of; `stack_blocks` builds it.
Once the requested output stride is reached, further strides become rates of atrous
convolution [1], so that the activations equal those of the strided network where both
exist.

Source: tf_slim/nets/resnet_utils.py; [1] Chen et al., DeepLab, arXiv:1606.00915.
"""

from __future__ import annotations

import collections
import functools
import inspect
import itertools
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from slimnets import end_points, layers
from slimnets.layers import replay
from slimnets.scopes import add_arg_scope, arg_scope, current_arg_scope

_TUPLE_FIELDS = ("depth", "depth_bottleneck", "stride")


class Block(collections.namedtuple("Block", ("name", "unit_fn", "units"))):
    """A block of units.

    Attributes:
        name: the block's variable scope.
        unit_fn: builds one unit: `unit_fn(net, rate=..., **unit) -> net`.
        units: for each unit a `(depth, depth_bottleneck, stride)` tuple, or a dict of
            keyword arguments for `unit_fn`, of which `stride` is 1 when absent.
        scope, args: TF-Slim's names for `name` and `units`; also taken as keywords.
    """

    __slots__ = ()

    def __new__(cls, name=None, unit_fn=None, units=None, *, scope=None, args=None):
        name = scope if name is None else name
        units = args if units is None else units
        if not callable(unit_fn):
            raise TypeError(
                f"Block {name!r}: unit_fn must be a function; got {unit_fn!r}."
            )
        if not units:
            raise ValueError(f"Block {name!r} has no units; give one or more.")
        return super().__new__(cls, name, unit_fn, units)

    @property
    def scope(self) -> str:
        return self.name

    @property
    def args(self) -> Sequence:
        return self.units

    def unit_kwargs(self) -> list[dict[str, Any]]:
        """Returns every unit as keyword arguments for `unit_fn`."""
        return [_unit_kwargs(self.name, unit) for unit in self.units]


def _unit_kwargs(block_name: str, unit: Any) -> dict[str, Any]:
    if isinstance(unit, dict):
        kwargs = dict(unit)
    elif isinstance(unit, (tuple, list)) and len(unit) == len(_TUPLE_FIELDS):
        kwargs = dict(zip(_TUPLE_FIELDS, unit, strict=True))
    else:
        raise ValueError(
            f"Block {block_name!r}: a unit is a tuple of {_TUPLE_FIELDS} or a dict of "
            f"keyword arguments; got {unit!r}."
        )
    stride = kwargs.get("stride", 1)
    if not isinstance(stride, int) or stride < 1:
        raise ValueError(
            f"Block {block_name!r}: stride={stride!r}; allowed is an integer >= 1."
        )
    return kwargs


def subsample(inputs: tf.Tensor, factor: int, scope: str | None = None) -> tf.Tensor:
    """Keeps every `factor`-th row and column, beginning with the first.

    Args:
        inputs: `[batch, height, width, channels]`.
        factor: 1 returns the inputs.
        scope: name of the name scope.

    Returns:
        `[batch, ceil(height / factor), ceil(width / factor), channels]`.
    """
    if factor == 1:
        return inputs
    return layers.max_pool2d(inputs, 1, stride=factor, padding="VALID", scope=scope)


def conv2d_same(
    inputs: tf.Tensor,
    num_outputs: int,
    kernel_size: int,
    stride: int,
    rate: int = 1,
    scope: str | None = None,
    **kwargs,
) -> tf.Tensor:
    """A strided convolution that sees the same pixels at every stride.

    Equal to `conv2d(..., stride=1, padding='SAME')` followed by `subsample`. What
    `conv2d(..., stride=stride, padding='SAME')` gives differs from that when the
    height or width is even, because its padding depends on the stride.

    Args:
        inputs: `[batch, height, width, channels]`.
        num_outputs: number of output channels.
        kernel_size: height and width of the kernel.
        stride: of the output.
        rate: of atrous convolution.
        scope: name of the variable scope.
        **kwargs: further arguments of `conv2d`.

    Returns:
        `[batch, ceil(height / stride), ceil(width / stride), num_outputs]`.
    """
    if stride == 1:
        return layers.conv2d(
            inputs,
            num_outputs,
            kernel_size,
            stride=1,
            rate=rate,
            padding="SAME",
            scope=scope,
            **kwargs,
        )
    total = (kernel_size - 1) * rate
    sides = [total // 2, total - total // 2]
    inputs = tf.pad(inputs, [[0, 0], sides, sides, [0, 0]])
    return layers.conv2d(
        inputs,
        num_outputs,
        kernel_size,
        stride=stride,
        rate=rate,
        padding="VALID",
        scope=scope,
        **kwargs,
    )


def reachable_strides(blocks: Iterable[Block], root_stride: int = 1) -> list[int]:
    """Returns the output strides that the blocks' units allow, in rising order."""
    steps = [u.get("stride", 1) for block in blocks for u in block.unit_kwargs()]
    return sorted(set(itertools.accumulate([root_stride, *steps], operator.mul)))


def check_output_stride(
    output_stride: int | None, blocks: Sequence[Block], root_stride: int = 1
) -> None:
    """Raises ValueError unless the blocks can stop at `output_stride`."""
    reachable = reachable_strides(blocks, root_stride)
    if output_stride is not None and output_stride not in reachable:
        raise ValueError(
            f"output_stride={output_stride!r} cannot be reached: the units' strides "
            f"allow {reachable}."
        )


class PlannedUnit(NamedTuple):
    """How a unit is built: its own arguments, and what striding has come to.

    Attributes:
        kwargs: the unit's arguments, without the stride.
        stride: to build it with.
        rate: of atrous convolution, before its stride.
        next_rate: the same after its stride.
        output_stride: of its output, against the blocks' input.
    """

    kwargs: dict[str, Any]
    stride: int
    rate: int
    next_rate: int
    output_stride: int


class PlannedBlock(NamedTuple):
    """How a block is built.

    Attributes:
        block: what was planned.
        units: its units.
        subsample: by how much its end point is subsampled for the next block.
    """

    block: Block
    units: list[PlannedUnit]
    subsample: int


def plan_blocks(
    blocks: Sequence[Block],
    output_stride: int | None = None,
    store_non_strided_activations: bool = False,
    multi_grid: Sequence[int] | None = None,
) -> list[PlannedBlock]:
    """Returns the stride and rate of every unit; arguments as of `stack_blocks`.

    Raises:
        ValueError: if the output stride cannot be reached, a unit is not one, or the
            multi-grid is not of the last block's units.
    """
    check_output_stride(output_stride, blocks)
    grids = [[1] * len(block.units) for block in blocks]
    if multi_grid is not None:
        grids[-1] = _checked_grid(multi_grid, blocks[-1])
    state = _Stride(output_stride)
    planned = []
    for block, grid in zip(blocks, grids, strict=True):
        units = block.unit_kwargs()
        after = 1
        if store_non_strided_activations:
            # Moved from the last unit to the block's end.
            after = units[-1].get("stride", 1)
            units[-1] = {**units[-1], "stride": 1}
        planned_units = []
        for unit, factor in zip(units, grid, strict=True):
            stride, rate = state.advance(unit.get("stride", 1))
            planned_units.append(
                PlannedUnit(
                    unit, stride, rate * factor, state.rate * factor, state.stride
                )
            )
        subsampled, _ = state.advance(after)
        planned.append(PlannedBlock(block, planned_units, subsampled))
    return planned


def _checked_grid(multi_grid: Sequence[int], block: Block) -> list[int]:
    grid = list(multi_grid)
    if len(grid) != len(block.units) or any(
        not isinstance(factor, int) or factor < 1 for factor in grid
    ):
        raise ValueError(
            f"multi_grid={multi_grid!r}; allowed is one integer >= 1 for each of the "
            f"{len(block.units)} units of {block.name}, the last block."
        )
    return grid


@add_arg_scope
def stack_blocks(
    net: tf.Tensor,
    blocks: Sequence[Block],
    output_stride: int | None = None,
    store_non_strided_activations: bool = False,
    outputs_collections: Any = None,
    root_stride: int = 1,
    multi_grid: Sequence[int] | None = None,
    recompute: bool = False,
) -> tf.Tensor:
    """Stacks blocks and controls the density of their output.

    It knows nothing of what a unit is: it calls `unit_fn(net, rate=..., **unit)` in
    the scope `block/unit_i` and keeps the arithmetic of stride and rate. A unit
    function with a parameter `next_rate` is also given the rate for what it convolves
    after its stride.

    Args:
        net: `[batch, height, width, channels]`.
        blocks: the blocks.
        output_stride: None for the units' own strides; or a product of the units'
            strides from the start up to some unit, at which striding ends and atrous
            convolution goes on: units of strides 1, 2, 1, 3, 4, 1 allow 1, 2, 6, 24.
        store_non_strided_activations: moves the stride of a block's last unit behind
            the block, so that the block's end point has the resolution before it.
        outputs_collections: collections for the blocks' outputs.
        root_stride: stride of `net` against the network's input, for the levels in
            end points.
        multi_grid: factors of the last block's rates, one for each unit (Chen et al.,
            arXiv:1706.05587, section 3.2.1); whatever the output stride.
        recompute: whether each unit keeps only its input for the gradients, and is
            computed again for them; see `layers.replay`.

    Returns:
        The last block's output, at the output stride.

    Raises:
        ValueError: if the output stride cannot be reached, a unit is not one, or the
            multi-grid is not of the last block's units.
    """
    for block, units, subsampled in plan_blocks(
        blocks, output_stride, store_non_strided_activations, multi_grid
    ):
        with tf.compat.v1.variable_scope(block.name, "block", [net]) as sc:
            for index, unit in enumerate(units, start=1):
                kwargs = dict(unit.kwargs)
                if "stride" in kwargs:
                    kwargs["stride"] = unit.stride
                if _takes_next_rate(block.unit_fn):
                    kwargs["next_rate"] = unit.next_rate
                with tf.compat.v1.variable_scope(f"unit_{index}", values=[net]):
                    build = functools.partial(block.unit_fn, rate=unit.rate, **kwargs)
                    net = recomputed(build, net) if recompute else build(net)
                stride = root_stride * unit.output_stride
                end_points.mark_stride(outputs_collections, net, stride)
            end_points.collect(outputs_collections, sc.name, net)
            end_points.mark_stride(outputs_collections, net, stride)
            net = subsample(net, subsampled)
    return net


def recomputed(build: Callable, net: tf.Tensor) -> tf.Tensor:
    """`build(net)`, which is built again in the scopes of here for its gradients."""
    scopes = dict(current_arg_scope())

    def in_scopes(inputs: tf.Tensor) -> tf.Tensor:
        with arg_scope(scopes):
            return build(inputs)

    return replay.recomputed(in_scopes, net)


@functools.cache
def _takes_next_rate(unit_fn: Callable) -> bool:
    return "next_rate" in inspect.signature(unit_fn).parameters


class _Stride:
    """The stride reached so far, and the rate of what comes after it."""

    def __init__(self, output_stride: int | None):
        self.output_stride = output_stride
        self.stride = 1
        self.rate = 1

    def advance(self, stride: int) -> tuple[int, int]:
        """Takes a step of `stride`; returns the stride and rate to build it with."""
        rate = self.rate
        if self.stride == self.output_stride:
            self.rate *= stride
            return 1, rate
        self.stride *= stride
        return stride, rate


# TF-Slim's name.
stack_blocks_dense = stack_blocks
