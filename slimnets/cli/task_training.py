"""What the commands that train a task share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from absl import flags

from slimnets.cli import data_flags, train_command
from slimnets.cli.command import define_debug, define_fields
from slimnets.tasks.head_config import UNUSED, HeadConfig

_TEXTS = {
    "dataset_name": "digits, for images of several digits that are composed as "
    "training goes; or your own: {kinds}.",
    "dataset_dir": "Where a dataset on disk lies; of coco a JSON file will do.",
    "train_image_size": "Height and width of the network's images; 128 by default for "
    "composed ones, else 512.",
    "random_flip": "Mirror half of the photos left to right, as by default.",
}
_OF_EACH = {
    "boxes": "coco (JSON), voc (XML), or records (TFRecords of the Object Detection "
    "API)",
    "masks": "masks (folders of images and of PNG masks), voc, or records (TFRecords "
    "of DeepLab)",
}
HEAD_FIELDS = (
    ("float", "min_scale_factor", "Least size of a photo in training, where 1 just "
     "fits; 0.5 by default."),
    ("float", "max_scale_factor", "Largest size of a photo; 2 by default. What does "
     "not fit is cropped."),
    ("integer", "max_train_objects", "Digits in a training image at most."),
    ("integer", "min_digit_side", "Side of a digit's square at least, in pixels."),
    ("integer", "max_digit_side", "Side of a digit's square at most, in pixels."),
    ("float", "digit_sharpness", "How steep the digits' edges are; 1 is as enlarged."),
    ("integer", "num_eval_images", "How many images are composed to measure."),
)  # fmt: skip

Fields = Sequence[tuple[str, str, str]]


def all_fields(extra: Fields, kind: str = "boxes") -> list[tuple[str, str, str]]:
    """The flags of training, of its images, and a task's own."""
    fields = (*train_command.FIELDS, *data_flags.FIELDS)
    common = [
        (flag, name, _TEXTS.get(name, text).replace("{kinds}", _OF_EACH[kind]))
        for flag, name, text in fields
        if name not in UNUSED
    ]
    return [*common, *HEAD_FIELDS, *extra]


def define(
    flag_values: flags.FlagValues, config: type, extra: Fields, kind: str
) -> None:
    """Defines the flags of a task's config, with the config's defaults."""
    fields = all_fields(extra, kind)
    define_fields(flag_values, config, fields, train_command.REQUIRED)
    train_command.define_deterministic(flag_values)
    define_debug(flag_values)


def run(
    flag_values: flags.FlagValues,
    command: str,
    config: type[HeadConfig],
    extra: Fields,
    make_task: Callable[[], object],
) -> None:
    """Trains, and prints the measure as the last line."""
    names = [name for _, name, _ in all_fields(extra)]
    train_command.train(flag_values, command, config, names, make_task)
