"""Runs a program that was written for TensorFlow 1 and tf.contrib, as it is.

PROGRAM is a Python file (or a folder with a __main__.py), -m MODULE a module; all that
follows are its own arguments. For it, `tensorflow` is TensorFlow 1's face: compat.v1
with version 2's behaviour off, tf.contrib, tf.layers and other names that are gone, and
research/slim's nets, preprocessing, datasets and deployment, where the project has none
of its own. A name that nothing stands in for says so when it is used. All else is as
`python PROGRAM` has it, its exit code too. Flags of slimnets stand before PROGRAM.
"""

import atexit
import importlib
import importlib.abc
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from slimnets import contrib_names
from slimnets.cli import old_python, program
from slimnets.cli.command import Flag, UsageError
from slimnets.lazy_names import when_imported

ARGUMENTS = ("PROGRAM", "[ARGS...]")

# fmt: off
FLAGS = (
    Flag("string", "module", None, "A module to run, as `python -m` does.",
         short_name="m"),
    Flag("boolean", "numpy1", False, "Whether numpy has the names it dropped: np.int, "
         "np.float, np.product ..."),
    Flag("boolean", "python2", False, "Whether the program's modules find Python 2's "
         "xrange, unicode, iteritems and others, and the quotient of two integers is "
         "an integer, as it was there; what Python 3 cannot read is translated by "
         "2to3, up to Python 3.12."),
    Flag("boolean", "report", False, "Whether to list at the end, on stderr, what was "
         "stood in for."),
)
# fmt: on


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """What is slimnets' own of the arguments, and the program's, from its name on."""
    for at, argument in enumerate(arguments):
        if argument in ("-m", "--module", "-module"):
            return list(arguments[: at + 2]), list(arguments[at + 2 :])
        if argument.startswith(("--module=", "-m=")):
            return list(arguments[: at + 1]), list(arguments[at + 1 :])
        if not argument.startswith("-"):
            return list(arguments[:at]), list(arguments[at:])
    return list(arguments), []


def check(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    """Raises UsageError if there is nothing to run."""
    if not (arguments or flag_values.module):
        raise UsageError("run needs a PROGRAM, or -m MODULE (slimnets run --help)")


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    calls = {"tensorflow": _install}
    if flag_values.numpy1:
        calls["numpy"] = old_python.give_numpy_its_names
    if flag_values.python2:
        old_python.be_python_2()
    if flag_values.report:
        atexit.register(_report)
    for name, call in calls.items():
        call() if name in sys.modules else when_imported(name, call)
    sys.meta_path.append(_ResearchFinder())
    if flag_values.module:
        program.run_module(flag_values.module, arguments)
    else:
        loader = old_python.Loader if flag_values.python2 else None
        program.run_file(arguments[0], arguments[1:], loader)


def _install() -> None:
    from slimnets.slim import contrib

    contrib.install()


class _ResearchFinder(importlib.abc.MetaPathFinder):
    """Comes to research/slim's packages last, and finds none: TensorFlow's first
    import, which it causes, sets those up that come after it."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        if fullname.partition(".")[0] in contrib_names.RESEARCH:
            importlib.import_module("tensorflow")


def _report() -> None:
    contrib = sys.modules.get("slimnets.slim.contrib")
    given = contrib.given if contrib else {}
    print(f"slimnets run: {len(given)} names of TensorFlow 1", file=sys.stderr)
    for name in sorted(given):
        print(f"  {name}: {_told(given[name])}", file=sys.stderr)


def _told(value: Any) -> str:
    home = getattr(value, "__module__", None)
    name = getattr(value, "__qualname__", getattr(value, "__name__", type(value)))
    return "missing" if "missing" in repr(value)[-10:] else f"{home}.{name}"
