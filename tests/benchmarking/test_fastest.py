"""The fastest form: who wins, who is as fast, who may not, and one real choice."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

import slimnets
from slimnets.benchmarking import fastest, turns, worker
from slimnets.benchmarking.fastest import Form, export_fastest
from slimnets.benchmarking.workload import Work
from slimnets.cli.main import BAD_USAGE, main
from slimnets.export import Accuracies, load
from slimnets.export import checkpoint as checkpoint_exports
from slimnets.trained import open_trained

WORK = Work("lenet", batch_size=4, image_size=28, num_classes=10)
# Seconds of the turns of each form: the machine is half as fast in the third, and half
# of openvino's time in int8 is other work's.
TURNS = {
    "openvino int8": [0.01, 0.01, 0.02, 0.01],
    "onnx float32": [0.02, 0.02, 0.04, 0.02],
    "tflite float32": [0.01, 0.011, 0.02, 0.01],
    "tflite int8": [0.011, 0.01, 0.02, 0.011],
}


class Turns:
    """Takes turns as told."""

    def __init__(self, subject, work, directory):
        self.error = "no such runtime" if work.form == "saved_model" else ""
        self._left = TURNS.get(f"{work.form} {work.precision}")
        self.turns, self.shares = [], []
        self._share = 0.5 if self._left == TURNS["openvino int8"] else 1.0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def take_turn(self):
        self.turns.append([self._left[len(self.turns)]])
        self.shares.append(self._share)


def timed(monkeypatch, *forms):
    monkeypatch.setattr(turns, "Child", Turns)
    return fastest._timed([Form(*form.split()) for form in forms], WORK, 4)


def test_the_fastest_wins_by_what_both_had_in_the_same_turn(monkeypatch):
    race = timed(monkeypatch, "onnx float32", "tflite float32", "saved_model float32")
    first, second, third = race.forms
    assert race.best is first and (first.format, first.of_best) == ("tflite", 1)
    assert first.images_per_second == pytest.approx(4 / 0.0105)
    assert (second.format, second.of_best) == ("onnx", pytest.approx(0.5))
    assert race.equals == [] and third.left_out == "no such runtime"
    lines = str(race).splitlines()
    assert lines[-1] == "fastest: tflite in float32, 2.00 times onnx in float32"
    assert lines[-2].split() == ["saved_model", "float32", "no", "such", "runtime"]


def test_other_works_time_does_not_count_and_is_told(monkeypatch):
    race = timed(monkeypatch, "tflite float32", "openvino int8")
    assert str(race.best) == "openvino in int8" and race.waiting == 0.25
    assert race.best.images_per_second == pytest.approx(4 / 0.005)
    other, verdict = str(race).splitlines()[-2:]
    assert other.startswith("other work had the processors for 25% of the time")
    assert verdict.startswith("fastest: openvino in int8, 2.")


@pytest.mark.skipif(
    not pathlib.Path("/proc/self/schedstat").exists(), reason="Linux tells it"
)
def test_waiting_for_a_processor_is_seen():
    """Two on one processor: each waits for half of the time."""
    processors = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(processors)})
    try:
        with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
            before, end = worker.waited(), time.monotonic() + 1
            while time.monotonic() < end:
                pass
            lost = worker.waited() - before
            other.kill()
    finally:
        os.sched_setaffinity(0, processors)
    assert 0.1 < lost < 1


def test_two_that_win_in_turns_are_equal(monkeypatch):
    race = timed(monkeypatch, "tflite float32", "tflite int8")
    assert str(race).endswith("tflite in float32, and as fast tflite in int8")
    assert race.to_json()["forms"][1]["precision"] == "int8"


def test_nothing_to_time_is_said(monkeypatch):
    race = timed(monkeypatch, "saved_model int8")
    assert race.best is None and str(race).endswith("none of them can be run here")


@pytest.mark.parametrize(
    ("limits", "lost"),
    [
        ((0.02, None), ""),
        ((0.005, None), "changes 1.00 % of classes"),
        ((0.005, 0.5), ""),
        ((1.0, 0.1), "loses 0.30 points"),
    ],
)
def test_what_a_form_loses_decides_whether_it_may_win(limits, lost):
    measured = Accuracies(0.95, 0.947, same=0.99, images=1000, split="test")
    form = Form("onnx", "int8", accuracies=measured)
    assert fastest._lost(form, *limits) == lost


def test_the_fastest_form_is_exported_with_how_it_was_chosen(tmp_path, monkeypatch):
    monkeypatch.setattr(fastest, "_FORMS", ("tflite", "saved_model"))
    monkeypatch.setattr(fastest, "_PRECISIONS", ("float32",))
    model = slimnets.Model("lenet", num_classes=10, seed=0)
    model.build([None, 28, 28, 1])
    metadata = {"dataset_name": "digits", "image_size": 28}
    checkpoint = model.save(tmp_path / "net", metadata=metadata)
    trained = open_trained(checkpoint)
    with pytest.raises(ValueError, match="has an ending"):
        export_fastest(trained, "net.onnx")
    made, as_function = [], checkpoint_exports.as_function

    def counted(*args, **kwargs):
        made.append(args)
        return as_function(*args, **kwargs)

    monkeypatch.setattr(checkpoint_exports, "as_function", counted)
    fast = tmp_path / "new" / "fast"
    path, race = export_fastest(trained, str(fast), turns=1)
    assert len(made) == 1  # The network itself classifies the test images once.
    assert path == str(fast) + {"tflite": ".tflite"}.get(race.best.format, "")
    told = json.loads((tmp_path / f"{path}.json").read_text())["fastest"]
    assert [form["format"] for form in told["forms"]] == [f.format for f in race.forms]
    assert race.best.accuracies.same == 1.0
    assert load(path).metadata["model_name"] == "lenet"
    assert not list(fast.parent.glob(".*"))
    head = dataclasses.replace(trained, metadata={"task": "detection"})
    with pytest.raises(ValueError, match="is of a run of detection"):
        export_fastest(head, str(fast))


def test_flags_of_no_effect_are_refused(capsys):
    given = ["export", "--checkpoint_path=x", "--output=y"]
    assert main([*given, "--fastest", "--format=onnx"]) == BAD_USAGE
    assert "--format is of no effect with --fastest" in capsys.readouterr().err
    assert main([*given, "--max_difference=0.1"]) == BAD_USAGE
    assert "--max_difference is of no effect without" in capsys.readouterr().err
    assert main(["benchmark", "lenet", "--best", "--forms=onnx"]) == BAD_USAGE
    assert "--forms is of no effect with --best" in capsys.readouterr().err
