"""The reference pages are what the code says."""

import importlib.util
import pathlib
import re

import pytest

from slimnets import factory

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


def test_the_page_on_adding_a_network_runs(monkeypatch, capsys):
    monkeypatch.setattr(factory, "_NETWORKS", dict(factory._NETWORKS))
    page = (DOCS / "howto" / "network.md").read_text()
    names = {}
    for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(code, names)
    printed = capsys.readouterr().out
    assert "C3 small_resnet/block3 512 " not in printed  # It ends at stride 4.
    assert "C2 small_resnet/block3 512 " in printed
    assert "wide_network/block2" in printed
    assert names["model"].variables


def test_the_page_on_boxes_and_masks_runs(capsys):
    page = (DOCS / "howto" / "own_boxes_and_masks.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(code, {})
    # 9 anchors at each position of C3 to C6.
    total = 9 * sum(side**2 for side in (16, 8, 4, 2))
    assert f"'classes': TensorShape([1, {total}, 20])" in capsys.readouterr().out
    for command, flags in re.findall(r"slimnets ([\w-]+)((?: .*|\\\n)*)", page):
        known = re.findall(r"--(\w+)", flags)
        text = make_pages.pages()["reference/commands.md"] if known else ""
        section = text.partition(f"## slimnets {command}\n")[2].partition("\n## ")[0]
        for flag in known:
            assert f"--{flag}=" in section or f"--[no]{flag}" in section, flag


def test_the_page_on_rules_runs(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    page = (DOCS / "howto" / "rules.md").read_text()
    changes = page[page.index("## Ten") : page.index("## Elsewhere")]
    blocks = re.findall(r"```python\n(.*?)```", changes, re.DOTALL)
    assert len(blocks) == 10 and all(b.count("\n") <= 10 for b in blocks)
    names = {}
    for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(code, names)
    printed = capsys.readouterr().out
    assert "batch_norm -> group_norm" in printed and "rate: 1 -> 2" in printed
    assert names["features"]["C1"].shape[1:] == (16, 16, 64)
    assert {v.name.split("/")[-2] for v in names["adapted"].trainable_variables} == {
        "lora"
    }
    scopes = {v.name.split("/")[1] for v in names["frozen"].trainable_variables}
    assert scopes == {"block3", "logits"}
