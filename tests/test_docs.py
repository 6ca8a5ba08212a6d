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


def test_links_lead_somewhere():
    root = DOCS.parent
    pages = [*DOCS.rglob("*.md"), *root.glob("*.md")]
    assert len(pages) > 20
    for page in pages:
        for link in re.findall(r"\]\(([^)#:\s]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


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


@pytest.fixture
def run_tutorial(monkeypatch, capsys, tmp_path):
    """Runs the code of a tutorial; gives its lines and what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(name):
        page = (DOCS / "tutorials" / f"{name}.md").read_text()
        code = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
        exec(code.replace("max_number_of_steps=200", "max_number_of_steps=5"), {})
        return list(filter(None, code.splitlines())), capsys.readouterr().out

    return run


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Of TensorFlow Lite.
def test_the_quickstart_runs(run_tutorial, tmp_path):
    lines, printed = run_tutorial("quickstart")
    assert len(lines) <= 32
    assert "'C2': TensorShape([1, 4, 4, 256])" in printed
    assert (tmp_path / "runs" / "digits.tflite").exists()


def test_the_tutorial_on_backbones_runs(run_tutorial, tmp_path):
    _, printed = run_tutorial("backbone")
    assert "'P6': TensorShape([2, 2, 2, 64])" in printed
    assert "100 loaded; new: feature_pyramid/" in printed
    assert (tmp_path / "trained" / "extractor" / "saved_model.pb").exists()
