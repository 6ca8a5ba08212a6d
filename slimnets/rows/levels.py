"""The walker: a network's levels, from its row alone."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple

from slimnets import layers
from slimnets.blocks import Block, PlannedUnit, check_output_stride, plan_blocks
from slimnets.rows.arguments import ALIASES, not_taken
from slimnets.rows.builder import asked
from slimnets.rows.row import Row
from slimnets.rows.scoping import check_norm
from slimnets.units.traits import Path, Traits, traits_of


class Feature(NamedTuple):
    """What is known of a level without building the network.

    Attributes:
        level: `C1` to `C5`; small-image networks have `C0` too.
        end_point: its key in the network's end points.
        channels: of the activation.
        stride: against the network's input, in pixels; the height is the input's
            divided by this, rounded up (in VGG, LeNet, CifarNet, DenseNet
            and ConvNeXt down).
        receptive_field: side, in pixels, of the square of the input that convolutions
            and pools see from one position.
        sees_whole_image: whether squeeze-and-excitation or group norm lets a position
            depend on all other pixels too.
        normalized: whether the activation comes behind normalization,
        activated: and behind an activation function.
        exact: whether the stride is whole; it is nominal where layers do not pad, and
            the height then less than the input's divided by it.
    """

    level: str
    end_point: str
    channels: int
    stride: int
    receptive_field: int
    sees_whole_image: bool
    normalized: bool
    activated: bool
    exact: bool = True


Table = dict[str, tuple[Feature, Feature | None]]


def levels_of(row: Row, options: dict[str, Any]) -> Table:
    """Returns `{level: (feature, the same after the following norm)}`.

    Args:
        row: the network's row.
        options: its arguments by name; None for its own defaults.

    Raises:
        ValueError: for an output stride that cannot be reached, or what the network
            cannot do.
        TypeError: for an argument that the network does not have.
    """
    row, options = asked(row, _with_defaults(row, options))
    check_norm(options["norm"])
    scale = row.scale(options["depth_multiplier"], options["min_depth"])
    blocks = row.blocks(scale)
    check_output_stride(options["output_stride"], blocks, row.root_stride)
    stride = options["output_stride"]
    walker = _Walker(row, options["norm"] in ("group", layers.group_norm))
    root = row.root_block(scale)
    if root is not None:
        walker.walk(plan_blocks([root]), 1, {})
    walker.sees_whole_image |= row.has_group_norms
    planned = plan_blocks(
        blocks,
        stride and stride // row.root_stride,
        options["store_non_strided_activations"],
        options["multi_grid"],
    )
    walker.walk(planned, row.root_stride, dict(row.unit_options))
    if row.preactivation:
        walker.mark_normalized(row.name + "/postnorm")
    return walker.table


def _with_defaults(row: Row, options: dict[str, Any]) -> dict[str, Any]:
    defaults = {
        ALIASES.get(name, name): parameter.default
        for name, parameter in row.signature.parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    given = {ALIASES.get(k, k): v for k, v in options.items() if v is not None}
    for name in given:
        if name not in defaults:
            raise not_taken(row.name, name, row.signature)
    return {**defaults, "is_training": False, **given, "inputs": None}


class _Walker:
    """Follows a network from its input, and keeps the last activation of each level."""

    def __init__(self, row: Row, group_norm: bool):
        self.row = row
        self.group_norm = group_norm
        self.sees_whole_image = group_norm and not row.preactivation
        self.table: Table = {}
        self._level: str | None = None
        self._depth, self._fields, self._jump = 0, (1, 1), 1
        self._exact = True

    def walk(self, planned, root_stride: int, options: dict[str, Any]) -> None:
        """Passes blocks; `options` are further arguments of their units."""
        for block, units, subsampled in planned:
            for index, unit in enumerate(units, start=1):
                self._unit(block, index, unit, root_stride, options)
            if block.name:
                self._rename(f"{self._scope}{block.name}")
            if subsampled > 1:
                self._level = None
                self._see([((1, subsampled, 1),)])

    @property
    def _scope(self) -> str:
        return "" if self.row.bare_keys else f"{self.row.scope_name}/"

    def _unit(self, block: Block, index: int, unit: PlannedUnit, root_stride, options):
        own = {**options, **unit.kwargs} if block.name else dict(unit.kwargs)
        step = {
            "stride": unit.stride, "rate": unit.rate, "next_rate": unit.next_rate,
        }  # fmt: skip
        traits = traits_of(block.unit_fn, self._depth, **{**own, **step})
        place = f"{block.name}/unit_{index}/" if block.name else ""
        if traits.preact is not None:
            self.mark_normalized(f"{self._scope}{place}{traits.preact}")
        if traits.before_stride is not None and unit.stride > 1:
            self._replace_level(f"{self._scope}{place}", traits.before_stride)
        self._see(traits.paths)
        self._exact = self._exact and traits.exact
        self.sees_whole_image |= traits.sees_whole_image or (
            self.group_norm and self.row.preactivation
        )
        self._depth = traits.depth
        stride = root_stride * unit.output_stride
        self._mark(f"{self._scope}{place}{traits.key}", traits, stride)

    def _see(self, paths: Sequence[Path]) -> None:
        """Passes convolutions and pools, by whichever way sees furthest."""
        jump, fields = self._jump, list(self._fields)
        for path in paths:
            reached, seen = self._jump, list(self._fields)
            for kernel, stride, rate in path:
                sides = (kernel, kernel) if isinstance(kernel, int) else kernel
                for axis in (0, 1):
                    seen[axis] += (sides[axis] - 1) * rate * reached
                reached *= stride
            jump = max(jump, reached)
            fields = list(map(max, fields, seen))
        self._jump, self._fields = jump, tuple(fields)

    def _mark(self, key: str, traits: Traits, stride: int) -> None:
        """Says what the activation at this place is called."""
        self._level = None
        if stride & (stride - 1):
            return  # Levels are powers of two.
        self._level = f"C{stride.bit_length() - 1}"
        feature = Feature(
            self._level,
            key,
            traits.depth,
            stride,
            max(self._fields),
            self.sees_whole_image,
            normalized=self.row.normalized and traits.normalized,
            activated=traits.activated,
            exact=self._exact,
        )
        done = not self.row.preactivation
        self.table[self._level] = (feature, feature if done else None)

    def _replace_level(self, place: str, inner: Traits) -> None:
        """An activation inside of a unit, before its stride, is the last of a level."""
        if self._level is not None:
            jump, fields = self._jump, self._fields
            self._see(inner.paths)
            feature = self.table[self._level][0]._replace(
                end_point=f"{place}{inner.key}",
                channels=inner.depth,
                receptive_field=max(self._fields),
                normalized=self.row.normalized and inner.normalized,
                activated=inner.activated,
            )
            self._jump, self._fields = jump, fields
            self.table[self._level] = (feature, feature)

    def _rename(self, key: str) -> None:
        """Gives the activation at this place another key."""
        if self._level is not None:
            self.table[self._level] = tuple(
                feature and feature._replace(end_point=key)
                for feature in self.table[self._level]
            )

    def mark_normalized(self, key: str) -> None:
        """Says where the activation at this place is normalized and activated."""
        if self._level is not None and self.row.preactivation:
            feature, _ = self.table[self._level]
            changed = feature._replace(end_point=key, normalized=True, activated=True)
            whole = self.sees_whole_image or self.group_norm
            self.table[self._level] = (
                feature,
                changed._replace(sees_whole_image=whole),
            )
