"""The flags of every command that opens weights: which of them, and by what names."""

import sys
from typing import Any

from absl import flags

from slimnets.cli import setting_flags
from slimnets.cli.command import Flag, UsageError
from slimnets.settings import FINE_TUNING
from slimnets.tasks.config import InferenceConfig

NAMES = ("averages", "rename", "exclude")
# Arguments of `open_trained` that some of these commands have a flag for.
_GIVEN = {
    "image_size": "eval_image_size",
    "model_name": "model_name",
    "preprocessing": "preprocessing_name",
}


# fmt: off
# Beside --checkpoint_path.
WEIGHTS = Flag("string", "weights", None, "Instead of --checkpoint_path, public "
    "weights by name, which are fetched if need be: timm/resnet50, or with "
    "--model_name keras or best; slimnets weights lists them.", module_name=FINE_TUNING)
# fmt: on


def of(*names: str) -> list[Flag]:
    """These flags, and those of other settings of InferenceConfig."""
    return setting_flags.of(InferenceConfig, (*names, *NAMES))


def take_weights(flag_values: flags.FlagValues) -> None:
    """Puts the whole name of what --weights says into --checkpoint_path.

    Raises:
        UsageError: if both are given.
        ValueError: if there are no such weights.
    """
    if flag_values.weights is None:
        return
    if flag_values.checkpoint_path:
        raise UsageError("give --weights or --checkpoint_path, not both")
    from slimnets.weights import find_weights

    row = find_weights(flag_values.weights, flag_values.model_name)
    flag_values.checkpoint_path = row.name
    flag_values["checkpoint_path"].present += 1


def options(flag_values: flags.FlagValues) -> dict[str, Any]:
    """Returns the arguments `averages`, `rename` and `exclude` that the flags say.

    Raises:
        ValueError: as `rename_pairs`.
    """
    from slimnets.checkpoints.matching import rename_pairs

    return {
        "averages": flag_values.averages,
        "rename": rename_pairs(flag_values.rename or ()),
        "exclude": flag_values.exclude or (),
    }


def tell(source: str) -> None:
    """Says what was opened, on standard error."""
    print(f"slimnets: {source}", file=sys.stderr, flush=True)


def open_trained(
    flag_values: flags.FlagValues,
    path: str | None = None,
    **arguments: Any,
):
    """Opens what the flags name, and says what it is; see `slimnets.trained`.

    Args:
        flag_values: the command's.
        path: where it is; None for what --checkpoint_path says.
        **arguments: those that the flags do not say.
    """
    from slimnets import trained

    given = {name: flag for name, flag in _GIVEN.items() if flag in flag_values}
    opened = trained.open_trained(
        path or flag_values.checkpoint_path,
        **{name: flag_values[flag].value for name, flag in given.items()},
        **options(flag_values),
        **arguments,
    )
    tell(opened.source)
    return opened
