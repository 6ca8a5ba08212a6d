"""The flags of a config's settings: their names, kinds, defaults, help and headings."""

from __future__ import annotations

import types
import typing
from collections.abc import Collection, Sequence
from typing import Any

from absl import flags

from slimnets.cli.command import Flag
from slimnets.cli.messages import in_flags
from slimnets.settings import REQUIRED, describe, settings_of

# By what a setting is; of alternatives the first.
_KINDS = {
    str: "string", int: "integer", float: "float", bool: "boolean", Any: "string",
    Sequence[str]: "multi_string",
}  # fmt: skip


def of(
    config: type, names: Collection[str] | None = None, *, with_defaults: bool = True
) -> list[Flag]:
    """A flag for each setting of a config.

    Args:
        config: a dataclass, see `slimnets.settings`.
        names: of the settings; None for all.
        with_defaults: whether the flags have the settings'; else None, for what is
            found in the place that the command reads.
    """
    settings = settings_of(config)
    hints = typing.get_type_hints(config)
    found = []
    for name, field in settings.items():
        if names is not None and name not in names:
            continue
        kind = hints[name]
        if typing.get_origin(kind) in (types.UnionType, typing.Union):
            kind = typing.get_args(kind)[0]
        default = field.default if with_defaults else None
        found.append(
            Flag(
                _KINDS[kind],
                name,
                None if default is REQUIRED else default,
                in_flags(describe(field), settings),
                module_name=field.metadata["group"],
            )
        )
    return found


def values(flag_values: flags.FlagValues, config: type) -> dict[str, Any]:
    """What the flags say of a config's settings, as far as there are such, by name."""
    names = (name for name in settings_of(config) if name in flag_values)
    return {name: flag_values[name].value for name in names}
