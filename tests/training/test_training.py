"""The loop: what a run leaves, that it goes on exactly, and its settings."""

import csv
import json
import os
import signal

import numpy as np
import pytest
import tensorflow as tf

from slimnets.checkpoints import read_checkpoint
from slimnets.data import digits
from slimnets.training import (
    TrainingInterrupted,
    evaluate,
    evaluate_checkpoint,
    train,
)
from slimnets.training.run import Run
from tests.training.runs import assert_identical, final, saved_step, tiny

# The loop.


def test_training_learns_and_leaves_a_whole_directory(config):
    run = config(max_number_of_steps=60)
    result = train(run, show=False)
    assert result.evaluation.total == 360 and result.evaluation.accuracy > 0.8
    names = set(os.listdir(run.train_dir))
    for step in (40, 50, 60):
        parts = ("index", "json", "data-00000-of-00001")
        assert {f"model.ckpt-{step}.{part}" for part in parts} <= names
    assert not any(name.startswith("model.ckpt-30") for name in names)
    assert sum("tfevents" in name for name in names) == 1
    assert tf.train.latest_checkpoint(run.train_dir) == result.checkpoint


def test_checkpoint_holds_variables_by_name_and_metadata(config):
    run = config(max_number_of_steps=2)
    train(run, show=False)
    reader = read_checkpoint(run.train_dir)
    others = {n for n in reader if not n.startswith("optimizer/")}
    assert others == {
        "global_step",
        "tiny/conv1/weights",
        "tiny/conv1/BatchNorm/beta",
        "tiny/conv1/BatchNorm/moving_mean",
        "tiny/conv1/BatchNorm/moving_variance",
        "tiny/logits/weights",
        "tiny/logits/biases",
    }
    assert reader["global_step"] == reader["optimizer/iteration"] == 2
    assert reader.metadata["model_name"] == "tiny"
    assert reader.metadata["num_classes"] == 10
    assert reader.metadata["image_size"] == 8
    assert reader.metadata["config"]["seed"] == 0
    json.dumps(reader.metadata)


def test_graph_code_restores_a_training_checkpoint(config):
    run = config(max_number_of_steps=2)
    model = train(run, show=False).model
    images, _ = digits.load("test")
    images = images.astype(np.float32) / 8 - 1
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        logits = tiny(tf.constant(images), num_classes=10)
        saver = tf.compat.v1.train.Saver()
        saver.restore(session, tf.train.latest_checkpoint(run.train_dir))
        expected = session.run(logits)
    np.testing.assert_allclose(model(images), expected, rtol=1e-5, atol=1e-5)


def test_a_run_is_a_function_of_its_config(config):
    first, second, other = config("a"), config("b"), config("c", seed=1)
    for run in (first, second, other):
        train(run, show=False)
    assert_identical(final(first), final(second))
    name = "tiny/conv1/weights"
    assert not np.array_equal(final(first)[name], final(other)[name])


@pytest.mark.parametrize(
    "optimizer", [pytest.param("momentum", marks=pytest.mark.slow), "adam"]
)
def test_an_interrupted_run_ends_as_an_uninterrupted_one(config, stop_at, optimizer):
    whole = config("whole", optimizer=optimizer, learning_rate=0.01)
    train(whole, show=False)
    parts = config("parts", optimizer=optimizer, learning_rate=0.01)
    stopped = pytest.raises(TrainingInterrupted, match=r"stopped at step 1\d of 24")
    with stop_at(10), stopped:
        train(parts, show=False)
    result = train(parts, show=False)
    assert 10 <= result.first_step < 24
    assert_identical(final(whole), final(parts))


def rows(config):
    """The log of a run, without what depends on the time."""
    with open(os.path.join(config.train_dir, "log.csv"), newline="") as file:
        found = list(csv.DictReader(file))
    for row in found:
        del row["images_per_second"]
    return found


@pytest.mark.parametrize("end", ["asked", "killed"])
def test_what_a_run_had_not_measured_is_measured_when_it_goes_on(
    config, stop_at, monkeypatch, end
):
    """At step 10 it saves first; that it then measures is not lost with the process."""
    options = {"eval_interval_steps": 5, "keep_best": True, "log_every_n_steps": 1}
    whole, parts = (config(name, **options) for name in ("whole", "parts"))
    train(whole, show=False)
    if end == "asked":
        with stop_at(10), pytest.raises(TrainingInterrupted, match="at step 10 of 24"):
            train(parts, show=False)
    else:
        evaluate = Run.evaluate

        def dying(run, watch):
            if run.optimizer.iterations == 10:
                raise SystemExit
            return evaluate(run, watch)

        with monkeypatch.context() as patch, pytest.raises(SystemExit):
            patch.setattr(Run, "evaluate", dying)
            train(parts, show=False)
    assert saved_step(parts.train_dir) == 10
    assert not rows(parts)[-1]["test_accuracy"]
    assert train(parts, show=False).first_step == 10
    assert rows(parts) == rows(whole)
    best = [read_checkpoint(os.path.join(c.train_dir, "best")) for c in (whole, parts)]
    assert_identical(*map(dict, best))


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_with_a_checkpoint_and_gives_the_handlers_back(
    config, stop_at, signum
):
    before = signal.getsignal(signum)
    with stop_at(10, signum), pytest.raises(TrainingInterrupted) as caught:
        train(config(), show=False)
    assert caught.value.signum == signum
    assert read_checkpoint(config().train_dir)["global_step"] >= 10
    assert signal.getsignal(signum) is before


