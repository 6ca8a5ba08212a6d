"""What sub-commands share: their errors and their flags."""

import os
import sys
import tempfile
from collections.abc import Sequence

from absl import flags

from slimnets.listing import listed
from slimnets.settings import OUTPUT

# So many names of files stand in a message.
_NAMED = 20
DEBUG_HINT = " (--debug shows all)"


class UsageError(Exception):
    """The command was called wrongly; its text is one line."""


def define_debug(flag_values: flags.FlagValues) -> None:
    """Defines --debug, which every command has."""
    flags.DEFINE_boolean(
        "debug",
        False,
        "Show tracebacks and what TensorFlow prints when it starts.",
        flag_values=flag_values,
        module_name=OUTPUT,
    )


def define_strict(flag_values: flags.FlagValues) -> None:
    """Defines --strict, which commands that leave images out have."""
    flags.DEFINE_boolean(
        "strict",
        False,
        "End with exit code 1 if anything was left out: an image that cannot be "
        "decoded, or a file in a folder that is no image.",
        flag_values=flag_values,
    )


def require(flag_values: flags.FlagValues, command: str, *names: str) -> None:
    """Raises UsageError unless every flag of `names` has a value."""
    for name in names:
        if flag_values[name].value in (None, ""):
            raise UsageError(f"{command} needs --{name} (slimnets {command} --help)")


def check_output_directory(name: str, path: str) -> None:
    """Makes the directory that a flag names, and sees that it can be written to.

    Else that would be found when all is computed.

    Raises:
        OSError: if it cannot.
    """
    try:
        os.makedirs(path, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise type(error)(
            f"Cannot write to {name}={path}: {error.strerror or error}."
        ) from None


def tell_left_out(bad: Sequence[str], others: Sequence[str]) -> None:
    """Says on standard error what a command has left out of its input.

    Args:
        bad: what was wrong with images.
        others: files that are no images.
    """
    for problem in bad:
        print(f"slimnets: left out {problem}", file=sys.stderr)
    if others:
        what = (
            "file, which is no image"
            if len(others) == 1
            else "files that are no images"
        )
        names = listed(others, _NAMED)
        print(f"slimnets: left out {len(others)} {what}: {names}", file=sys.stderr)


def exit_code(strict: bool, *left_out: Sequence[str]) -> int:
    """1 where --strict was given and anything was left out, else 0."""
    return int(strict and any(left_out))
