"""The reference pages are what the code says."""

import importlib.util
import pathlib
import re

import pytest

DOCS = pathlib.Path(__file__).parents[1] / "docs"
SPEC = importlib.util.spec_from_file_location("make_pages", DOCS / "make_pages.py")
make_pages = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(make_pages)


@pytest.fixture(scope="module")
def pages():
    return make_pages.pages()


def test_the_pages_are_current(pages):
    for path, text in pages.items():
        written = (DOCS / path).read_text(encoding="utf-8")
        assert written == text, f"run python docs/make_pages.py: {path} is old"


def test_every_command_and_network_is_on_its_page(pages):
    import slimnets
    from slimnets.cli.main import COMMANDS

    for command in COMMANDS:
        assert f"## slimnets {command}\n" in pages["reference/commands.md"]
    names = re.findall(r"^\| \w+ \| (\w+) \|", pages["networks.md"], re.MULTILINE)
    assert names[1:] == list(slimnets.list_networks())


def test_no_address_and_no_path_is_shown(pages):
    for text in pages.values():
        assert not re.search(r"0x[0-9a-f]{6}", text)
        assert str(DOCS.parent) not in text
