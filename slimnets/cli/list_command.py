"""Names the networks that there are, each with the side of its images.

PATTERN is a shell pattern, such as 'resnet_v2_*'.
"""

import difflib
import json
from collections.abc import Sequence

from absl import flags

from slimnets.cli.common import UsageError, define_debug, quiet_tensorflow

ARGUMENTS = ("PATTERN",)


def define_flags(flag_values: flags.FlagValues) -> None:
    flags.DEFINE_enum(
        "format", "text", ["text", "json"], "text or json.", flag_values=flag_values
    )
    define_debug(flag_values)


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    with quiet_tensorflow(flag_values.debug):
        from slimnets import factory
    pattern = arguments[0] if arguments else "*"
    names = factory.list_networks(pattern)
    if not names:
        near = difflib.get_close_matches(pattern, factory.list_networks(), n=3)
        hint = f"; the nearest are {', '.join(near)}" if near else ""
        raise UsageError(f"no network is called {pattern!r}{hint}")
    infos = [factory.network_info(name) for name in names]
    if flag_values.format == "json":
        rows = [
            {
                "name": info.name,
                "family": info.family,
                "default_image_size": info.default_image_size,
            }
            for info in infos
        ]
        print(json.dumps(rows, indent=2))
        return
    width = max(len(info.name) for info in infos)
    for info in infos:
        print(f"{info.name:{width}}  {info.default_image_size or ''}".rstrip())
