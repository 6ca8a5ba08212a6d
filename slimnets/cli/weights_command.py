"""Lists public weights, or fetches them.

slimnets weights [PATTERN...] lists; a PATTERN is a part of a name, or a shell pattern
such as 'keras/*'. slimnets weights get NAME... fetches into the cache, unless they are
there, and prints where each file lies. Other commands take such names as weights.

A name is SOURCE/NETWORK or SOURCE/NETWORK.TAG; without a tag it is the first of them.
Top-1 is the accuracy that its source publishes. SLIMNETS_CACHE is the directory of the
cache; with SLIMNETS_OFFLINE=1 nothing is fetched; SLIMNETS_WEIGHTS_MIRROR is an address
below which the files lie under the hosts and paths of their own.
"""

import dataclasses
import json
import os
from collections.abc import Sequence

from absl import flags

from slimnets.cli.command import Flag, UsageError
from slimnets.listing import did_you_mean, table
from slimnets.weights import PublicWeights, cached_path, fetch_weights, list_weights

ARGUMENTS = ("PATTERNS...",)
_GET = "get"
_HEADINGS = ("name", "classes", "size", "top-1", "MiB", "checksum", "licence", "here")
_NUMBERS = _HEADINGS[1:5]

FLAGS = (
    Flag("enum", "format", "text", "How the table is written.",
         enum_values=["text", "markdown", "json"]),
)  # fmt: skip


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    if arguments[:1] == [_GET]:
        if not arguments[1:]:
            raise UsageError("weights get needs a name (slimnets weights lists them)")
        for name in arguments[1:]:
            print(fetch_weights(name), flush=True)
        return
    found: dict[str, PublicWeights] = {}
    for pattern in arguments or ["*"]:
        rows = list_weights(pattern)
        if not rows:
            hint = did_you_mean(pattern, [row.network for row in list_weights()])
            raise UsageError(f"no public weights are called {pattern!r}.{hint}")
        found |= {row.name: row for row in rows}
    if flag_values.format == "json":
        rows = [{"name": n, **dataclasses.asdict(r)} for n, r in found.items()]
        print(json.dumps(rows, indent=2))
        return
    rows = [_HEADINGS, *map(_columns, found.values())]
    print(table(rows, _NUMBERS, flag_values.format))


def _columns(row: PublicWeights) -> tuple[str, ...]:
    return (
        row.name,
        str(row.classes),
        str(row.image_size),
        "" if row.top1 is None else f"{row.top1:.1f}",
        "" if row.mebibytes is None else f"{row.mebibytes:.0f}",
        row.checksum.partition(":")[0],
        row.licence,
        "yes" if os.path.exists(cached_path(row)) else "",
    )
