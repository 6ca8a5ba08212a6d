"""The flags of commands that build a network by its name: classes, inputs, stride,
and rules by path, which those that train have too."""

import contextlib
import inspect
import json

from absl import flags

from slimnets.cli import setting_flags
from slimnets.cli.command import Flag, UsageError
from slimnets.training.training_config import TrainingConfig

# fmt: off
FLAGS = (
    Flag("integer", "num_classes", 1000, "Number of classes; 0 for none.",
         lower_bound=0),
    Flag("string", "input_shape", None, "Shape of the inputs as JSON, "
         "[1, 299, 299, 3]; several inputs as a list or an object of shapes. One image "
         "of the default size by default, or one cloud of points."),
    Flag("integer", "output_stride", None, "By what the images' sides are those of the "
         "last activation: 8, 16 or 32. Units that would stride further are atrous. As "
         "the network strides by default.", lower_bound=1),
    *setting_flags.of(TrainingConfig, ["rules", "rule"]),
)
# fmt: on
NAMES = tuple(flag.name for flag in FLAGS)


def open_rules(flag_values: flags.FlagValues) -> contextlib.AbstractContextManager:
    """Opens the rules that the flags say, if they do.

    Raises:
        FileNotFoundError, ValueError: as `read_rules`, `parse_rule` and `layer_rules`.
    """
    from slimnets.rules import layer_rules
    from slimnets.rules.values import parse_rule, read_rules

    rules = read_rules(flag_values.rules) if flag_values.rules else []
    rules += map(parse_rule, flag_values.rule or ())
    return layer_rules(rules) if rules else contextlib.nullcontext()


def options(flag_values: flags.FlagValues, name: str) -> dict:
    """Returns the arguments of `inspection.summarize` that the flags say.

    Args:
        name: the network's.

    Raises:
        UsageError: if the shape is not JSON, or the network has no output stride.
        ValueError: for an unknown name.
    """
    found = {"num_classes": flag_values.num_classes, **stride(flag_values, name)}
    if flag_values.input_shape is not None:
        try:
            found["input_shape"] = json.loads(flag_values.input_shape)
        except json.JSONDecodeError as error:
            raise UsageError(f"--input_shape is not JSON: {error}") from None
    return found


def stride(flag_values: flags.FlagValues, name: str) -> dict:
    """Returns the argument `output_stride`, or none if the flag is not set."""
    if flag_values.output_stride is None:
        return {}
    from slimnets import factory

    network = factory.network_info(name).network
    if "output_stride" not in inspect.signature(network).parameters:
        raise UsageError(f"--output_stride has no meaning for {name}")
    return {"output_stride": flag_values.output_stride}
