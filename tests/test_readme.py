"""The README's code runs as printed."""

import pathlib
import re

import pytest

TEXT = (pathlib.Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("index", range(len(BLOCKS)))
def test_a_block_of_code_runs(index):
    exec(compile(BLOCKS[index], "README.md", "exec"), {})


def test_there_are_four_and_they_are_short():
    assert len(BLOCKS) == 4
    for block in BLOCKS:
        assert len([line for line in block.splitlines() if line.strip()]) <= 12


def test_files_that_it_links_to_exist():
    root = pathlib.Path(__file__).parents[1]
    for link in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (root / link).exists(), link
