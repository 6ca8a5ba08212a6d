"""The plan of a network: the stride and rate of every unit, before any is built."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from slimnets.blocks.block import Block


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
        nominal_stride: the same as the units' own strides have it.
    """

    kwargs: dict[str, Any]
    stride: int
    rate: int
    next_rate: int
    output_stride: int
    nominal_stride: int


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
    state = Stride(output_stride)
    planned = []
    for block, grid in zip(blocks, grids, strict=True):
        units = block.unit_kwargs()
        after = 1
        if store_non_strided_activations and block.name:
            # Moved from the last unit to the block's end, where its end point is.
            after = units[-1].get("stride", 1)
            units[-1] = {**units[-1], "stride": 1}
        planned_units = [
            state.planned(unit, factor)
            for unit, factor in zip(units, grid, strict=True)
        ]
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
            f"{len(block.units)} units of {block.name or 'the last stage'}, the last "
            "block."
        )
    return grid


class Stride:
    """The stride reached so far, and the rate of what comes after it."""

    def __init__(self, output_stride: int | None):
        self.output_stride = output_stride
        self.stride = 1
        self.nominal = 1
        self.rate = 1

    def advance(self, stride: int) -> tuple[int, int]:
        """Takes a step of `stride`; returns the stride and rate to build it with."""
        rate = self.rate
        self.nominal *= stride
        if self.stride == self.output_stride:
            self.rate *= stride
            return 1, rate
        self.stride *= stride
        return stride, rate

    def planned(self, unit: dict[str, Any], factor: int) -> PlannedUnit:
        """Takes a unit's step; `factor` is of its rates."""
        stride, rate = self.advance(unit.get("stride", 1))
        return PlannedUnit(
            unit, stride, rate * factor, self.rate * factor, self.stride, self.nominal
        )
