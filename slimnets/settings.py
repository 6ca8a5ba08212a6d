"""A setting is stated once, at its field: what it is, what it may be, where it stands.

A config is a dataclass whose fields `setting` makes. All else is read from them: the
check of values here, the attributes in its docstring and so in the reference, and on
the command line the flags, their help and the headings over them (`cli.setting_flags`).
"""

from __future__ import annotations

import dataclasses
import inspect
import operator
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

_Config = TypeVar("_Config")

REQUIRED = dataclasses.MISSING

# Headings, in the order of a command's help.
RUN = "run and network"
FINE_TUNING = "fine-tuning"
DATA = "data"
AUGMENTATION = "augmentation"
LOSS = "loss and regularization"
OPTIMIZER = "optimizer"
RATE = "learning rate"
DISTRIBUTION = "distribution"
SPEED = "precision, speed and memory"
OUTPUT = "evaluation, checkpoints and logs"
GROUPS = (
    RUN, FINE_TUNING, DATA, AUGMENTATION, LOSS, OPTIMIZER, RATE, DISTRIBUTION, SPEED,
    OUTPUT,
)  # fmt: skip
REST = "further flags"

_BOUNDS = {
    "least": ("at least", operator.ge),
    "above": ("above", operator.gt),
    "most": ("at most", operator.le),
    "below": ("below", operator.lt),
}
_BRACKETS = {"least": "[", "above": "(", "most": "]", "below": ")"}


def setting(
    default: Any,
    group: str,
    help: str,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
    choices: Sequence[str] = (),
    needs: str | None = None,
) -> Any:
    """Returns the field of a setting.

    Args:
        default: its value if none is given; REQUIRED for one that must be given.
        group: the heading it stands under, one of GROUPS or REST.
        help: what it is, in sentences that name other settings as Python does.
        least, above, most, below: what it may be if it is a number.
        choices: what it may be if it is a text.
        needs: another setting, without which it has no effect.
    """
    limits = {"least": least, "above": above, "most": most, "below": below}
    limits = {name: value for name, value in limits.items() if value is not None}
    about = {"group": group, "help": help, "choices": tuple(choices), "needs": needs}
    return dataclasses.field(default=default, metadata={**about, "limits": limits})


def settings_of(config: Any) -> dict[str, dataclasses.Field]:
    """The settings of a config or its class by name, the required ones first."""
    fields = [field for field in dataclasses.fields(config) if field.metadata]
    fields.sort(key=lambda field: field.default is not REQUIRED)
    return {field.name: field for field in fields}


def grouped(config: Any, *groups: str) -> set[str]:
    """The names of the settings that stand under these headings."""
    settings = settings_of(config).items()
    return {name for name, field in settings if field.metadata["group"] in groups}


def check(config: Any) -> None:
    """Raises ValueError for a setting out of range, or of no effect without another."""
    settings = settings_of(config)
    for name, field in settings.items():
        value, about = getattr(config, name), field.metadata
        if value is None or value == []:
            continue
        if about["choices"] and value not in about["choices"]:
            raise ValueError(f"{name}={value!r} is not {_allowed(about)}.")
        limits = about["limits"]
        if not all(_BOUNDS[bound][1](value, limits[bound]) for bound in limits):
            raise ValueError(f"{name}={value} must be {_allowed(about)}.")
        needs = about["needs"]
        given = needs and getattr(config, needs) != settings[needs].default
        if needs and value != field.default and not given:
            raise ValueError(f"{name}={value!r} is of no effect without {needs}.")


def describe(field: dataclasses.Field) -> str:
    """What a setting is, and what it may be."""
    allowed = _allowed(field.metadata)
    said = f" {allowed[0].upper()}{allowed[1:]}." if allowed else ""
    return field.metadata["help"] + said


def documented(config: type[_Config]) -> type[_Config]:
    """Writes a config's settings into its docstring, as its attributes."""
    lines = [f"{name}: {describe(f)}" for name, f in settings_of(config).items()]
    wrapped = [
        textwrap.fill(line, 84, initial_indent=" " * 4, subsequent_indent=" " * 8)
        for line in lines
    ]
    # From Python 3.13 on, docstrings are not indented.
    summary = inspect.cleandoc(config.__doc__ or "")
    config.__doc__ = "\n".join([summary, "", "Attributes:", *wrapped, ""])
    return config


def _allowed(about: Mapping[str, Any]) -> str:
    """What a setting may be, in words; empty for anything."""
    if about["choices"]:
        return f"one of {', '.join(about['choices'])}"
    limits = about["limits"]
    if len(limits) == 2:
        (left, low), (right, high) = limits.items()
        return f"in {_BRACKETS[left]}{low}, {high}{_BRACKETS[right]}"
    return "".join(f"{_BOUNDS[bound][0]} {limit}" for bound, limit in limits.items())
