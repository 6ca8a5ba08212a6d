"""Stages: units of one kind, as data, and what makes blocks of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from slimnets.blocks import Block
from slimnets.units.inverted import divisible
from slimnets.units.single import layers_block, scaled

Scale = Callable[[int], int]


def as_depth(depth: int) -> dict[str, int]:
    """The arguments of a unit of one depth."""
    return {"depth": depth}


@dataclasses.dataclass(frozen=True)
class Bottleneck:
    """The arguments of a bottleneck unit of a base depth, a quarter of the output's.

    Attributes:
        groups: of its 3x3 convolution.
        base_width: 64ths of the base depth that each group of these is wide.
    """

    groups: int = 1
    base_width: int = 64

    def __call__(self, depth: int) -> dict[str, int]:
        width = max(1, depth * self.base_width // 64) * self.groups
        return {"depth": 4 * depth, "depth_bottleneck": width}


@dataclasses.dataclass(frozen=True)
class Grouped:
    """The arguments of a bottleneck unit of one depth, in groups of one width.

    Attributes:
        width: of the groups of its 3x3 convolution.
    """

    width: int

    def __call__(self, depth: int) -> dict[str, int]:
        groups = max(1, depth // self.width)
        return {"depth": depth, "depth_bottleneck": depth, "groups": groups}


@dataclasses.dataclass(frozen=True)
class Separable:
    """The arguments of a unit of separable convolutions, of the last one's depth.

    Attributes:
        parts: the depths of those before it, as parts of it.
    """

    parts: tuple[float, ...]

    def __call__(self, depth: int) -> dict[str, tuple[int, ...]]:
        return {"depths": (*(int(depth * part) for part in self.parts), depth)}


@dataclasses.dataclass(frozen=True)
class Stage:
    """Units of one kind, one after the other.

    Attributes:
        name: of their scope; "" for units in scopes of their own names.
        unit_fn: the unit function.
        repeats: number of units.
        stride: of one of them.
        depth: the base depth, which is scaled; None for units without.
        stride_in: whether the stride sits in the `first` or the `last` unit.
        widths: the arguments that a unit makes of the base depth.
        options: further arguments of all units.
        each: further arguments of each.
    """

    name: str
    unit_fn: Callable
    repeats: int = 1
    stride: int = 1
    depth: int | None = None
    stride_in: str = "first"
    widths: Callable[[int], dict[str, Any]] = as_depth
    options: tuple[tuple[str, Any], ...] = ()
    each: tuple[tuple[tuple[str, Any], ...], ...] = ()

    def block(self, scale: Scale) -> Block:
        """Returns the block that the stage stands for."""
        unit = {**dict(self.options), "stride": 1}
        if self.depth is not None:
            unit |= self.widths(scale(self.depth))
        if "branches" in unit:
            unit["branches"] = scaled(unit["branches"], scale)
        units = [dict(unit) for _ in range(self.repeats)]
        units[0 if self.stride_in == "first" else -1]["stride"] = self.stride
        for made, pairs in zip(units, self.each, strict=False):
            own = dict(pairs)
            made |= own
            if self.depth is None and "depth" in own:
                made["depth"] = scale(own["depth"])
        return Block(self.name, self.unit_fn, units)

    def thin(self) -> Stage:
        """Returns the same of at most two units."""
        return dataclasses.replace(self, repeats=min(self.repeats, 2))


def by_stride(parts: Sequence[Any]) -> tuple[tuple[Any, ...], ...]:
    """Returns single layers as stages, each of which begins with a stride."""
    stages: list[list[Any]] = []
    for layer in parts:
        if not stages or layer.stride > 1:
            stages.append([])
        stages[-1].append(layer)
    return tuple(map(tuple, stages))


def block_of(stage: Stage | Block | tuple, scale: Scale) -> Block:
    """Returns the block of a stage, or of a tuple of single layers."""
    if isinstance(stage, Block):
        return stage
    if isinstance(stage, Stage):
        return stage.block(scale)
    return layers_block(scaled(stage, scale))


@dataclasses.dataclass(frozen=True)
class Depths:
    """How a family scales its depths.

    Attributes:
        least: what a depth is never scaled below.
        divisor: of which scaled depths are multiples; 0 for any depth.
        multiple: the same, rounded down, of depths that are multiples themselves.
        capped: whether a depth below `least` stays as it is.
        zero: whether the multiplier may be 0, for the least depths.
    """

    least: int = 0
    divisor: int = 0
    multiple: int = 1
    capped: bool = False
    zero: bool = False

    def scale(self, multiplier: float, least: int | None = None) -> Scale:
        """Returns the function that scales depths.

        Raises:
            ValueError: for a multiplier that is not positive.
        """
        if not multiplier > 0 and not (self.zero and multiplier == 0):
            raise ValueError(
                f"depth_multiplier={multiplier!r}; allowed is more than 0."
            )
        least = int(self.least if least is None else least)
        if self.divisor:
            return lambda depth: divisible(depth * multiplier, self.divisor, least)

        def scale(depth: int) -> int:
            bound = min(least, depth) if self.capped else least
            value = max(int(depth * multiplier), bound)
            multiple = 1 if depth % self.multiple else self.multiple
            return max(value // multiple, 1) * multiple

        return scale


def check_drop_path(rate: float) -> None:
    """Raises ValueError for a rate that is no probability below 1."""
    if not 0 <= rate < 1:
        raise ValueError(f"drop_path_rate={rate!r}; allowed is 0 <= rate < 1.")


def with_drop_path(blocks: Sequence[Block], rate: float, takes) -> list[Block]:
    """Returns the blocks with a rate that rises from 0 at the first unit to the last.

    Args:
        blocks: the blocks.
        rate: of the last unit that has a branch to drop.
        takes: whether a unit function has.

    Raises:
        ValueError: for a rate that is no probability below 1.
    """
    check_drop_path(rate)
    dropping = [len(block.units) for block in blocks if takes(block.unit_fn)]
    last = max(sum(dropping) - 1, 1)
    counter = iter(range(last + 1))
    return [
        block._replace(
            units=[
                {**unit, "drop_path_rate": rate * next(counter) / last}
                for unit in block.unit_kwargs()
            ]
        )
        if takes(block.unit_fn)
        else block
        for block in blocks
    ]
