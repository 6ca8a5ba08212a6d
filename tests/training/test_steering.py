"""Early stopping, the learning-rate finder, and default rates."""

import csv
import sys

import numpy as np
import pytest

from slimnets.training import train
from slimnets.training.default_rates import default_rate
from slimnets.training.early_stopping import metric_of, reason_to_end
from slimnets.training.optimizers import OPTIMIZERS
from slimnets.training.rate_finder import Rates, find_rate, smooth
from slimnets.training.train_dir import has_checkpoint
from tests.training.runs import assert_identical, final, saved_step

EVERY = {"eval_interval_steps": 5, "learning_rate": 1e-30, "weight_decay": 0.0,
         "learning_rate_decay_type": "fixed", "model_name": "plain"}  # fmt: skip


def test_a_run_that_gets_no_better_ends(config, capfd):
    """Its weights stand still: the first of all evaluations is the best."""
    run = config(early_stop_patience=2, keep_best=True, **EVERY)
    train(run)
    error = capfd.readouterr().err
    assert "plain: ends early at step 15: test_accuracy was best at step 5" in error
    assert "which best/ has" in error and saved_step(run.train_dir) == 15
    # The same command says so again, and a larger patience goes on.
    assert train(run).first_step == 15
    assert "ends early at step 15" in capfd.readouterr().err
    more = config(early_stop_patience=3, **EVERY)
    train(more)
    assert "ends early at step 20" in capfd.readouterr().err
    whole = config("whole", early_stop_patience=3, **EVERY)
    train(whole, show=False)
    assert_identical(final(more), final(whole))


def test_statistics_are_taken_anew_before_each_evaluation(config, capfd):
    """So what ended early, and went on, is what was never stopped."""
    rough = {**EVERY, "model_name": "tiny", "learning_rate": 1.0}
    ends = config(early_stop_patience=1, recalibrate_batches=2, **rough)
    ended = train(ends).checkpoint
    assert "ends early" in capfd.readouterr().err
    ended_at = saved_step(ends.train_dir)
    assert ended_at < 24 and train(ends).checkpoint == ended
    assert f"ends early at step {ended_at}" in capfd.readouterr().err
    more = config(early_stop_patience=9, recalibrate_batches=2, **rough)
    train(more, show=False)
    whole = config("whole", early_stop_patience=9, recalibrate_batches=2, **rough)
    train(whole, show=False)
    assert saved_step(more.train_dir) == 24
    assert_identical(final(more), final(whole))


def test_the_measure_and_its_direction(config):
    names = {"test_accuracy": 0.5, "test_calibration_error": 0.1}
    assert metric_of(None, names) == "test_accuracy"
    assert metric_of("calibration_error", names) == "test_calibration_error"
    with pytest.raises(ValueError, match="allowed are accuracy, calibration_error"):
        metric_of("loss", names)
    values = [(5, 0.3), (10, 0.2), (15, 0.25), (20, 0.4)]
    for metric, step in (("accuracy", None), ("calibration_error", 10)):
        run = config(early_stop_patience=2, early_stop_metric=metric, **EVERY)
        reason = reason_to_end(run, names, lambda name, interval: values)
        assert (f"best at step {step}" in reason) == bool(step) == bool(reason)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"early_stop_patience": 1}, "no effect without eval_interval_steps"),
        ({"early_stop_metric": "accuracy"}, "no effect without early_stop_patience"),
    ],
)
def test_what_does_not_go_together_is_explained(config, changes, message):
    with pytest.raises(ValueError, match=message):
        config(**changes)


def test_every_optimizer_has_a_default_rate_for_its_batch(config):
    assert all(default_rate(name, 256) > 0 for name in OPTIMIZERS)
    assert default_rate("momentum", 8) == pytest.approx(0.1 / 32)
    assert default_rate("adam", 64) == pytest.approx(0.0005)
    assert config(learning_rate=None).peak_learning_rate == pytest.approx(10 / 256)
    scaled = config(learning_rate=0.2, learning_rate_per_256=True)
    assert scaled.peak_learning_rate == pytest.approx(0.2 * 100 / 256)


def test_the_finder_finds_where_the_loss_is_lowest(config, tmp_path):
    run = config(model_name="plain", optimizer="sgd")
    found = find_rate(run, lowest=1e-4, highest=1e3, steps=40, show=False)
    assert found.rates[0] == pytest.approx(1e-4)
    ratios = np.divide(found.rates[1:], found.rates[:-1])
    np.testing.assert_allclose(ratios, 1e7 ** (1 / 39), rtol=1e-4)
    assert len(found.rates) < 40  # It ends where the loss rises.
    assert 0.005 < found.suggestion < 5
    assert not has_checkpoint(run.train_dir)
    np.testing.assert_allclose(smooth([2.0, 2.0, 2.0]), 2.0)
    for highest in (0.5, 1.0):
        with pytest.raises(ValueError, match="0 < lowest < highest"):
            find_rate(run, lowest=1.0, highest=highest)


FOUND = Rates((0.1, 1.0, 10.0), (2.0, 1.0, 3.0), (2.0, 1.5, 2.0))


def test_the_rates_are_written_as_a_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    (table,) = FOUND.write(tmp_path)
    with open(table, newline="") as file:
        assert [row["loss"] for row in csv.DictReader(file)] == ["2", "1", "3"]
    (line,) = capsys.readouterr().err.splitlines()
    assert "rates.png" in line and "pip install 'slimnets[plot]'" in line


def test_the_rates_are_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    _, picture = FOUND.write(tmp_path)
    with open(picture, "rb") as file:
        assert file.read(4) == b"\x89PNG"


def test_the_command_prints_a_rate(call, tmp_path):
    code, out, _ = call("find-lr", "--model_name=plain", "--steps=5", "--batch_size=50",
                        f"--output={tmp_path}")  # fmt: skip
    *rows, last = out.splitlines()
    assert code == 0 and len(rows) == 6
    assert last.startswith("--learning_rate=") and str(tmp_path) in last
