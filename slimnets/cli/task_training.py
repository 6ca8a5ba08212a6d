"""What the commands that train a task share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from absl import flags

from slimnets.cli import data_flags, train_command
from slimnets.cli.command import define_debug, define_fields
from slimnets.tasks.config import UNUSED, CompositionConfig

_INPUT_FIELDS = tuple(
    field for field in data_flags.FIELDS if field[1] == "train_image_size"
)
BACKBONE_FIELDS = (
    ("integer", "max_train_objects", "Digits in a training image at most."),
    ("integer", "min_digit_side", "Side of a digit's square at least, in pixels."),
    ("integer", "max_digit_side", "Side of a digit's square at most, in pixels."),
    ("float", "digit_sharpness", "How steep the digits' edges are; 1 is as enlarged."),
    ("integer", "num_eval_images", "How many images are composed to measure."),
)  # fmt: skip

Fields = Sequence[tuple[str, str, str]]


def all_fields(extra: Fields) -> list[tuple[str, str, str]]:
    """The flags of training, of the backbone, and a task's own."""
    common = [field for field in train_command.FIELDS if field[1] not in UNUSED]
    return [*common, *_INPUT_FIELDS, *BACKBONE_FIELDS, *extra]


def define(flag_values: flags.FlagValues, config: type, extra: Fields) -> None:
    """Defines the flags of a task's config, with the config's defaults."""
    fields = all_fields(extra)
    define_fields(flag_values, config, fields, train_command.REQUIRED)
    train_command.define_deterministic(flag_values)
    define_debug(flag_values)


def run(
    flag_values: flags.FlagValues,
    command: str,
    config: type[CompositionConfig],
    extra: Fields,
    make_task: Callable[[], object],
) -> None:
    """Trains, and prints the measure as the last line."""
    names = [name for _, name, _ in all_fields(extra)]
    train_command.train(flag_values, command, config, names, make_task)
