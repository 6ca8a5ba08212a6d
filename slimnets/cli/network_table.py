"""The registered networks as a committed table, which needs no TensorFlow, and those
of modules that --import names.

`networks.json` has what the registry knows of each, in its order; the tests hold the
two together, and `python -m tests.make_manifests` writes both tables anew.
"""

from __future__ import annotations

import fnmatch
import importlib.resources
import json
import sys
from typing import Any

FIELDS = ("family", "default_image_size", "weights", "summary")


def networks() -> dict[str, dict[str, Any]]:
    """What is known of every network, by name; its counts too, of slimnets' own."""
    known = _read("slimnets.cli", "networks.json")
    counts = _read("slimnets.nets", "counts.json")
    if factory := sys.modules.get("slimnets.factory"):
        for name in factory.list_networks():
            info = factory.network_info(name)
            known.setdefault(name, {field: getattr(info, field) for field in FIELDS})
    return {
        name: {**row, "counts": counts.get(name, {})} for name, row in known.items()
    }


def matching(patterns: list[str], names: list[str]) -> list[str]:
    """The names that match any shell pattern, or have it in them; all without one."""
    shell = [p if set(p) & set("*?[") else f"*{p}*" for p in patterns]
    if not shell:
        return names
    return [n for n in names if any(fnmatch.fnmatchcase(n, p) for p in shell)]


def _read(package: str, name: str) -> dict[str, Any]:
    return json.loads((importlib.resources.files(package) / name).read_text())
