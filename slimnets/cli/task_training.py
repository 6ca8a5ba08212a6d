"""What the commands that train a task share."""

from __future__ import annotations

from collections.abc import Callable

from absl import flags

from slimnets.cli import setting_flags, train_command
from slimnets.cli.command import define_debug
from slimnets.settings import settings_of
from slimnets.tasks.head_config import HeadConfig


def names_of(config: type[HeadConfig]) -> list[str]:
    """The settings of a task that it has a use for."""
    return [name for name in settings_of(config) if name not in config.unused]


def define(flag_values: flags.FlagValues, config: type[HeadConfig]) -> None:
    """Defines the flags of a task's config, with the config's defaults."""
    setting_flags.define(flag_values, config, names_of(config))
    train_command.define_deterministic(flag_values)
    define_debug(flag_values)


def run(
    flag_values: flags.FlagValues,
    command: str,
    config: type[HeadConfig],
    make_task: Callable[[], object],
) -> None:
    """Trains, and prints the measure as the last line."""
    train_command.train(flag_values, command, config, names_of(config), make_task)
