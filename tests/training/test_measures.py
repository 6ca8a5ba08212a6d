"""Measures of classification against numpy's, and the files they are written to."""

import csv
import json
import sys

import numpy as np
import pytest
import tensorflow as tf

from slimnets.training.evaluation_files import write_report
from slimnets.training.measures import Evaluation, count


def evaluation(logits, labels, parts=3, background=0, **options):
    """An evaluation in several batches, the last of another size."""
    sums = {}
    for part in np.array_split(np.arange(len(labels)), parts):
        counts = count(tf.constant(logits[part]), tf.constant(labels[part]), **options)
        for name, value in counts.items():
            sums[name] = sums.get(name, 0) + value.numpy()
    names = tuple(f"class {i}" for i in range(logits.shape[1] - background))
    return Evaluation.of_counts(sums, split="test", seconds=1.0, label_names=names)


@pytest.fixture
def examples(rng):
    labels = rng.integers(0, 8, 200)
    return rng.normal(size=[200, 8]) + 2 * np.eye(8)[labels], labels


def test_counts_are_exact(examples):
    logits, labels = examples
    found = evaluation(logits, labels)
    best = logits.argmax(1)
    top = np.argsort(-logits, axis=1)[:, :5]
    assert (found.correct, found.total) == (np.sum(best == labels), 200)
    assert found.top5_correct == np.sum(top == labels[:, np.newaxis])
    share = f"{100 * np.mean(best == labels):.2f}"
    assert str(found) == f"accuracy {share} % ({found.correct} of 200 test examples)"
    confusion = np.zeros([8, 8])
    np.add.at(confusion, (labels, best), 1)
    np.testing.assert_array_equal(found.confusion, confusion)
    rows = found.class_rows()
    assert sum(row["examples"] for row in rows) == 200
    third = rows[3]
    assert third["name"] == "class 3"
    assert third["recall"] == np.mean(best[labels == 3] == 3)
    assert third["precision"] == np.mean(labels[best == 3] == 3)


def test_calibration_error_is_its_definition(examples):
    logits, labels = examples
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    confidence, correct = shares.max(1), logits.argmax(1) == labels
    error = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence > low) & (confidence <= low + 1 / 15)
        if inside.any():
            gap = abs(confidence[inside].mean() - correct[inside].mean())
            error += inside.mean() * gap
    found = evaluation(logits, labels)
    assert found.calibration_error == pytest.approx(error, abs=1e-5)
    sure = evaluation(1000.0 * np.eye(8), np.arange(8), parts=1)
    assert sure.calibration_error == pytest.approx(0.0, abs=1e-6)


def test_a_background_class_moves_labels(examples):
    logits, labels = examples
    wider = np.concatenate([np.full([200, 1], -9.0), logits], axis=1)
    found = evaluation(wider, labels + 1, background=1)
    plain = evaluation(logits, labels)
    assert found.correct == plain.correct
    assert found.class_rows()[0]["name"] == "background"
    assert found.class_rows()[1]["name"] == "class 0"


def test_images_of_several_classes_are_counted_by_class():
    logits = np.array([[1.0, -1, 2], [-1, -1, -1], [1, 1, -1]])
    labels = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 0]], np.float32)
    found = evaluation(logits, labels, parts=2, several=True)
    assert (found.correct, found.total) == (1, 3)
    np.testing.assert_array_equal(found.by_class, [[2, 2, 2], [0, 1, 1], [1, 1, 1]])
    summaries = found.summaries
    assert summaries["test_precision"] == summaries["test_recall"] == 3 / 4
    assert found.class_rows()[1]["recall"] == 0.0 and found.calibration_error is None


def test_soft_labels_count_by_their_largest(examples):
    logits, labels = examples
    soft = 0.7 * np.eye(8, dtype=np.float32)[labels] + 0.3 / 8
    assert evaluation(logits, soft).correct == evaluation(logits, labels).correct


def test_few_classes_have_no_five_best():
    assert evaluation(np.eye(3), np.arange(3)).top5_correct is None


def test_a_report_is_tables_and_a_picture(examples, tmp_path):
    pytest.importorskip("matplotlib")
    found = evaluation(*examples)
    paths = write_report(found, str(tmp_path / "report"), picture=True)
    names = [path.rpartition("/")[2] for path in paths]
    assert names == ["evaluation.json", "classes.csv", "confusion.csv", "confusion.png"]
    with open(paths[0], encoding="utf-8") as file:
        assert json.load(file)["correct"] == found.correct
    with open(paths[2], encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["class", *found.label_names]
    np.testing.assert_array_equal(np.array(rows)[:, 1:].astype(int), found.confusion)
    image = tf.io.decode_png(tf.io.read_file(paths[3]))
    assert min(image.shape[:2]) > 300


def test_a_picture_needs_matplotlib_and_a_matrix(
    examples, tmp_path, monkeypatch, capsys
):
    several = evaluation(np.eye(3), np.eye(3, dtype=np.float32), several=True)
    assert len(write_report(several, str(tmp_path), picture=False)) == 2
    with pytest.raises(ValueError, match="no confusion matrix"):
        write_report(several, str(tmp_path), picture=True)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    paths = write_report(evaluation(*examples), str(tmp_path), picture=True)
    names = [path.rpartition("/")[2] for path in paths]
    assert names == ["evaluation.json", "classes.csv", "confusion.csv"]
    (line,) = capsys.readouterr().err.splitlines()
    assert "confusion.png" in line and "pip install 'slimnets[plot]'" in line
