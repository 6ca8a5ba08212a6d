"""What a run shows and writes: evaluations, the best, logs, progress."""

import csv
import json
import os

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from slimnets import progress
from slimnets.checkpoints import read_checkpoint
from slimnets.training import evaluate_checkpoint, loop, train
from slimnets.training.logs import Logs
from slimnets.training.task import Classification


def read_rows(run):
    with open(os.path.join(run.train_dir, "log.csv"), encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_evaluations_are_logged_and_the_best_is_kept(config, monkeypatch):
    shares, evaluate = iter([0.2, 0.9, 0.5]), Classification.evaluate

    def measured(self, settings, model):
        result = evaluate(self, settings, model)
        return type(result)(int(360 * next(shares)), 360, "test", 0.0)

    monkeypatch.setattr(Classification, "evaluate", measured)
    run = config(eval_interval_steps=10, keep_best=True)
    train(run, show=False)
    monkeypatch.undo()
    rows = {int(row["step"]): row for row in read_rows(run)}
    assert set(rows) == {7, 10, 14, 20, 21, 24}
    assert float(rows[20]["test_accuracy"]) == pytest.approx(0.9)
    assert not rows[7]["test_accuracy"] and rows[24]["test_accuracy"]
    best = os.path.join(run.train_dir, "best")
    reader = read_checkpoint(best)
    assert reader.metadata["step"] == 20 == reader["global_step"]
    assert reader.metadata["score"] == pytest.approx(0.9)


def test_the_best_is_evaluated_by_its_directory(config):
    run = config(eval_interval_steps=12, keep_best=True, moving_average_decay=0.8)
    train(run, show=False)
    best = os.path.join(run.train_dir, "best")
    names = sorted(os.listdir(best))
    step = read_checkpoint(best).metadata["step"]
    parts = ("data-00000-of-00001", "index", "json")
    assert names == ["checkpoint", *(f"model.ckpt-{step}.{part}" for part in parts)]
    evaluation, _ = evaluate_checkpoint(best)
    scores = [float(r["test_accuracy"]) for r in read_rows(run) if r["test_accuracy"]]
    assert evaluation.accuracy == pytest.approx(max(scores))
    raw, _ = evaluate_checkpoint(best, averages=False)
    assert raw.total == 360


def test_averages_that_are_not_there_are_missed(config):
    run = config(max_number_of_steps=1)
    train(run, show=False)
    with pytest.raises(ValueError, match="has no moving averages; moving_av"):
        evaluate_checkpoint(run.train_dir, averages=True)


def test_a_run_leaves_a_summary_and_a_table(config):
    run = config(max_number_of_steps=20)
    result = train(run, show=False)
    with open(os.path.join(run.train_dir, "summary.json"), encoding="utf-8") as file:
        summary = json.load(file)
    assert summary["result"] == str(result.evaluation)
    assert summary["evaluation"]["test_accuracy"] == result.evaluation.accuracy
    assert summary["config"]["learning_rate"] == 0.05 and summary["steps"] == 20
    assert summary["checkpoint"] == "model.ckpt-20"
    rows = read_rows(run)
    assert [int(row["step"]) for row in rows] == [7, 14, 20]
    for name in ("loss", "train_accuracy", "learning_rate", "images_per_second"):
        assert all(np.isfinite(float(row[name])) for row in rows)


def test_a_table_goes_on_where_the_run_does(tmp_path):
    logs = Logs(str(tmp_path), 0)
    for step in (5, 10, 15):
        logs.scalars(step, {"loss": step})
    logs.close()
    logs = Logs(str(tmp_path), 10)
    logs.scalars(12, {"loss": 1.5, "other": 2.0})
    logs.scalars(14, {"loss": 1.0})
    logs.close()
    text = (tmp_path / "log.csv").read_text()
    assert text == "step,loss,other\n5,5,\n10,10,\n12,1.5,2\n14,1,\n"
    Logs(str(tmp_path / "none"), 0, active=False).scalars(1, {"loss": 1.0})
    assert not (tmp_path / "none").exists()


def test_tensorboard_shows_scalars_images_histograms_graph_and_settings(config):
    run = config(image_summaries=3, histograms=True, graph_summary=True)
    train(run, show=False)
    events = EventAccumulator(run.train_dir, size_guidance={"images": 0, "tensors": 0})
    events.Reload()
    tags = events.Tags()
    plugins = {t: events.SummaryMetadata(t).plugin_data.plugin_name
               for t in tags["tensors"]}  # fmt: skip
    kinds = {"loss": "scalars", "learning_rate": "scalars", "test_accuracy": "scalars",
             "augmented": "images", "tiny/conv1/weights": "histograms"}  # fmt: skip
    assert {tag: plugins.get(tag) for tag in kinds} == kinds
    assert "hparams" in plugins.values()
    assert tags["graph"]
    shown = events.Tensors("augmented")[0].tensor_proto
    # Width, height, and the images themselves.
    assert len(tf.make_ndarray(shown)) == 2 + 3


def test_inputs_that_are_no_images_cannot_be_shown(config):
    run = config(dataset_name="shapes", model_name="plain", image_summaries=2,
                 train_image_size=32, batch_size=4)  # fmt: skip
    with pytest.raises(ValueError, match="image_summaries=2 is of no effect"):
        train(run, show=False)


def test_the_batch_and_the_learning_rate_are_printed(config, mirrored, capfd):
    run = config(max_number_of_steps=1, accumulation_steps=2, learning_rate=0.512,
                 learning_rate_per_256=True)  # fmt: skip
    train(run, strategy=mirrored)
    text = capfd.readouterr().err
    assert "tiny: 100 images a step, 4 x 25, learning rate 0.2\n" in text
    assert "tiny: step 1 of 1, loss" in text and "\r" not in text


def test_a_terminal_gets_a_bar_with_everything(config, monkeypatch, capfd):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr(loop, "SECONDS_PER_CALL", 0.0)
    train(config())
    text = capfd.readouterr().err
    for shown in ("tiny: 24/24 |", "loss", "accuracy", "00:00 left"):
        assert shown in text
    assert "images/s" not in text
    monkeypatch.setattr(progress, "WIDTH", 160)
    train(config("wide"))
    text = capfd.readouterr().err
    assert "images/s" in text and "rate" in text


def test_plain_lines_tell_how_long_it_takes(capfd):
    with progress.show_progress("x", 0, 10) as shown:
        shown.update(5, {"loss": 1.0})
        shown.say("y")
    line, said = capfd.readouterr().err.splitlines()
    assert line == "x: step 5 of 10, loss 1, 0:00:00 left" and said == "y"
