"""The text of --help, at most 80 columns wide."""

import textwrap
from collections.abc import Mapping
from types import ModuleType

from absl import flags

from slimnets.cli import imports
from slimnets.cli.command import arguments_of
from slimnets.settings import GROUPS, REST, settings_of
from slimnets.training.training_config import TrainingConfig

WIDTH = 80
# A command of fewer flags has no headings.
_FEW = 16


def overview(commands: Mapping[str, str]) -> str:
    """What `slimnets --help` prints."""
    width = max(map(len, commands))
    lines = [f"  {name:{width}}  {summary}" for name, summary in commands.items()]
    return "\n".join(
        [
            "slimnets: a functional network factory with arg scopes for TensorFlow",
            "",
            "usage: slimnets COMMAND [--flag=value ...]",
            "",
            *lines,
            "",
            "slimnets COMMAND --help tells a command's flags; slimnets --version.",
        ]
    )


def command_help(name: str, command: ModuleType, flag_values: flags.FlagValues) -> str:
    """What `slimnets NAME --help` prints: the module's docstring and its flags."""
    arguments = "".join(f" [{argument}]" for argument in arguments_of(command))
    parts = [
        f"usage: slimnets {name}{arguments} [--flag=value ...]",
        "",
        _wrapped((command.__doc__ or "").strip()),
        "",
        *_sections(flag_values),
        *([] if hasattr(command, "split") else [_entry(*imports.HELP)]),
        _entry(
            "--flagfile=FILE",
            "Read flags from a file, one a line; the name of a "
            "config that slimnets carries will do.",
        ),
    ]
    return "\n".join(parts)


def _sections(flag_values: flags.FlagValues) -> list[str]:
    lines: list[str] = []
    for heading, defined in _grouped(flag_values).items():
        blank = [""] if lines else []
        lines += [*blank, f"{heading}:", *map(_flag_help, defined)]
    return lines


def _grouped(flag_values: flags.FlagValues) -> dict[str, list[flags.Flag]]:
    """The flags by heading, which stands in the place of absl's module; all under
    `flags` if they are few. One that is called as a setting of a run stands with it."""
    if len(flag_values) < _FEW:
        return {"flags": [flag_values[name] for name in flag_values]}
    defined = flag_values.flags_by_module_dict()
    settings = settings_of(TrainingConfig).items()
    headings = {name: field.metadata["group"] for name, field in settings}
    for heading in GROUPS:
        headings |= {flag.name: heading for flag in defined.get(heading, ())}
    groups: dict[str, list[flags.Flag]] = {heading: [] for heading in (*GROUPS, REST)}
    for name in flag_values:
        groups[headings.get(name, REST)].append(flag_values[name])
    return {heading: members for heading, members in groups.items() if members}


def _wrapped(text: str) -> str:
    """A docstring's paragraphs, wrapped for a terminal; indented ones as they are."""
    return "\n\n".join(
        part if "\n " in part or part.startswith(" ") else textwrap.fill(part, WIDTH)
        for part in text.split("\n\n")
    )


def _flag_help(flag: flags.Flag) -> str:
    title = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}=VALUE"
    # absl adds how a flag that may be repeated is repeated.
    text = flag.help.partition(";\n")[0]
    default = flag.default
    if isinstance(default, list):
        default = ",".join(default) or None
    if default is None or default is False:
        return _entry(title, text)
    return _entry(title, f"{text} (default: {default})")


def _entry(title: str, text: str) -> str:
    indent = " " * 6
    body = textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=indent)
    return f"  {title}\n{body}"
