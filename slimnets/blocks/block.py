"""Block: what a block of units is made of."""

from __future__ import annotations

import collections
import inspect
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from slimnets.listing import listed

_TUPLE_FIELDS = ("depth", "depth_bottleneck", "stride")
# So many kinds of units stand in the text of a block.
_SHOWN = 3


class Unit(tuple):
    """A `(depth, depth_bottleneck, stride)` tuple that may be unpacked by name too.

    `depth, depth_bottleneck, stride = unit` and `unit_fn(net, rate=1, **unit)` are both
    habits of code that was written for TF-Slim.
    """

    __slots__ = ()

    def keys(self) -> tuple[str, ...]:
        return _TUPLE_FIELDS

    def __getitem__(self, key):
        if isinstance(key, str):
            return dict(zip(_TUPLE_FIELDS, self, strict=True))[key]
        return super().__getitem__(key)


class Block(collections.namedtuple("Block", ("name", "unit_fn", "units"))):
    """A block of units.

    Attributes:
        name: the block's variable scope; "" for units in scopes of their own names.
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
        units = [
            Unit(unit) if type(unit) is tuple and len(unit) == len(_TUPLE_FIELDS)
            else unit
            for unit in units
        ]  # fmt: skip
        return super().__new__(cls, name, unit_fn, units)

    def __repr__(self) -> str:
        function = inspect.unwrap(getattr(self.unit_fn, "func", self.unit_fn))
        groups = [(unit, len(list(same))) for unit, same in groupby(self.units)]
        units = [f"{number} x {unit}" if number > 1 else f"{unit}"
                 for unit, number in groups]  # fmt: skip
        return (
            f"<Block {self.name!r}, {getattr(function, '__name__', 'unit')}, "
            f"units {listed(units, _SHOWN)}>"
        )

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
