"""Finds the sub-command, parses its flags, and turns errors into exit codes.

Nothing here imports TensorFlow: help and wrong flags answer at once.
"""

import contextlib
import dataclasses
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from types import ModuleType

from absl import flags

from slimnets.cli import configs, imports, tasks
from slimnets.cli.command import (
    DEBUG,
    DEBUG_HINT,
    UsageError,
    arguments_of,
    defined,
)
from slimnets.cli.messages import in_flags
from slimnets.cli.usage import command_help, overview
from slimnets.listing import nearest
from slimnets.version import __version__

# Each lives in slimnets/cli/NAME_command.py (with _ for -), which gives
# `run(flag_values, arguments)` (which may return an exit code), as far as it has any
# `FLAGS` and `ARGUMENTS` and, as its docstring, the help. One that runs another program
# has `split(arguments)`, which tells its own arguments from the program's, and
# `check(flag_values, arguments)`.
COMMANDS = {
    "list": "name the networks that there are",
    "summary": "show a network as a table of its layers",
    "lint": "look for wiring in a graph that was not meant",
    "plot": "draw a network, its filters, activations or receptive fields",
    "diff": "tell what differs between two networks, graphs or checkpoints",
    "train": "train a network, a detector or a segmenter, or go on with a run",
    "find-lr": "look for a learning rate in a few steps",
    "runs": "show runs side by side",
    "evaluate": "measure the accuracy of a checkpoint",
    "report": "write a page about a run: curves, confusions, worst mistakes",
    "predict": "write labels, boxes or masks of images",
    "diagnose": "look for what keeps a network from learning, by layers",
    "explain": "draw where in images a network sees a class",
    "features": "write embeddings of many images",
    "check-data": "read every image once, and say what is wrong",
    "make-records": "write a folder of images as record files",
    "data-service": "make batches for training on other machines",
    "train-detector": "train an object detector on a backbone",
    "train-segmenter": "train a semantic segmenter on a backbone",
    "weights": "list public weights, or fetch them",
    "convert": "write weights in another framework's format",
    "slim-network": "leave out the channels of a network that do least",
    "run": "run a program that was written for TensorFlow 1, as it is",
    "migrate": "rewrite code of TensorFlow 1 and TF-Slim",
    "export": "write a network in a format that other programs run",
    "benchmark": "measure how fast networks are, beside other frameworks",
    "completion": "write what has a shell complete commands and flags",
    "version": "tell the versions of slimnets and of what it runs on",
}

# With absl's own names for it.
_HELP = ("--help", "-help", "-h", "--helpshort", "--helpfull")

OK, FAILURE, BAD_USAGE = 0, 1, 2
_WRONG_INPUT = (
    ValueError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)
_LONGEST_MESSAGE = 10_000


def entry_point() -> None:
    """The console script."""
    # Names of files that are not UTF-8 are read and written as they are.
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        stream.reconfigure(errors="surrogateescape")
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Runs `slimnets ARGUMENTS` and returns the exit code.

    0 is success, 1 a failure, 2 wrong usage or input, 128 + N the end by signal N. A
    run that SIGTERM has stopped, and that has saved what it reached, is a success.
    """
    debug, known = False, ()
    try:
        work = _find_work(list(arguments))
        if not work.is_program:
            debug, known = work.debug, work.flags
            code = work.run()
            sys.stdout.flush()
            return code or OK
    except BrokenPipeError:
        # Whoever read our output has left; so that the interpreter's last flush does
        # not complain, it goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt as interrupt:
        _print_error(str(interrupt) or "interrupted")
        return getattr(interrupt, "exit_code", 128 + signal.SIGINT)
    except UsageError as error:
        _print_error(str(error))
        return BAD_USAGE
    except Exception as error:
        if debug:
            traceback.print_exc()
        else:
            _print_error(in_flags(_one_line(error), known))
        return BAD_USAGE if isinstance(error, _WRONG_INPUT) else FAILURE
    work.run()  # Somebody else's program: its errors are its own.
    return OK


@dataclasses.dataclass(frozen=True)
class _Work:
    """What there is to do, whether its errors come with a traceback, and its flags; or
    another program, which does with its errors as it likes."""

    run: Callable[[], int | None]
    debug: bool = False
    flags: Sequence[str] = ()
    is_program: bool = False


def _find_work(arguments: list[str]) -> _Work:
    if arguments[:1] == ["help"] and arguments[1:]:  # As `git help COMMAND`.
        arguments = [*arguments[1:], "--help"]
    if not arguments or arguments[0] in ("help", *_HELP):
        return _Work(lambda: print(overview(COMMANDS)))
    name, *rest = arguments
    if name == "--version":
        return _Work(lambda: print(__version__))
    if name not in COMMANDS:
        near = nearest(name, COMMANDS, most=1)
        hint = f"did you mean {near}?" if near else f"there is {', '.join(COMMANDS)}"
        raise UsageError(f"{name!r} is not a command; {hint}")
    name, rest = tasks.chosen(name, rest)
    command = command_of(name)
    is_program = hasattr(command, "split")
    others: list[str] = []
    if is_program:
        rest, others = command.split(rest)
    else:
        rest = imports.resolve(rest)
    flag_values = flags_of(command)
    if any(argument in _HELP for argument in rest):
        return _Work(lambda: print(command_help(name, command, flag_values)))
    positional = _parse(name, flag_values, rest)
    if is_program:
        command.check(flag_values, others)
        return _Work(lambda: command.run(flag_values, others), is_program=True)
    taken = arguments_of(command)
    many = taken and taken[-1].endswith("...")
    if len(positional) > len(taken) and not many:
        raise UsageError(
            f"{name} does not take {positional[len(taken)]!r}; a flag begins with -- "
            f"(slimnets {name} --help names all)"
        )
    return _Work(
        lambda: command.run(flag_values, positional),
        flag_values.debug,
        list(flag_values),
    )


def command_of(name: str) -> ModuleType:
    """The module of a command."""
    return importlib.import_module(f"slimnets.cli.{name.replace('-', '_')}_command")


def flags_of(command: ModuleType) -> flags.FlagValues:
    """A command's flags, not parsed yet."""
    debug = () if hasattr(command, "split") else (DEBUG,)
    return defined([*getattr(command, "FLAGS", ()), *debug])


def _parse(name: str, flag_values: flags.FlagValues, rest: list[str]) -> list[str]:
    try:
        return flag_values([f"slimnets {name}", *configs.resolve(rest)])[1:]
    except flags.Error as error:
        raise UsageError(
            f"{_one_line(error)} (slimnets {name} --help names all)"
        ) from None


def _one_line(error: Exception) -> str:
    """The error's first line; for one that is no sentence, its type too."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.strerror}: {error.filename}"
    # A KeyError's text is its argument's repr.
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else ""
    lines = (text or str(error)).strip().splitlines() or [""]
    if not lines[0]:
        return f"{type(error).__name__}{DEBUG_HINT}"
    return lines[0] + (DEBUG_HINT if len(lines) > 1 else "")


def _print_error(message: str) -> None:
    if len(message) > _LONGEST_MESSAGE:  # Such as with the value of a flag in it.
        message = f"{message[:_LONGEST_MESSAGE]} ..."
    with contextlib.suppress(BrokenPipeError):
        print(f"slimnets: {message}", file=sys.stderr)
