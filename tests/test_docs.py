"""The reference pages are what the code says."""

import ast
import importlib.util
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import types

import pytest

from slimnets import factory
from slimnets.cli.main import COMMANDS
from slimnets.data import datasets
from slimnets.export import FORMATS
from tests.export.serving import serving
from tests.test_photos import make_photos, put_weights

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

    for command in COMMANDS:
        assert f"## slimnets {command}\n" in pages["reference/commands.md"]
    names = re.findall(r"^\| \w+ \| (\w+) \|", pages["networks.md"], re.MULTILINE)
    assert names[1:] == list(slimnets.list_networks())


def test_no_address_and_no_path_is_shown(pages):
    for text in pages.values():
        assert not re.search(r"0x[0-9a-f]{6}", text)
        assert str(DOCS.parent) not in text


def test_links_between_pages_lead_somewhere():
    root = DOCS.parent
    for page in [*root.glob("*.md"), *DOCS.rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_licence_of_every_package_that_is_asked_for_is_told():
    page = (DOCS / "dependencies.md").read_text(encoding="utf-8").lower()
    setup = ast.parse((DOCS.parent / "setup.py").read_text(encoding="utf-8"))
    (call,) = (
        node.value for node in setup.body if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
    )  # fmt: skip
    asked = {part.arg: part.value for part in call.keywords}
    names = ast.literal_eval(asked["install_requires"])
    for extra in ast.literal_eval(asked["extras_require"]).values():
        names += extra
    cells = re.split(r"[|,]", page)
    told = {cell.strip().strip("*") for cell in cells}
    for name in names:
        assert re.split(r"[<>=\[]", name)[0] in told, f"{name}: its licence"


def test_every_page_is_on_the_site():
    root = DOCS.parent
    named = re.findall(r"[\w/]+\.md$", (root / "mkdocs.yml").read_text(), re.MULTILINE)
    assert len(set(named)) == len(named)
    pages = {*root.glob("*.md"), *DOCS.rglob("*.md")}
    assert {page.relative_to(root).as_posix() for page in pages} <= set(named)


def test_the_site_has_no_dead_links_and_can_be_searched(tmp_path):
    pytest.importorskip("material")  # Built by .ci/run in any case.
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", f"--site-dir={tmp_path}"],
        cwd=DOCS.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "search" / "search_index.json").read_text())
    assert any("eval_crop_fraction" in page["text"] for page in found["docs"])


def blocks(name):
    """The Python of a how-to."""
    page = (DOCS / "howto" / name).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", page, re.DOTALL)


