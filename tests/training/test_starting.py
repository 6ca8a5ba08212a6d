"""Fine-tuning: what is loaded, what is new, what trains; batch norm's statistics."""

import numpy as np
import pytest
import tensorflow as tf

from slimnets import layers
from slimnets.checkpoints import save_weights
from slimnets.data import training_batches
from slimnets.trained import open_trained
from slimnets.training import recalibration, train
from slimnets.training.run import Run
from slimnets.training.task import Classification, make_model
from slimnets.training.train_dir import has_checkpoint
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


def test_a_network_of_floats_goes_on_for_int8(config, source, capfd):
    run = config("new", checkpoint_path=source.train_dir, quantize_delay=0,
                 float_layers=".*/logits", learning_rate=1e-30,
                 moving_average_decay=0.9, **ENDED)  # fmt: skip
    train(run)
    assert "new: fake_quantized" in capfd.readouterr().err
    before, after = final(source), final(run)
    place, average = "tiny/conv1/outputs/fake_quantized", "/ExponentialMovingAverage"
    new = {n for n in after if n not in before and not n.startswith("optimizer/")}
    assert {n for n in new if n.endswith(average) and place in n} == {
        f"{place}/min{average}", f"{place}/max{average}",
    }  # fmt: skip
    new = {name for name in new if not name.endswith(average)}
    assert new == {f"{place}/{name}" for name in ("min", "max", "step")}
    assert after[f"{place}/step"] == 1
    trained = open_trained(run.train_dir)
    assert f"{place}/max" in trained.model.variables_by_name
    with pytest.raises(ValueError, match=r"float_layers.*without quantize_delay"):
        config("new", float_layers="logits")
    assert config("new", quantize_delay=3, accumulation_steps=2).layer_rules[-1] == [
        r".*/fake_quantized(_\d+)?", {"delay": 6},
    ]  # fmt: skip


@pytest.mark.parametrize("updated", [False, True])
def test_only_trainable_scopes_train(config, source, updated, capfd):
    run = config("new", checkpoint_path=source.train_dir,
                 trainable_scopes="tiny/logits", moving_average_decay=0.9,
                 update_frozen_statistics=updated, **ENDED)  # fmt: skip
    train(run)
    assert "2 of 4 variables train" in capfd.readouterr().err
    # As in research/slim, batch norm's averages follow the data if that is asked for.
    statistics = {
        "tiny/conv1/BatchNorm/moving_mean", "tiny/conv1/BatchNorm/moving_variance",
    } if updated else set()  # fmt: skip
    assert {n for n in moved(final(source), run) if n.startswith("tiny/")} == {
        "tiny/logits/weights", "tiny/logits/biases", *statistics,
    }  # fmt: skip
    assert not any("conv1" in n for n in final(run) if n.startswith("optimizer/"))


def test_names_are_changed_and_left_out(config, source, tmp_path):
    values = {f"tower/{name}": value for name, value in final(source).items()}
    path = save_weights(tmp_path / "tower", values)
    run = config("new", checkpoint_path=path, learning_rate=1e-30, weight_decay=0.0,
                 rename=["tower/(.*)=\\1"], exclude=[".*/logits/biases"],
                 **ENDED)  # fmt: skip
    train(run, show=False)
    before, after = final(source), final(run)
    for name in ("tiny/conv1/weights", "tiny/logits/weights"):
        np.testing.assert_array_equal(after[name], before[name])
    assert not np.array_equal(after["tiny/logits/biases"], before["tiny/logits/biases"])
    with pytest.raises(ValueError, match="rename='x' is not PATTERN=REPLACEMENT"):
        train(config("other", checkpoint_path=path, rename=["x"]), show=False)


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


def test_frozen_stages_and_norms_are_bit_identical_after_training(config):
    def run(name, **changes):
        return config(name, model_name="resnet_v2_cifar_20", train_image_size=8,
                      weight_decay=0.01, **{**ENDED, **changes})  # fmt: skip

    train(run("source"), show=False)
    start, before = run("source").train_dir, final(run("source"))
    stages = run("stages", checkpoint_path=start, freeze_at=2, recalibrate_batches=1)
    train(stages, show=False)
    changed = {name.split("/")[1] for name in moved(before, stages) if "/" in name}
    assert {"block2", "block3", "logits"} <= changed
    assert not {"conv1", "block1"} & changed
    norms = run("norms", checkpoint_path=start, norm="frozen")
    train(norms, show=False)
    changed = moved(before, norms)
    assert any(name.endswith("/weights") for name in changed)
    ends = ("gamma", "beta", "moving_mean", "moving_variance")
    assert not [name for name in changed if name.endswith(ends)]


