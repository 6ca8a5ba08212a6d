"""Fine-tuning: what is loaded, what is new, what trains; batch norm's statistics."""

import numpy as np
import pytest
import tensorflow as tf

from slimnets.checkpoints import save_weights
from slimnets.data import training_batches
from slimnets.training import recalibration, train
from slimnets.training.run import Run
from slimnets.training.task import Classification
from tests.training.runs import final

ENDED = {"max_number_of_steps": 1, "learning_rate_decay_type": "fixed"}


@pytest.fixture
def source(config):
    """A finished run, from whose weights others start."""
    run = config("source", max_number_of_steps=3)
    train(run, show=False)
    return run


def moved(before, run):
    after = final(run)
    return {n for n in after if n in before and not np.array_equal(before[n], after[n])}


def test_a_new_run_takes_weights_but_those_excluded(config, source):
    run = config("new", checkpoint_path=source.train_dir, learning_rate=1e-30,
                 checkpoint_exclude_scopes="tiny/logits", **ENDED)  # fmt: skip
    train(run, show=False)
    before, after = final(source), final(run)
    np.testing.assert_array_equal(
        after["tiny/conv1/weights"], before["tiny/conv1/weights"]
    )
    assert not np.array_equal(
        after["tiny/logits/weights"], before["tiny/logits/weights"]
    )
    assert after["global_step"] == 1


def test_only_trainable_scopes_train(config, source):
    run = config("new", checkpoint_path=source.train_dir,
                 trainable_scopes="tiny/logits", **ENDED)  # fmt: skip
    train(run, show=False)
    # As in research/slim, batch norm's averages follow the data all the same.
    assert {n for n in moved(final(source), run) if n.startswith("tiny/")} == {
        "tiny/logits/weights", "tiny/logits/biases",
        "tiny/conv1/BatchNorm/moving_mean", "tiny/conv1/BatchNorm/moving_variance",
    }  # fmt: skip
    assert not any("conv1" in n for n in final(run) if n.startswith("optimizer/"))


def test_resuming_is_kept_apart_from_starting(config, source, tmp_path):
    """The run's own checkpoint counts, even if the other one is gone."""
    save_weights(tmp_path / "start", {"tiny/x": np.zeros(1)})
    options = {"checkpoint_path": source.train_dir, "learning_rate_decay_type": "fixed"}
    train(config("new", max_number_of_steps=2, **options), show=False)
    before = final(config("new", max_number_of_steps=2, **options))
    again = config("new", max_number_of_steps=3, **options)
    result = train(again, show=False)
    assert result.first_step == 2 and moved(before, again)


def test_averages_begin_with_the_loaded_weights(config, source):
    run = Run(
        config("new", checkpoint_path=source.train_dir, moving_average_decay=0.9),
        Classification(),
        tf.distribute.get_strategy(),
    )
    run.load_initial()
    loaded = final(source)
    for name, average in run.averages.variables_by_name.items():
        np.testing.assert_array_equal(average, loaded[name.rpartition("/")[0]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checkpoint_exclude_scopes": "tiny"}, "no effect without checkpoint_path"),
        ({"trainable_scopes": "logits"}, "no variables in the scope 'logits'"),
        ({"checkpoint_path": "SOURCE", "checkpoint_exclude_scopes": "x"}, "scope 'x'"),
        ({"checkpoint_path": "/none"}, "no checkpoint /none"),
        ({"checkpoint_path": "SOURCE", "model_name": "plain"}, "Cannot load"),
    ],
)
def test_wrong_beginnings_are_explained(config, source, changes, message):
    changes = {k: source.train_dir if v == "SOURCE" else v for k, v in changes.items()}
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        train(config("new", **ENDED, **changes), show=False)


# Batch norm's statistics.


@pytest.mark.parametrize("averages", [None, 0.5])
def test_recalibrated_statistics_are_the_mean_over_batches(config, averages):
    changes = {"moving_average_decay": averages, "preprocessing_name": "plain"}
    run = config(recalibrate_batches=3, max_number_of_steps=2, **changes)
    model = train(run, show=False).model
    kernel = model.variable_by_name("tiny/conv1/weights")
    means, variances = [], []
    batches = training_batches(run, batch_size=100, seed=0, first_step=2)
    for images, _ in batches.take(3):
        moments = tf.nn.moments(tf.nn.conv2d(images, kernel, 1, "SAME"), [0, 1, 2])
        means.append(moments[0].numpy())
        count = images.shape[0] * 64
        variances.append(moments[1].numpy() * count / (count - 1))
    for name, values in (("mean", means), ("variance", variances)):
        found = model.variable_by_name(f"tiny/conv1/BatchNorm/moving_{name}")
        np.testing.assert_allclose(found, np.mean(values, 0), rtol=1e-4, atol=1e-6)


def test_there_must_be_statistics_to_recalibrate(config):
    run = config(model_name="plain", recalibrate_batches=1, max_number_of_steps=1)
    with pytest.raises(ValueError, match="no batch norm"):
        train(run, show=False)


def test_recalibration_changes_nothing_else(config):
    run = Run(config(), Classification(), tf.distribute.get_strategy())
    before = {n: v.numpy() for n, v in run.model.variables_by_name.items()}
    changed = recalibration.recalibrate(
        run.strategy, run.model, iter(run.batches(0)), 2
    )
    for name, variable in run.model.variables_by_name.items():
        assert (name in changed) != np.array_equal(variable, before[name])
