"""What the commands that train a task share."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Sequence

from absl import flags

from slimnets.cli import train_command
from slimnets.cli.common import define_debug, require, start_tensorflow
from slimnets.training.config import TrainingConfig

REQUIRED = ("model_name", "train_dir")
# Of classification alone.
_NOT_HERE = ("label_smoothing",)
BACKBONE_FIELDS = (
    ("string", "norm", "The backbone's norm: batch, frozen, sync or group."),
    ("integer", "freeze_at", "How many of the backbone's stages do not train: 1 is "
     "the root, 2 the first block too."),
    ("integer", "max_train_objects", "Digits in a training image at most."),
    ("integer", "min_digit_side", "Of a digit's square, in pixels."),
    ("integer", "max_digit_side", "The same at most."),
    ("float", "digit_sharpness", "How steep the digits' edges are; 1 is as enlarged."),
    ("integer", "num_eval_images", "How many images are composed to measure."),
)  # fmt: skip

Fields = Sequence[tuple[str, str, str]]


def all_fields(extra: Fields) -> list[tuple[str, str, str]]:
    """The flags of training, of the backbone, and a task's own."""
    common = [field for field in train_command.FIELDS if field[1] not in _NOT_HERE]
    return [*common, *BACKBONE_FIELDS, *extra]


def define(flag_values: flags.FlagValues, config: type, extra: Fields) -> None:
    """Defines the flags of a task's config, with the config's defaults."""
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    for kind, name, text in all_fields(extra):
        default = None if name in REQUIRED else defaults[name]
        getattr(flags, f"DEFINE_{kind}")(name, default, text, flag_values=flag_values)
    define_debug(flag_values)


def run(
    flag_values: flags.FlagValues,
    command: str,
    config: type[TrainingConfig],
    extra: Fields,
    make_task: Callable[[], object],
) -> None:
    """Trains, and prints the measure as the last line."""
    started = time.monotonic()
    require(flag_values, command, *REQUIRED)
    start_tensorflow(flag_values.debug)
    from slimnets.training import train

    names = [name for _, name, _ in all_fields(extra)]
    settings = config(**{name: flag_values[name].value for name in names})
    result = train(settings, make_task())
    print(
        f"{result.evaluation}, {time.monotonic() - started:.0f} s, "
        f"files in {os.path.abspath(settings.train_dir)}"
    )
