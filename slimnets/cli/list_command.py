"""Lists the networks, with their sizes and whose weights load into them.

Parameters are all of them, moving averages too; multiply-adds are of one example
at the default size: the side of an image in pixels, or the points of a cloud.
A PATTERN is a part of a name, or a shell pattern such as 'resnet_v2_*'. Networks of
--import are listed too, without counts.
"""

import json
from collections.abc import Sequence

from absl import flags

from slimnets.cli.command import Flag, UsageError
from slimnets.cli.network_table import matching, networks
from slimnets.listing import nearest, table

ARGUMENTS = ("PATTERNS...",)

FLAGS = (
    Flag("enum", "format", "text", "How the table is written.",
         enum_values=["text", "markdown", "json"]),
)  # fmt: skip


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    known = networks()
    for pattern in arguments:
        if not matching([pattern], list(known)):
            near = nearest(pattern, known)
            hint = f"the nearest are {near}" if near else "list names all"
            raise UsageError(f"no network is called {pattern!r}; {hint}")
    infos = [{"name": n, **known[n]} for n in matching(list(arguments), list(known))]
    if flag_values.format == "json":
        print(json.dumps([_described(info) for info in infos], indent=2))
        return
    print(table([_HEADINGS, *map(_columns, infos)], _NUMBERS, flag_values.format))


_HEADINGS = ("family", "name", "parameters", "mult-adds", "size", "weights")
_NUMBERS = _HEADINGS[2:5]


def _described(info: dict) -> dict:
    keys = ("name", "family", "default_image_size", "weights", "summary")
    return {key: info[key] for key in keys} | info["counts"]


def _columns(info: dict) -> tuple[str, ...]:
    return (
        info["family"],
        info["name"],
        _in_units(info, "parameters", 1e6, "M"),
        _in_units(info, "multiply_adds", 1e9, "G"),
        str(info["default_image_size"] or ""),
        info["weights"],
    )


def _in_units(info: dict, count: str, unit: float, name: str) -> str:
    number = info["counts"].get(count)
    return "" if number is None else f"{number / unit:.2f} {name}"
