"""Comparisons of speed: their figures, their files, and one real run."""

import csv
import dataclasses
import json
import shutil
import subprocess

import numpy as np
import pytest

import slimnets
from slimnets import export
from slimnets.benchmarking import comparison_table
from slimnets.benchmarking.comparison_table import (
    Result,
    percentile,
    result_of,
    table,
    write,
)
from slimnets.benchmarking.measuring import measure
from slimnets.benchmarking.peers import NotAvailable, step_of
from slimnets.benchmarking.prepare import as_trained
from slimnets.benchmarking.turns import in_turns
from slimnets.benchmarking.workload import FORMS, MODEL, Work, file_of
from slimnets.cli.main import BAD_USAGE, OK, main

WORK = Work("lenet", batch_size=4, image_size=28)
ABOUT = {
    "build_seconds": 2.0,
    "first_call_seconds": 0.5,
    "peak_memory_mb": 300.0,
    "cpu_seconds": [0.02, 0.03, 0.04],
}
# The machine is half as fast in the second turn, for both alike.
OWN = [[0.01, 0.01, 0.01], [0.02, 0.02, 0.02], [0.01, 0.01, 0.01]]
PEER = [[0.03], [0.06], [0.03]]


@pytest.fixture
def results():
    return [
        result_of("slimnets", WORK, ABOUT, OWN, OWN, 10**6, 10**9),
        result_of("keras", WORK, ABOUT, PEER, OWN, 10**6, 10**9),
        Result("torch", WORK, error="not installed"),
    ]


def test_ratios_are_of_the_same_turn(results):
    own, peer, absent = results
    assert own.ratio == 1 and peer.ratio == pytest.approx(3)
    assert peer.ratio_low == pytest.approx(3) and peer.ratio_high == pytest.approx(3)
    assert own.images_per_second == pytest.approx(4 / 0.01)
    assert peer.latency_ms == pytest.approx(30) and peer.latency_99_ms == 60
    assert own.cpu_ms == pytest.approx(30) and absent.cpu_ms is None
    assert own.steps == 9 and absent.steps == 0 and absent.ratio is None


def test_the_share_is_of_the_matrix_products_rate(results):
    """1e6 multiply-adds in 0.01 s are a tenth of 1e9 in a second; training is three."""
    assert results[0].share == pytest.approx(0.1)
    training = Work("lenet", image_size=28, mode="training")
    result = result_of("slimnets", training, ABOUT, OWN, OWN, 10**6, 10**9)
    assert result.share == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("percent", "value"), [(0, 1), (25, 3), (50, 5), (90, 9), (99, 10), (100, 10)]
)
def test_percentiles_are_measured_values(percent, value):
    assert percentile(range(1, 11), percent) == value


def test_files_hold_every_figure(results, tmp_path):
    write(results, str(tmp_path / "found.json"))
    rows = json.loads((tmp_path / "found.json").read_text())["results"]
    assert [row["subject"] for row in rows] == ["slimnets", "keras", "torch"]
    assert rows[1]["ratio"] == pytest.approx(3) and rows[1]["batch_size"] == 4
    write(results, str(tmp_path / "found.csv"))
    with open(tmp_path / "found.csv", newline="") as file:
        again = list(csv.DictReader(file))
    assert list(again[0]) == list(rows[0]) and again[2]["error"] == "not installed"
    with pytest.raises(ValueError, match=r"must end in \.json"):
        write(results, str(tmp_path / "found.txt"))


def test_a_plot_is_drawn(results, tmp_path):
    pytest.importorskip("matplotlib")
    write(results, str(tmp_path / "found.svg"))
    text = (tmp_path / "found.svg").read_text()
    assert "keras" in text and "images per second" in text


def test_the_table_tells_who_is_missing(results):
    lines = table(results).splitlines()
    assert "lenet, forward, batch 4, 28 pixels, float32" in lines[1]
    assert lines[3].split()[:3] == ["slimnets", "400.0", "1.00"]
    assert lines[5] == "torch       not installed"
    assert "-" in table([Result("slimnets", WORK, images_per_second=1.0)])


