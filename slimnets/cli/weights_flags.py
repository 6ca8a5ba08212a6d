"""The flags of every command that opens weights: which of them, and by what names."""

import sys
from typing import Any

from absl import flags

from slimnets.cli import setting_flags
from slimnets.cli.command import UsageError
from slimnets.tasks.config import InferenceConfig

NAMES = ("averages", "rename", "exclude")
# Arguments of `open_trained` that some of these commands have a flag for.
_GIVEN = {"image_size": "eval_image_size", "preprocessing": "preprocessing_name"}


def define(flag_values: flags.FlagValues, *names: str) -> None:
    """Defines them, and those of other settings of InferenceConfig.

    Args:
        flag_values: where to.
        *names: of these.
    """
    setting_flags.define(flag_values, InferenceConfig, (*names, *NAMES))


def pairs(flag_values: flags.FlagValues) -> list[tuple[str, str]]:
    """Returns what --rename says. Raises UsageError."""
    from slimnets.trained import rename_pairs

    try:
        return rename_pairs(flag_values.rename or ())
    except ValueError as error:
        raise UsageError(str(error)) from None


def options(flag_values: flags.FlagValues) -> dict[str, Any]:
    """Returns the arguments `averages`, `rename` and `exclude` that the flags say."""
    return {
        "averages": flag_values.averages,
        "rename": pairs(flag_values),
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
