"""--import: modules of a user's own, which are imported before flags are read.

What they register when they are imported - networks, datasets, losses, measures - is
then there by its name.
"""

import importlib
import os
import sys

from slimnets.cli.command import UsageError, taken
from slimnets.quiet import quiet_tensorflow

FLAG = "--import"
HELP = (
    f"{FLAG}=MODULES",
    "Modules, separated by commas, to import first: what they register (networks, "
    "datasets, losses, metrics) is there by its name. The directory where the command "
    "runs is searched too.",
)
# What was imported, which workers of a cluster import too.
IMPORTED: list[str] = []


def resolve(arguments: list[str]) -> list[str]:
    """Imports what --import names; returns the other arguments.

    Raises:
        UsageError: if a module cannot be imported.
    """
    values, rest = taken(arguments, "import")
    modules = [module for value in values for module in value.split(",")]
    if modules and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    for module in modules:
        _import(module.strip(), "--debug" in arguments)
    return rest


def _import(name: str, debug: bool) -> None:
    if not name or name.endswith(".py"):
        raise UsageError(
            f"{FLAG}={name}: give the name of a module, such as mymodule for "
            "mymodule.py in this directory"
        )
    try:
        with quiet_tensorflow(debug):
            importlib.import_module(name)
        IMPORTED.append(name)
    except Exception as error:  # Whatever a module of theirs may raise.
        if debug:
            raise
        raise UsageError(f"{FLAG}={name}: {type(error).__name__}: {error}") from None
