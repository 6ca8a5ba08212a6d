"""What sub-commands share: their errors and their flags."""

import functools
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

from absl import flags

from slimnets.listing import listed
from slimnets.settings import OUTPUT

# So many names of files stand in a message.
_NAMED = 20
DEBUG_HINT = " (--debug shows all)"


class UsageError(Exception):
    """The command was called wrongly; its text is one line."""


class Flag:
    """A flag of a command, as absl's `DEFINE_KIND` takes it.

    Args:
        kind: string, list, multi_string, integer, float, boolean or enum.
        name: without dashes.
        default: None for none.
        help: what it is, in sentences.
        **options: further arguments of absl's, such as lower_bound or enum_values.
    """

    def __init__(self, kind: str, name: str, default: Any, help: str, **options: Any):
        self.name = name
        self._define = functools.partial(
            getattr(flags, f"DEFINE_{kind}"), name, default, help=help, **options
        )

    def define(self, flag_values: flags.FlagValues) -> None:
        self._define(flag_values=flag_values)


# fmt: off
# Of every command but those that run another program.
DEBUG = Flag("boolean", "debug", False, "Show tracebacks and what TensorFlow prints "
    "when it starts.", module_name=OUTPUT)
# Of commands that leave images out.
STRICT = Flag("boolean", "strict", False, "End with exit code 1 if anything was left "
    "out: an image that cannot be decoded, or a file in a folder that is no image.")
# fmt: on


def defined(wanted: Iterable[Flag]) -> flags.FlagValues:
    """Flags, not parsed yet; arguments may stand before and after them."""
    flag_values = flags.FlagValues()
    flag_values.set_gnu_getopt(True)
    for flag in wanted:
        flag.define(flag_values)
    return flag_values


def arguments_of(command: ModuleType) -> Sequence[str]:
    """What stands on a command's line beside its flags."""
    return getattr(command, "ARGUMENTS", ())


def taken(arguments: Sequence[str], name: str) -> tuple[list[str], list[str]]:
    """The values of a flag that is read before all others, and the other arguments."""
    values, others = [], []
    waiting = iter(arguments)
    for argument in waiting:
        flag, equals, value = argument.partition("=")
        if flag in (f"--{name}", f"-{name}"):
            values.append(value if equals else next(waiting, ""))
        else:
            others.append(argument)
    return values, others


def require(flag_values: flags.FlagValues, command: str, *names: str) -> None:
    """Raises UsageError unless every flag of `names` has a value."""
    for name in names:
        if flag_values[name].value in (None, ""):
            raise UsageError(f"{command} needs --{name} (slimnets {command} --help)")


def refuse(flag_values: flags.FlagValues, names: Iterable[str], where: str) -> None:
    """Raises UsageError if one of some flags is given, which has no effect there."""
    for name in names:
        if is_given(flag_values[name]):
            raise UsageError(f"--{name} is of no effect {where}")


def is_given(flag: flags.Flag) -> bool:
    """Whether a flag asks for anything; --nojit, as it is by default, does not."""
    return bool(flag.present) and not (flag.boolean and flag.value == flag.default)


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


def tell_left_out(strict: bool, bad: Sequence[str], others: Sequence[str]) -> int:
    """Says on standard error what a command has left out of its input.

    Args:
        strict: whether that is a failure.
        bad: what was wrong with images.
        others: files that are no images.

    Returns:
        The exit code.
    """
    for problem in bad:
        print(f"slimnets: left out {problem}", file=sys.stderr)
    if others:
        one = len(others) == 1
        what = "file, which is no image" if one else "files that are no images"
        names = listed(others, _NAMED)
        print(f"slimnets: left out {len(others)} {what}: {names}", file=sys.stderr)
    return int(strict and bool(bad or others))
