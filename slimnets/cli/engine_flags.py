"""The flags of every command that a cluster may work for: who works, and what of it is
finished."""

import os

from absl import flags

from slimnets.cli import imports, setting_flags
from slimnets.cli.command import Flag
from slimnets.settings import check, settings_of
from slimnets.sharding.options import ManifestOptions


def of(files: bool = False) -> list[Flag]:
    """The flags of ManifestOptions.

    Args:
        files: whether a worker has a file at a time, which other flags speak of.
    """
    names = settings_of(ManifestOptions).keys() - ({"shard_size"} if files else set())
    return setting_flags.of(ManifestOptions, names)


def options(flag_values: flags.FlagValues) -> ManifestOptions:
    """Returns what they say. Raises ValueError for one that is of no effect."""
    values = setting_flags.values(flag_values, ManifestOptions)
    found = ManifestOptions(**values, imports=imports.IMPORTED)
    check(found)
    return found


def manifest_of(command: str, output: str | None) -> str:
    """Where a command notes what is finished if no flag says so."""
    return os.path.join(output or ".", f"{command}.manifest")
