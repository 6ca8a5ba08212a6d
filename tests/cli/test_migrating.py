"""MIGRATING.md says what is so."""

import fnmatch
import importlib
import pathlib
import re

import pytest

import slimnets
from slimnets.cli import main
from slimnets.nets import nasnet

TEXT = (pathlib.Path(__file__).parents[2] / "MIGRATING.md").read_text()
SECTIONS = {
    "train": "slimnets train`",
    "evaluate": "slimnets evaluate`",
    "export": "slimnets export`",
}


def rows(section):
    """The cells of a section's table, the heading left out."""
    part = TEXT.partition(section)[2].partition("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("| ")]
    cells = [[c.strip() for c in line.strip("| ").split(" | ")] for line in lines]
    return cells[1:]


@pytest.mark.parametrize("command", SECTIONS)
def test_flags_that_stay_are_flags_of_the_command(command, capsys):
    assert main.main([command, "--help"]) == 0
    out = capsys.readouterr().out
    there = set(re.findall(r"^  --(?:\[no\])?(\w+)", out, re.MULTILINE))
    for old, new in rows(SECTIONS[command]):
        named = re.findall(r"--(\w+)(?![\w.])", new)
        if new.startswith("the same"):
            named += [n for n in re.findall(r"--(\w+)(?!\.\.)\b", old) if n != "ftrl_"]
        assert set(named) - {"strategy"} <= there, (old, new)


@pytest.mark.parametrize("line", re.findall(r"`(from slimnets[^`]*)`", TEXT))
def test_imports_can_be_written(line):
    exec(line, {})


def test_names_that_it_tells_exist():
    for path in set(re.findall(r"`(slimnets\.[\w.]+)\(?", TEXT)):
        module, _, name = path.rpartition(".")
        assert hasattr(importlib.import_module(module), name), path
    assert nasnet.mobile_imagenet_config().num_cells
    assert not nasnet.mobile_imagenet_config().zero_padded_pools
    paragraph = re.search(r"Keras Applications' weights.*?\n\n", TEXT, re.DOTALL)[0]
    patterns = re.findall(r"`([a-z]+_?[\w*]+)`", paragraph.replace("to `b7`", ""))
    told = {n for p in patterns for n in fnmatch.filter(slimnets.list_networks(), p)}
    rows = [slimnets.network_info(n).network.row for n in sorted(told)]
    assert len(rows) > 20
    assert all(dict(row.names).get("keras") for row in rows)