def test_the_page_on_adding_a_format_runs(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(FORMATS, "packed_graph", None)  # So that it goes afterwards.
    names = {}
    for code in blocks("format.md"):
        exec(code, names)
    printed = capsys.readouterr().out
    assert printed.startswith("packed_graph in float32, ")
    assert "\n(2, 10)\n" in printed and "array([0.5, 1.5]" in printed


def test_the_page_on_adding_a_dataset_runs(monkeypatch, call, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets, "_DATASETS", dict(datasets._DATASETS))
    monkeypatch.delitem(sys.modules, "stripes", raising=False)
    (code,) = blocks("dataset.md")
    (tmp_path / "stripes.py").write_text(code)
    page = (DOCS / "howto" / "dataset.md").read_text(encoding="utf-8")
    for line in re.findall(r"^    slimnets (.*)", page, re.MULTILINE):
        code, out, err = call(*line.split())
        assert code == 0, err
        assert re.search(r"accuracy (9\d|100)\.\d\d % \(\d+ of 100 test", out), out


def test_the_page_on_adding_a_command_runs(monkeypatch, call):
    command, settings = blocks("command.md")
    module = types.ModuleType("slimnets.cli.sizes_command")
    exec(command, module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(COMMANDS, "sizes", "tell the size of a network")
    assert call("sizes", "lenet", "--num_classes=10")[1].endswith(" bytes\n")
    assert "Tells how many numbers a network has" in call("sizes", "--help")[1]
    code, _, err = call("sizes")
    assert code == 2 and "takes the NAME of one network" in err
    names = {}
    exec(settings, names)
    with pytest.raises(ValueError, match="label_noise=2 must be in"):
        names["NoisyConfig"](model_name="lenet", train_dir="", label_noise=2)


def test_the_page_on_adding_a_network_runs(monkeypatch, capsys):
    monkeypatch.setattr(factory, "_NETWORKS", dict(factory._NETWORKS))
    names = {}
    for code in blocks("network.md"):
        exec(code, names)
    printed = capsys.readouterr().out
    assert "C3 small_resnet/block3 512 " not in printed  # It ends at stride 4.
    assert "C2 small_resnet/block3 512 " in printed
    assert "wide_network/block2" in printed
    assert names["model"].variables


def test_the_page_on_boxes_and_masks_runs(pages, capsys):
    page = (DOCS / "howto" / "own_boxes_and_masks.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(code, {})
    # 9 anchors at each position of C3 to C6.
    total = 9 * sum(side**2 for side in (16, 8, 4, 2))
    assert f"'classes': TensorShape([1, {total}, 20])" in capsys.readouterr().out
    for command, flags in re.findall(r"slimnets ([\w-]+)((?: .*|\\\n)*)", page):
        known = re.findall(r"--(\w+)", flags)
        text = pages["reference/commands.md"]
        section = text.partition(f"## slimnets {command}\n")[2].partition("\n## ")[0]
        for flag in known:
            assert f"--{flag}=" in section or f"--[no]{flag}" in section, flag


def test_the_page_on_rules_runs(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    page = (DOCS / "howto" / "rules.md").read_text()
    changes = page[page.index("## Ten") : page.index("## Elsewhere")]
    ten = re.findall(r"```python\n(.*?)```", changes, re.DOTALL)
    assert len(ten) == 10 and all(code.count("\n") <= 10 for code in ten)
    names = {}
    for code in blocks("rules.md"):
        exec(code, names)
    printed = capsys.readouterr().out
    assert "batch_norm -> group_norm" in printed and "rate: 1 -> 2" in printed
    assert names["features"]["C1"].shape[1:] == (16, 16, 64)
    assert {v.name.split("/")[-2] for v in names["adapted"].trainable_variables} == {
        "lora"
    }
    scopes = {v.name.split("/")[1] for v in names["frozen"].trainable_variables}
    assert scopes == {"block3", "logits"}


# Code, the file that it is if it has a title, or a line for the shell.
_STEP = re.compile(
    r'^```python(?: title="(?P<file>[^"]+)")?\n(?P<code>.*?)```'
    r"|^    (?P<line>(?:slimnets |python old/)[^\n]*)",
    re.MULTILINE | re.DOTALL,
)


@pytest.fixture
def run_tutorial(monkeypatch, call, capfd, tmp_path):
    """Runs a tutorial in a fast form; gives its lines of code and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(factory, "_NETWORKS", dict(factory._NETWORKS))
    monkeypatch.setattr(sys, "path", list(sys.path))
    drawn = importlib.util.find_spec("matplotlib") is not None

    def run(name, without=()):
        names, lines, printed = {}, [], []
        page = (DOCS / "tutorials" / f"{name}.md").read_text(encoding="utf-8")
        for step in _STEP.finditer(re.sub(r"steps=200", "steps=5", page)):
            code, line = step["code"], step["line"]
            if step["file"]:
                pathlib.Path(step["file"]).parent.mkdir(exist_ok=True)
                pathlib.Path(step["file"]).write_text(code, encoding="utf-8")
            elif code:
                lines += filter(None, code.splitlines())
                if not drawn:
                    code = re.sub(r"^.*plot.*$", "", code, flags=re.MULTILINE)
                exec(code, names)
                printed.append(capfd.readouterr().out)
            elif not line.startswith(without):
                printed.append(_of_shell(line, call))
        return lines, "".join(printed)

    return run


def _of_shell(line, call):
    program, *arguments = shlex.split(line)
    if program == "slimnets" and arguments[0] != "run":
        code, out, err = call(*arguments)
        assert code == 0 or arguments == ["migrate", "old"], err
        return out
    command = [sys.executable, *(["-m", program] if program == "slimnets" else [])]
    done = subprocess.run(
        [*command, *arguments],
        env={**os.environ, "PYTHONPATH": str(DOCS.parent)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Of TensorFlow Lite.
def test_the_quickstart_runs(run_tutorial, tmp_path):
    lines, printed = run_tutorial("quickstart")
    assert len(lines) <= 32
    assert "'C2': TensorShape([1, 4, 4, 256])" in printed
    assert (tmp_path / "runs" / "digits.tflite").exists()


def test_the_page_on_quantization_runs(capsys):
    page = (DOCS / "howto" / "quantization.md").read_text()
    names = {}
    for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(code, names)
    assert "channels that may go" in capsys.readouterr().out


def test_the_tutorial_on_backbones_runs(run_tutorial, tmp_path):
    _, printed = run_tutorial("backbone")
    assert "'P6': TensorShape([2, 2, 2, 64])" in printed
    assert "100 loaded; new: feature_pyramid/" in printed
    assert (tmp_path / "trained" / "extractor" / "saved_model.pb").exists()


def test_the_tutorial_on_photos_runs(run_tutorial, monkeypatch, rng, tmp_path):
    make_photos(tmp_path, rng)
    put_weights("mobilenet_v1_025", tmp_path, monkeypatch)
    _, printed = run_tutorial("photos")
    *shares, accuracy, own = printed.splitlines()
    assert len(shares) == 3 and all("% " in line for line in shares)
    assert accuracy.endswith("of 6 validation examples)")
    assert re.fullmatch(r"(red|blue) by an area of \(128, 128\) pixels", own)


def test_the_tutorial_on_a_network_of_ones_own_runs(run_tutorial, tmp_path):
    _, printed = run_tutorial("own_network")
    assert "C2 digit_net/block3 64 49\n" in printed
    assert "atrous 11702912 [1, 2]\n" in printed
    assert "'digit': TensorShape([2, 10])" in printed


def test_the_tutorial_on_serving_runs(run_tutorial, tmp_path):
    _, printed = run_tutorial("serve")
    *_, difference = printed.splitlines()
    assert "(+0.00 points, 360 test examples, of which 100.00 % get" in printed
    assert float(difference) < 1e-4
    page = (DOCS / "tutorials" / "serve.md").read_text(encoding="utf-8")
    line = re.search(r"^    python docs/(serving_client.py .*)", page, re.MULTILINE)[1]
    url = re.search(r"http://\S+", line)[0]
    with serving(tmp_path / "served" / "digits" / "1", url.rpartition("/")[2]) as there:
        client, *arguments = shlex.split(line.replace(url, there))
        done = subprocess.run(
            [sys.executable, DOCS / client, *arguments], capture_output=True, text=True
        )
    assert done.returncode == 0 and done.stdout.startswith("seven.png"), done.stderr


def test_the_tutorial_on_what_does_not_learn_runs(run_tutorial):
    _, printed = run_tutorial("diagnose")
    parted, sound, dead = re.split(r"loss .*, test accuracy .*\n", printed)[1:]
    assert parted.startswith("Training and inference part at small/conv1/BatchNorm")
    assert sound == "small: nothing found\n"
    assert re.match(r"\d+% of the channels of small/block2/.* are 0 for every", dead)
    assert "The inputs go from 0 to 255: they are pixels as they are" in dead


@pytest.mark.parametrize(
    "without",
    [("slimnets run",), pytest.param(("nothing",), marks=pytest.mark.slow)],
    ids=["edited", "as it is too"],
)
def test_the_tutorial_on_migrating_runs(without, run_tutorial, tmp_path):
    _, printed = run_tutorial("migrate", without)
    assert printed.count("loss ") == (1 if without == ("slimnets run",) else 2)
    assert "-import tensorflow.contrib.slim as slim\n" in printed
    assert "contrib" not in (tmp_path / "old" / "train.py").read_text()
    assert "<LoadReport old/model.ckpt: 10 loaded.>" in printed
    assert (tmp_path / "digits.pb").exists()