def test_a_finished_run_is_only_evaluated(config):
    run = config()
    first = train(run, show=False)
    again = train(run, show=False)
    assert again.first_step == 24
    assert again.evaluation.correct == first.evaluation.correct


def test_another_run_in_the_directory_is_refused(config):
    train(config(max_number_of_steps=2), show=False)
    with pytest.raises(ValueError, match=r"of another run \(batch_size=100 there, 50"):
        train(config(max_number_of_steps=2, batch_size=50), show=False)


def test_mirrored_training_equals_training_on_one_device(config, mirrored):
    one, two = config("one", model_name="plain"), config("two", model_name="plain")
    train(one, show=False)
    train(two, strategy=mirrored, show=False)
    ones, twos = final(one), final(two)
    assert ones.keys() == twos.keys()
    for name in ones:
        np.testing.assert_allclose(twos[name], ones[name], rtol=1e-4, atol=1e-6)


def test_mirrored_run_goes_on_exactly(config, mirrored, stop_at):
    whole, parts = config("whole"), config("parts")
    train(whole, strategy=mirrored, show=False)
    with stop_at(10), pytest.raises(TrainingInterrupted):
        train(parts, strategy=mirrored, show=False)
    train(parts, strategy=mirrored, show=False)
    assert_identical(final(whole), final(parts))


def test_a_loss_that_is_not_finite_stops_the_run(config):
    run = config(learning_rate=1e30, optimizer="sgd", max_recoveries=0)
    with pytest.raises(FloatingPointError, match="lower learning_rate"):
        train(run, show=False)
    assert not os.path.exists(os.path.join(run.train_dir, "checkpoint"))


def test_progress_is_plain_lines_where_there_is_no_terminal(config, capfd):
    train(config())
    text = capfd.readouterr().err
    assert "tiny: step 24 of 24, loss" in text and "\r" not in text


# Settings.


def test_settings_that_have_no_effect_are_refused(config):
    with pytest.raises(ValueError, match="belongs to optimizer=adam"):
        config(adam_beta1=0.5)
    with pytest.raises(ValueError, match="momentum is of no effect"):
        config(optimizer="adam", momentum=0.5)
    with pytest.raises(ValueError, match="learning_rate_decay_type=exponential"):
        config(learning_rate_decay_factor=0.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": "adma"}, "did you mean adam"),
        ({"learning_rate_decay_type": "cosin"}, "did you mean cosine"),
        ({"model_name": "tinny"}, "Unknown network 'tinny'"),
        ({"dataset_name": "digit"}, "Did you mean digits"),
        ({"strategy": "two"}, "one, mirrored"),
        ({"batch_size": 0}, "batch_size=0 must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate=0.0 must be above 0"),
        ({"label_smoothing": 1.0}, "label_smoothing=1.0 must be in"),
    ],
)
def test_wrong_settings_are_explained(config, changes, message):
    with pytest.raises(ValueError, match=message):
        config(**changes)


# Evaluation.


@pytest.mark.parametrize("batch_size", [1000, 360, 77])
def test_every_image_counts_once_whatever_the_batch(batch_size):
    images, labels = digits.load("test")
    means = images.mean(axis=(1, 2, 3)) / 8 - 1

    class ByMean(tf.Module):
        """Says 1 for bright images, else 0."""

        def __call__(self, images, training):
            bright = tf.reduce_mean(images, [1, 2, 3]) > -0.4
            return tf.one_hot(tf.cast(bright, tf.int32), 10)

    evaluation = evaluate(ByMean(), digits.DIGITS, image_size=8, batch_size=batch_size)
    assert evaluation.total == 360
    assert evaluation.correct == np.sum((means > -0.4) == labels)
    assert np.sum(evaluation.confusion) == 360
    assert f"({evaluation.correct} of 360 test examples)" in str(evaluation)


def test_a_checkpoint_tells_how_to_evaluate_it(config):
    run = config(eval_image_size=8)
    expected = train(run, show=False).evaluation
    evaluation, prefix = evaluate_checkpoint(run.train_dir, batch_size=7)
    assert (evaluation.correct, evaluation.total) == (expected.correct, 360)
    assert evaluate_checkpoint(prefix, split="train")[0].total == 1437
    os.remove(f"{prefix}.json")
    with pytest.raises(ValueError, match="of tiny and of dropping: give model_name"):
        evaluate_checkpoint(run.train_dir)
    with pytest.raises(ValueError, match="give dataset_name"):
        evaluate_checkpoint(run.train_dir, model_name="tiny")
    evaluation, _ = evaluate_checkpoint(
        run.train_dir, model_name="tiny", dataset_name="digits"
    )
    assert evaluation.correct == expected.correct