@pytest.mark.parametrize("width", [1, 40, 80, 101, 102, None])
def test_a_narrow_terminal_gets_more_lines(results, width):
    for text in (
        comparison_table.header,
        lambda width: comparison_table.row(results[1], width),
    ):
        lines = text(width).split("\n")
        fits = max(map(len, lines)) <= (width or 1000)
        assert fits or width == 1, "one column a line is the least"
        assert " ".join(lines).split() == text(None).split()
        assert {line[:12].strip() for line in lines[1:]} <= {""}
    assert len(comparison_table.header(width).split("\n")) == {
        1: 11,
        40: 4,
        80: 2,
        101: 2,
    }.get(width, 1)


@pytest.mark.parametrize(
    "options", [{"mode": "backward"}, {"form": "compiled"}, {"precision": "int4"}]
)
def test_unknown_work_is_refused(options):
    with pytest.raises(ValueError, match="allowed are"):
        Work("lenet", **options)


def test_what_is_exported_is_not_compiled():
    with pytest.raises(ValueError, match="form='model'"):
        Work("lenet", jit=True)
    assert "jit" in str(Work("lenet", jit=True, form="model"))


def test_int8_is_of_files():
    for options in ({"form": "model"}, {"mode": "training"}):
        with pytest.raises(ValueError, match="int8 is of inference"):
            Work("lenet", precision="int8", **options)
    work = Work("lenet", precision="int8", form="onnx")
    assert file_of("slimnets", work, "d").precision == "int8"
    # A peer computes in float32, from a file of its own.
    assert file_of("onnxruntime", work, "d").precision == "float32"
    assert work.peer_precision == "float32"
    with pytest.raises(
        ValueError, match="bfloat16' does not exist for the format onnx"
    ):
        measure([Work("lenet", precision="bfloat16", form="onnx")])


def test_forms_are_the_formats_of_export():
    assert set(FORMS) == {*export.FORMATS, MODEL}
    for form in export.FORMATS:
        path = file_of("slimnets", Work("lenet", form=form), "d").path
        assert path == f"d/slimnets{export.FORMATS[form].ending}"
    assert file_of("slimnets", Work("lenet", form=MODEL), "d") is None
    assert file_of("keras", Work("lenet"), "d") is None


def test_values_as_of_a_trained_network_are_no_zeros():
    model = slimnets.Model("resnet_v2_cifar_20", num_classes=3)
    model.build([None, 32, 32, 3])
    as_trained(model)
    for name, variable in model.variables_by_name.items():
        if not name.endswith("weights"):
            assert np.abs(variable).min() > 0, name
    assert np.isfinite(model(np.ones([1, 32, 32, 3], np.float32))).all()


def test_wrong_calls_are_refused():
    with pytest.raises(ValueError, match="allowed are keras"):
        measure([WORK], compare=["caffe"])
    with pytest.raises(ValueError, match="allowed is 1 or more"):
        measure([WORK], turns=0)
    with pytest.raises(ValueError, match="Unknown network"):
        measure([Work("lenot")])


@pytest.mark.parametrize(
    "flags",
    [["--batch_sizes=0"], ["--image_sizes=big"], ["--modes=sideways"], ["--turns=0"],
     ["--output=found.txt"], ["--compare=caffe"]],
)  # fmt: skip
def test_wrong_flags_are_refused(flags, capsys):
    assert main(["benchmark", "lenet", *flags]) == BAD_USAGE
    name, _, value = flags[0].partition("=")
    assert value in (error := capsys.readouterr().err)
    assert name in error or "must end" in error or "allowed are" in error


