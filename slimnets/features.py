"""Levels: the activations that detection and segmentation take from a network.

    for feature in slimnets.feature_info("resnet_v2_50", output_stride=16):
        print(feature.level, feature.end_point, feature.channels, feature.stride)

    net, end_points = slimnets.build("resnet_v2_50", images, output_stride=16)
    c3, c4 = slimnets.features(end_points, ("C3", "C4")).values()

Level `Cn` is the last activation at stride `2 ** n`. Where stride sits in a block's
last unit, that is the unit before; with store_non_strided_activations, the block's
own end.

Source: the levels' names are those of Lin et al., Feature Pyramid Networks,
arXiv:1612.03144, section 3.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from slimnets import factory, units
from slimnets.blocks import PlannedUnit, check_output_stride, plan_blocks
from slimnets.end_points import EndPoints
from slimnets.nets.chains import Chain
from slimnets.nets.freezing import check_norm
from slimnets.nets.rows import Row

LEVELS = ("C2", "C3", "C4", "C5")


class Feature(NamedTuple):
    """What is known of a level without building the network.

    Attributes:
        level: `C1` to `C5`; small-image networks have `C0` too.
        end_point: its key in the network's end points.
        channels: of the activation.
        stride: against the network's input, in pixels; the height is the input's
            divided by this, rounded up (in VGG, LeNet and CifarNet down).
        receptive_field: side, in pixels, of the square of the input that convolutions
            and pools see from one position.
        sees_whole_image: whether squeeze-and-excitation or group norm lets a position
            depend on all other pixels too.
        normalized: whether the activation comes behind normalization,
        activated: and behind an activation function.
    """

    level: str
    end_point: str
    channels: int
    stride: int
    receptive_field: int
    sees_whole_image: bool
    normalized: bool
    activated: bool


def feature_info(
    network: str | Callable,
    output_stride: int | None = None,
    store_non_strided_activations: bool = False,
    *,
    levels: str | Sequence[str] | None = None,
    normalized: bool = False,
    depth_multiplier: float | None = None,
    min_base_depth: int | None = None,
    norm: str = "batch",
    multi_grid: Sequence[int] | None = None,
) -> list[Feature]:
    """Returns the levels that a network has, from its row alone.

    Equal to what the network gives when it is built with the same arguments.

    Args:
        network: a registered name, or the network's function.
        output_stride, store_non_strided_activations, depth_multiplier,
            min_base_depth, norm, multi_grid: as the network takes them; None for its
            own defaults. Networks other than the residual ones take output_stride and
            depth_multiplier alone, and min_base_depth as their min_depth.
        levels: the levels wanted, in this order, or one; None for all.
        normalized: whether the features of pre-activation networks are those after
            the following norm and activation, as the next unit sees them. All levels
            that have none are left out when `levels` is None.

    Raises:
        ValueError: for an unknown network, one without levels, an output stride that
            cannot be reached, or an option that the network does not have.
        KeyError: for a level that the network does not have.
    """
    row = _row_of(network)
    if isinstance(row, Chain):
        if store_non_strided_activations or norm != "batch" or multi_grid is not None:
            raise ValueError(
                f"{row.name} has no such options; allowed are output_stride, "
                "depth_multiplier and min_base_depth."
            )
        table = _chain_table(row, output_stride, depth_multiplier, min_base_depth)
    else:
        check_norm(norm)
        table = _table(
            row,
            output_stride,
            store_non_strided_activations,
            1.0 if depth_multiplier is None else depth_multiplier,
            8 if min_base_depth is None else min_base_depth,
            norm == "group",
            None if multi_grid is None else tuple(multi_grid),
        )
    found = {level: pair[normalized] for level, pair in table.items()}
    if levels is None:
        return [feature for feature in found.values() if feature is not None]
    levels = (levels,) if isinstance(levels, str) else levels
    for level in levels:
        if found.get(level) is None:
            raise KeyError(_no_level(level, list(found), row.name, normalized))
    return [found[level] for level in levels]


def features(
    end_points: Mapping[str, tf.Tensor],
    levels: str | Sequence[str] = LEVELS,
    *,
    normalized: bool = False,
) -> dict[str, tf.Tensor]:
    """Returns `{level: activation}` of a network that was built.

    Args:
        end_points: what the network function gave.
        levels: levels, or other names that the end points answer to; or one of them.
        normalized: as of `feature_info`.

    Raises:
        KeyError: for a level or end point that the network does not have.
    """
    levels = (levels,) if isinstance(levels, str) else levels
    known = getattr(end_points, "levels", {})
    if normalized and getattr(end_points, "normalized", {}):
        known = end_points.normalized
        for level in levels:
            if level not in known:
                raise KeyError(_no_level(level, list(known), _scope(end_points), True))
        return {level: end_points[known[level]] for level in levels}
    for level in levels:
        if level not in end_points and _exponent(level) is not None:
            raise KeyError(_no_level(level, list(known), _scope(end_points), False))
    return {level: end_points[level] for level in levels}


def _scope(end_points: Mapping) -> str | None:
    return end_points.scope if isinstance(end_points, EndPoints) else None


def _exponent(level: Any) -> int | None:
    text = str(level)
    return int(text[1:]) if text[:1] == "C" and text[1:].isdecimal() else None


def _no_level(level: Any, known: list[str], name: str | None, normalized: bool) -> str:
    """The message for a level that is not there, with the reason."""
    name = name or "This network"
    if not known:
        return f"{name} has no levels; got level {level!r}."
    exponent, coarsest = _exponent(level), max(map(_exponent, known))
    reason = ""
    if exponent is not None and exponent > coarsest:
        reason = f": it ends at stride {2**coarsest}, and {level} is stride "
        reason += f"{2**exponent}"
    elif normalized:
        reason = " whose following norm sees it as it is"
    return f"{name} has no level {level!r}{reason}; it has {', '.join(sorted(known))}."


def _row_of(network: str | Callable) -> Row | Chain:
    function = network
    if isinstance(network, str):
        function = factory.network_info(network).network
    row = getattr(function, "row", None)
    reason = getattr(row, "no_levels", "")
    if reason or not isinstance(row, (Row, Chain)):
        name = network if isinstance(network, str) else function
        reason = reason or "only networks of images, which are made from rows, have"
        raise ValueError(
            f"The network {getattr(name, '__name__', name)!r} has no levels: {reason}."
        )
    return row


@functools.lru_cache(maxsize=1024)
def _chain_table(
    chain: Chain,
    output_stride: int | None,
    depth_multiplier: float | None,
    min_depth: int | None,
) -> dict[str, tuple[Feature, Feature]]:
    """As `_table`, for layers in a row."""
    table = {}
    depth = chain.depth(depth_multiplier, min_depth)
    for known in chain.known(depth, output_stride):
        feature = Feature(
            f"C{known.stride.bit_length() - 1}",
            known.key,
            known.channels,
            known.stride,
            known.receptive_field,
            known.sees_whole_image,
            normalized=chain.normalized,
            activated=known.activated,
        )
        table[feature.level] = (feature, feature)
    return table


@functools.lru_cache(maxsize=1024)
def _table(
    row: Row,
    output_stride: int | None,
    store_non_strided: bool,
    depth_multiplier: float,
    min_base_depth: int,
    group_norm: bool,
    multi_grid: tuple[int, ...] | None,
) -> dict[str, tuple[Feature, Feature | None]]:
    """`{level: (feature, the same after the following norm)}`."""
    blocks = row.blocks(depth_multiplier, min_base_depth)
    root_stride = row.root.total_stride
    check_output_stride(output_stride, blocks, root_stride)
    planned = plan_blocks(
        blocks,
        output_stride and output_stride // root_stride,
        store_non_strided,
        multi_grid,
    )
    levels = _Levels(row, group_norm)
    levels.add_root()
    levels.sees_whole_image = group_norm or not row.dense_is_exact
    options = dict(row.unit_options)
    for block, block_units, subsampled in planned:
        scope = f"{row.name}/{block.name}"
        for index, unit in enumerate(block_units, start=1):
            name = f"{scope}/unit_{index}/{block.unit_fn.__name__}"
            levels.mark_normalized(f"{name}/preact")
            for step in _unit_steps(block.unit_fn, options, unit):
                levels.see(*step)
            levels.mark(name, unit.kwargs["depth"], root_stride * unit.output_stride)
        levels.rename(scope)
        if subsampled > 1:
            levels.leave(subsampled)
    levels.mark_normalized(f"{row.name}/postnorm")
    return levels.table


class _Levels:
    """Follows a network from its input, and keeps the last activation of each level."""

    def __init__(self, row: Row, group_norm: bool):
        self.row = row
        self.sees_whole_image = group_norm and not row.preactivation
        self.table: dict[str, tuple[Feature, Feature | None]] = {}
        self._level: str | None = None
        self._field, self._jump = 1, 1

    def see(self, kernel: int, stride: int, rate: int) -> None:
        """Passes a convolution or pool."""
        self._field += (kernel - 1) * rate * self._jump
        self._jump *= stride

    def mark(self, key: str, channels: int, stride: int) -> None:
        """Says what the activation at this place is called."""
        self._level = None
        if stride & (stride - 1):
            return  # Levels are powers of two.
        self._level = f"C{stride.bit_length() - 1}"
        done = not self.row.preactivation
        feature = Feature(
            self._level,
            key,
            channels,
            stride,
            self._field,
            self.sees_whole_image,
            normalized=done,
            activated=done,
        )
        self.table[self._level] = (feature, feature if done else None)

    def rename(self, key: str) -> None:
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
            whole = self.sees_whole_image
            self.table[self._level] = (
                feature,
                changed._replace(sees_whole_image=whole),
            )

    def leave(self, stride: int) -> None:
        """Passes a subsampling, after which this place has no key."""
        self._level = None
        self.see(1, stride, 1)

    def add_root(self) -> None:
        """Passes the root."""
        root, name = self.row.root, self.row.name
        stride = depth = 1
        for conv, (depth, kernel, conv_stride) in zip(
            root.conv_names, root.convs, strict=True
        ):
            self.see(kernel, conv_stride, 1)
            stride *= conv_stride
            self.mark(f"{name}/{conv}", depth, stride)
        if root.pool == "blur":
            self.see(3, 1, 1)
        if root.pool:
            self.leave(1)
            self.see(3, 2, 1)
            self.mark(f"{name}/pool1", depth, root.total_stride)


def _unit_steps(
    unit_fn: Callable, options: Mapping[str, Any], unit: PlannedUnit
) -> list[tuple[int, int, int]]:
    """`(kernel, stride, rate)` of what a unit's residual branch passes."""
    stride, rate, next_rate = unit.stride, unit.rate, unit.next_rate
    if unit_fn in (units.basic_v1, units.basic_v2):
        return [(3, stride, rate), (3, 1, next_rate)]
    if options.get("stride_first"):
        return [(1, stride, 1), (3, 1, next_rate)]
    if options.get("antialias") and next_rate * stride > rate:
        return [(3, 1, rate), (3, stride, rate)]
    return [(3, stride, rate)]


class _CallableModule(types.ModuleType):
    """`slimnets.features` is this module, and the function `features` in it."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[str, tf.Tensor]:
        return features(*args, **kwargs)


# Importing a module sets its package's attribute of that name, whatever stood there.
sys.modules[__name__].__class__ = _CallableModule