def test_batch_norms_freeze_after_a_delay(config):
    """From then on a step is one of the network in inference (Krishnamoorthi, section
    3.2.2), also where a run is resumed."""
    changes = {"optimizer": "sgd", "learning_rate_decay_type": "fixed",
               "weight_decay": 0.0, "preprocessing_name": "plain"}  # fmt: skip
    before = config(max_number_of_steps=3, freeze_bn_delay=3, **changes)
    model = train(before, show=False).model
    images, labels = next(iter(training_batches(before, batch_size=100, seed=0,
                                                first_step=3)))  # fmt: skip
    with tf.GradientTape() as tape:
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, model(images))
        loss = tf.reduce_mean(losses)
    gradients = tape.gradient(loss, model.trainable_variables)
    for gradient, variable in zip(gradients, model.trainable_variables, strict=True):
        variable.assign_sub(0.05 * gradient)
    after = train(
        config(max_number_of_steps=4, freeze_bn_delay=3, **changes), show=False
    ).model
    for name, variable in after.variables_by_name.items():
        expected = model.variable_by_name(name)
        np.testing.assert_allclose(variable, expected, rtol=1e-4, atol=1e-6)
        if "moving" in name:
            np.testing.assert_array_equal(variable, expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"freeze_bn_delay": 1, "model_name": "plain"}, "no batch norm with moving"),
        (
            {"freeze_bn_delay": 1, "recalibrate_batches": 1},
            "recalibrate_batches=1 is not for freeze_bn_delay=1",
        ),
        ({"freeze_at": 1}, "network tiny does not take freeze_at"),
        ({"norm": "none"}, "norm='none'; allowed are batch"),
        ({"update_frozen_statistics": True}, "no effect without trainable_scopes"),
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
    assert not has_checkpoint(run.train_dir)  # Not after all steps.


def test_averages_soon_forget_where_they_began(config):
    """After n steps the decay is min(decay, (1 + n) / (10 + n)), across a restart."""
    changes = {"preprocessing_name": "plain", "learning_rate": 1e-30,
               "learning_rate_decay_type": "fixed", "weight_decay": 0.0}  # fmt: skip
    train(config(max_number_of_steps=2, **changes), show=False)
    run = config(max_number_of_steps=4, **changes)
    model = train(run, show=False).model
    kernel = model.variable_by_name("tiny/conv1/weights")
    mean, variance = 0.0, 1.0
    for n, (images, _) in enumerate(training_batches(run, batch_size=100, seed=0)):
        if n == 4:
            break
        moments = tf.nn.moments(tf.nn.conv2d(images, kernel, 1, "SAME"), [0, 1, 2])
        decay, count = min(0.9, (1 + n) / (10 + n)), images.shape[0] * 64
        mean = decay * mean + (1 - decay) * moments[0].numpy()
        unbiased = moments[1].numpy() * count / (count - 1)
        variance = decay * variance + (1 - decay) * unbiased
    for name, expected in (("mean", mean), ("variance", variance)):
        found = model.variable_by_name(f"tiny/conv1/BatchNorm/moving_{name}")
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_batch_norm_decay_is_that_of_every_batch_norm(config):
    def network(inputs, num_classes=None, is_training=False):
        return layers.batch_norm(inputs, is_training=is_training, scope="norm")

    model = make_model(config(batch_norm_decay=0.25), network)
    images = tf.constant([[1.0, 3.0], [3.0, 5.0]])
    model(images, training=True)
    found = model.variable_by_name("norm/moving_mean")
    np.testing.assert_allclose(found, [1.5, 3.0])
    with pytest.raises(ValueError, match=r"batch_norm_decay=1\.5 must be"):
        config(batch_norm_decay=1.5)


def test_recalibration_changes_nothing_else(config):
    run = Run(config(), Classification(), tf.distribute.get_strategy())
    before = {n: v.numpy() for n, v in run.model.variables_by_name.items()}
    recalibrate = recalibration.Recalibration(run.strategy, run.model)
    changed = recalibrate(iter(run.batches(0)), 2)
    for name, variable in run.model.variables_by_name.items():
        assert (name in changed) != np.array_equal(variable, before[name])
