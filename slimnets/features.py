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
from typing import Any

import tensorflow as tf

from slimnets import factory
from slimnets.end_points import EndPoints
from slimnets.rows.levels import Feature, levels_of
from slimnets.rows.row import Row

LEVELS = ("C2", "C3", "C4", "C5")


def feature_info(
    network: str | Callable,
    output_stride: int | None = None,
    store_non_strided_activations: bool = False,
    *,
    levels: str | Sequence[str] | None = None,
    normalized: bool = False,
    depth_multiplier: float | None = None,
    min_base_depth: int | None = None,
    norm: str | Callable = "batch",
    multi_grid: Sequence[int] | None = None,
    **options: Any,
) -> list[Feature]:
    """Returns the levels that a network has, from its row alone.

    Equal to what the network gives when it is built with the same arguments.

    Args:
        network: a registered name, or the network's function.
        output_stride, store_non_strided_activations, depth_multiplier,
            min_base_depth, norm, multi_grid: as the network takes them; None for its
            own defaults.
        levels: the levels wanted, in this order, or one; None for all.
        normalized: whether the features of pre-activation networks are those after
            the following norm and activation, as the next unit sees them. All levels
            that have none are left out when `levels` is None.
        **options: further arguments of the network.

    Raises:
        ValueError: for an unknown network, one without levels, an output stride that
            cannot be reached, or what the network cannot do.
        TypeError: for an argument that the network does not have.
        KeyError: for a level that the network does not have.
    """
    row = _row_of(network)
    options |= {
        "output_stride": output_stride,
        "store_non_strided_activations": store_non_strided_activations,
        "depth_multiplier": depth_multiplier,
        "norm": norm,
        "multi_grid": None if multi_grid is None else tuple(multi_grid),
    }
    if min_base_depth is not None:
        options["min_depth"] = min_base_depth
    try:
        table = _table(row, tuple(sorted(options.items())))
    except TypeError:  # What cannot be hashed is not remembered.
        table = levels_of(row, options)
    found = {level: pair[normalized] for level, pair in table.items()}
    there = {level: feature for level, feature in found.items() if feature is not None}
    if levels is None:
        return list(there.values())
    levels = (levels,) if isinstance(levels, str) else levels
    for level in levels:
        if level not in there:
            raise KeyError(_no_level(level, list(found), row.name, normalized))
    return [there[level] for level in levels]


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
    if normalized and (after := getattr(end_points, "normalized", {})):
        known = after
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
    exponent, coarsest = _exponent(level), max(_exponent(key) or 0 for key in known)
    reason = ""
    if exponent is not None and exponent > coarsest:
        reason = f": it ends at stride {2**coarsest}, and {level} is stride "
        reason += f"{2**exponent}"
    elif normalized:
        reason = " whose following norm sees it as it is"
    return f"{name} has no level {level!r}{reason}; it has {', '.join(sorted(known))}."


def _row_of(network: str | Callable) -> Row:
    function = network
    if isinstance(network, str):
        function = factory.network_info(network).network
    row = getattr(function, "row", None)
    if not isinstance(row, Row):
        name = network if isinstance(network, str) else function
        raise ValueError(
            f"The network {getattr(name, '__name__', name)!r} has no levels: only "
            "networks of images, which are made from rows, have."
        )
    return row


@functools.lru_cache(maxsize=1024)
def _table(row: Row, options: tuple) -> dict[str, tuple[Feature, Feature | None]]:
    return levels_of(row, dict(options))


class _CallableModule(types.ModuleType):
    """`slimnets.features` is this module, and the function `features` in it."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[str, tf.Tensor]:
        return features(*args, **kwargs)


# Importing a module sets its package's attribute of that name, whatever stood there.
sys.modules[__name__].__class__ = _CallableModule
