"""What a run survives, and what it says when it does not."""

import os
import resource

import numpy as np
import pytest
import tensorflow as tf

from slimnets.checkpoints import read_checkpoint
from slimnets.training import TrainingInterrupted, train
from slimnets.training.task import Classification
from tests.training.runs import assert_identical, final


def spoil(monkeypatch, steps, seeds):
    """Makes the images of some steps infinite, for runs of certain data seeds."""
    batches = Classification.batches

    def spoiled(self, config, first_step, context):
        found = batches(self, config, first_step, context)
        if config.seed not in seeds:
            return found
        numbers = tf.data.Dataset.range(first_step, tf.int64.max)

        def change(batch, step):
            images, labels = batch
            bad = tf.reduce_any(tf.equal(step, steps))
            return tf.where(bad, np.nan, images), labels

        return tf.data.Dataset.zip((found, numbers)).map(change)

    monkeypatch.setattr(Classification, "batches", spoiled)


def test_a_nan_sends_the_run_back_to_go_on_with_other_data(config, monkeypatch, capfd):
    spoil(monkeypatch, [15], seeds=[0])
    run = config()
    result = train(run)
    assert np.isfinite([v.numpy().sum() for v in result.model.variables]).all()
    assert read_checkpoint(run.train_dir).metadata["recoveries"] == 1
    said = capfd.readouterr().err
    assert "The loss is nan after step" in said
    assert "back to step 10 with other data, recovery 1 of 2" in said
    # What is said of a step is said once.
    with open(os.path.join(run.train_dir, "log.csv"), encoding="utf-8") as file:
        steps = [int(line.split(",")[0]) for line in file.readlines()[1:]]
    assert steps == sorted(set(steps))


def test_a_run_that_recovered_goes_on_exactly(config, monkeypatch, stop_at):
    spoil(monkeypatch, [5], seeds=[0])
    whole, parts = config("whole"), config("parts")
    train(whole, show=False)
    with stop_at(10), pytest.raises(TrainingInterrupted):
        train(parts, show=False)
    train(parts, show=False)
    assert_identical(final(whole), final(parts))


def test_recoveries_are_bounded(config, monkeypatch):
    spoil(monkeypatch, [15], seeds=[0, 1_000_003])
    run = config(max_recoveries=1)
    with pytest.raises(FloatingPointError, match=r"1 recoveries before.*learning_rate"):
        train(run, show=False)
    latest = read_checkpoint(run.train_dir)
    assert latest["global_step"] == 10
    assert all(np.isfinite(latest[name]).all() for name in latest)


def test_weights_that_are_not_finite_are_never_saved(config):
    """Here they break in the last step, whose loss is still a number."""
    options = {"model_name": "plain", "max_number_of_steps": 1, "optimizer": "sgd"}
    run = config(learning_rate=1e30, max_recoveries=0, weight_decay=1e10,
                 weight_decay_type="decoupled", **options)  # fmt: skip
    with pytest.raises(FloatingPointError, match="A weight is not finite after step 1"):
        train(run, show=False)
    assert not os.path.exists(os.path.join(run.train_dir, "checkpoint"))


def test_a_full_disk_leaves_the_last_good_checkpoint(config):
    """A limit on the size of files is met as a full disk is: by a write that fails."""
    options = {"model_name": "plain", "train_image_size": 32, "save_interval_steps": 1,
               "learning_rate_decay_type": "fixed"}  # fmt: skip
    run = config(max_number_of_steps=2, **options)
    train(run, show=False)
    longer = config(max_number_of_steps=4, **options)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"Cannot save step 3.*model\.ckpt-2"):
            train(longer, show=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert read_checkpoint(run.train_dir)["global_step"] == 2
    assert not [n for n in os.listdir(run.train_dir) if n.startswith(".saving")]
    assert train(longer, show=False).first_step == 2


def test_a_train_dir_that_cannot_be_written_to_is_said(config, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"Cannot write to train_dir=.*file"):
        train(config("file/run"), show=False)

    def read_only(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", read_only)
    with pytest.raises(PermissionError, match=r"Cannot write.*Permission denied"):
        train(config(), show=False)


def test_another_runs_train_dir_is_refused(config):
    train(config(max_number_of_steps=2), show=False)
    for changes, message in (
        ({"batch_size": 50}, r"of another run \(batch_size=100 there, 50 here"),
        ({"moving_average_decay": 0.9}, "moving_average_decay=None there, 0.9 here"),
        ({"accumulation_steps": 2}, "accumulation_steps=1 there, 2 here"),
    ):
        with pytest.raises(ValueError, match=message):
            train(config(**{"max_number_of_steps": 2, **changes}), show=False)