def test_a_process_that_dies_is_an_error_and_the_others_go_on(tmp_path, monkeypatch):
    program = """
import json, sys
print(json.dumps({"build_seconds": 1.0, "first_call_seconds": 0.1}), flush=True)
for number, line in enumerate(sys.stdin):
    if number == 1 and sys.argv[2] == "torch":
        sys.exit("out of memory")
    said = {"seconds": [1.0], "cpu_seconds": 0.5, "share": 1.0, "peak_memory_mb": 7}
    print(json.dumps(said), flush=True)
"""
    popen = subprocess.Popen

    def started(arguments, **options):
        return popen([arguments[0], "-c", program, *arguments[2:]], **options)

    monkeypatch.setattr(subprocess, "Popen", started)
    subjects = {name: (name, WORK, str(tmp_path)) for name in ("slimnets", "torch")}
    children = in_turns(subjects, 4)
    assert not children["slimnets"].error and len(children["slimnets"].turns) == 4
    assert children["slimnets"].about["peak_memory_mb"] == 7
    assert children["torch"].error == "the process ended: out of memory"


@pytest.mark.slow
def test_a_real_comparison(tmp_path, capsys):
    """Both modes, in processes; a peer without the network says so."""
    output = tmp_path / "found.json"
    flags = ["--image_sizes=32", "--modes=forward,training", "--turns=2", "--threads=1"]
    flags += ["--compare=keras,tf_slim", f"--output={output}", "--num_classes=5"]
    assert main(["benchmark", "resnet_v1_cifar_20", *flags]) == OK
    rows = json.loads(output.read_text())["results"]
    assert [row["subject"] for row in rows] == ["slimnets", "keras", "tf_slim"] * 2
    assert [row["mode"] for row in rows] == ["forward"] * 3 + ["training"] * 3
    for row in rows:
        if row["subject"] == "slimnets":
            assert row["images_per_second"] > 0 and 0 < row["share"] < 10
            assert row["peak_memory_mb"] > 50 and row["first_call_seconds"] > 0
        else:
            assert row["error"]
    assert "resnet_v1_cifar_20, training" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_forms_run_beside_one_another(precision, tmp_path):
    pytest.importorskip("onnxruntime")
    output = tmp_path / "found.csv"
    forms = ["onnx", "tflite"] if precision == "int8" else FORMS
    flags = [f"--forms={','.join(forms)}", "--image_sizes=32", "--turns=1"]
    flags += ["--compare=onnxruntime", f"--precisions={precision}"]
    flags += [f"--output={output}", "--threads=1", "--num_classes=5"]
    assert main(["benchmark", "resnet_v1_cifar_20", *flags]) == OK
    with open(output, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["form"] for row in rows] == [f for f in forms for _ in range(2)]
    assert all(float(row["images_per_second"]) > 0 for row in rows)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="torch compiles by g++")
def test_compiled_torch_computes_what_torch_does(tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("torchvision")
    outputs = {}
    for name in ("torch", "torch_compiled"):
        torch.manual_seed(0)
        work = Work("resnet18", image_size=32, num_classes=3)
        outputs[name] = step_of(name, work, str(tmp_path))()
    np.testing.assert_allclose(*outputs.values(), atol=1e-5)


def test_heads_are_timed_in_any_form(tmp_path):
    work = Work("resnet_v1_cifar_20", image_size=32, num_classes=3, form=MODEL,
                task="detection")  # fmt: skip
    assert str(work).startswith("detection on resnet_v1_cifar_20, forward, batch 1")
    network, options = work.built
    model = slimnets.Model(network, num_classes=3, levels=["C1", "C2"], **options)
    outputs = model(np.zeros([1, 32, 32, 3], np.float32))
    assert {name: value.shape[1:] for name, value in outputs.items()} == {
        "boxes": (9 * 320, 4), "scores": (9 * 320, 3)
    }  # fmt: skip
    for change, message in (
        ({"task": "pose"}, "allowed are detection, segmentation"),
        ({"mode": "training"}, "not for task='detection'"),
    ):
        with pytest.raises(ValueError, match=message):
            dataclasses.replace(work, **change)
    with pytest.raises(NotAvailable, match="torch has no detection on resnet_v1_cifar"):
        step_of("torch", work, str(tmp_path))
