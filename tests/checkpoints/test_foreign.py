"""Files of other frameworks into Models and graph code; what does not fit is said."""

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets.checkpoints import (
    convert_weights,
    load_weights,
    read_checkpoint,
    save_weights,
)
from slimnets.rows.builder import network_of
from tests.checkpoints.test_checkpoints import assert_equal
from tests.checkpoints.test_readers import write_arrays
from tests.helpers import assert_close, v1

ROW = slimnets.network_info("resnet18").network.row.thin()
THIN = network_of(ROW)
OPTIONS = {"depth_multiplier": 0.125}


def build(network=THIN, num_classes=5, channels=3, seed=0, **kwargs):
    model = slimnets.Model(
        network, num_classes=num_classes, seed=seed, **{**OPTIONS, **kwargs}
    )
    model.build([None, 32, 32, channels])
    return model


def values(model):
    return {name: v.numpy() for name, v in model.variables_by_name.items()}


@pytest.fixture(scope="module")
def model():
    return build()


@pytest.fixture(scope="module")
def path(tmp_path_factory, model):
    """The weights of `model` as torch has them, without metadata."""
    directory = tmp_path_factory.mktemp("weights")
    path = directory / "x.safetensors"
    prefix = model.save(directory / "slim")
    convert_weights(prefix, path, network=THIN)
    (directory / "x.safetensors.json").unlink()
    return path


def refusal(path, model, **kwargs):
    before = values(model)
    with pytest.raises(ValueError) as caught:
        load_weights(path, model, **kwargs)
    assert_equal(values(model), before)
    return str(caught.value)


# Graph code.


@pytest.mark.parametrize("scope", ["resnet18", "Detection/resnet18", "other"])
@pytest.mark.parametrize("as_list", [True, False])
def test_graph_code_loads_by_scope_or_variables(path, model, rng, scope, as_list):
    images = rng.normal(size=(2, 32, 32, 3)).astype(np.float32)
    expected = model(images)
    outer, _, inner = scope.rpartition("/")
    with tf.Graph().as_default(), v1.Session() as session:
        v1.get_variable("elsewhere", [3])
        with v1.variable_scope(outer) if outer else v1.variable_scope("", reuse=False):
            logits, _ = THIN(images, 5, is_training=False, scope=inner, **OPTIONS)
        target = v1.global_variables()[1:] if as_list else scope
        named = scope.endswith("resnet18") and not as_list
        if not named:
            with pytest.raises(ValueError, match="is not known"):
                load_weights(path, target)
        init_fn = load_weights(path, target, network=None if named else "resnet18")
        init_fn(session)
        assert init_fn.report.complete
        assert_close(session.run(logits), expected, 1e-6)


def test_features_load_without_the_head(path, model, rng):
    features = build(num_classes=None)
    message = refusal(path, features)
    assert "2 unexpected" in message and "fc.bias" in message
    load_weights(path, features, exclude=["fc.*"])
    images = rng.normal(size=(2, 32, 32, 3)).astype(np.float32)
    assert_close(features(images), model.end_points(images)["global_pool"], 1e-6)


def test_another_number_of_classes_is_said_and_excluded(path, model):
    other = build(num_classes=6, seed=1)
    head = values(other)["resnet18/logits/biases"]
    message = refusal(path, other)
    assert "5 classes in the checkpoint, 6 here" in message
    load_weights(path, other, exclude=".*logits.*")
    assert values(other)["resnet18/logits/biases"].shape == head.shape
    name = "resnet18/conv1/weights"
    np.testing.assert_array_equal(values(other)[name], values(model)[name])


def test_a_prefix_is_renamed_before_names_are_mapped(tmp_path, path, model):
    state = {f"tower.{n}": a for n, a in read_checkpoint(path).items()}
    renamed = write_arrays(tmp_path / "y.safetensors", state)
    other = build(seed=1)
    assert "missing" in refusal(renamed, other)
    load_weights(renamed, other, rename=[(r"tower\.(.*)", r"\1")])
    assert_equal(values(other), values(model))


@pytest.mark.parametrize("wrapper", ["module.", "backbone.model._orig_mod."])
def test_names_in_wrappers_are_mapped_without_them(tmp_path, path, model, wrapper):
    state = {wrapper + n: a for n, a in read_checkpoint(path).items()}
    state["n_averaged"] = np.int64(7)  # As torch's AveragedModel has it.
    wrapped = write_arrays(tmp_path / "y.safetensors", state)
    assert set(read_checkpoint(wrapped)) - {"n_averaged"} == set(read_checkpoint(path))
    other = build(seed=1)
    assert load_weights(wrapped, other).complete
    assert_equal(values(other), values(model))
    # A pattern may be of the whole name.
    pattern = wrapper.replace(".", r"\.") + "(.*)"
    assert load_weights(wrapped, other, rename=[(pattern, r"\1")]).complete


# The wrong network.


def test_a_network_without_such_weights_says_whose_it_loads(path):
    other = build("resnet_v1_50", depth_multiplier=0.125)
    message = refusal(path, other)
    assert "resnet_v1_50 loads tf-slim weights" in message


def test_the_metadata_tells_of_another_network(tmp_path, model):
    prefix = model.save(tmp_path / "x")
    other = build("resnet34")
    assert "of the network resnet18, as its metadata says" in refusal(prefix, other)


def test_an_unknown_network_is_an_error(path, model):
    with pytest.raises(ValueError, match="Unknown network 'resnet19'"):
        load_weights(path, model.variables_by_name, network="resnet19")


# The root's channels.


@pytest.mark.parametrize("name", ["resnet18", "resnet50d"])
def test_a_root_for_one_channel_is_the_sum(tmp_path, rng, name):
    network = network_of(slimnets.network_info(name).network.row.thin())
    colour, grey = build(network), build(network, channels=1, seed=1)
    prefix = colour.save(tmp_path / "x")
    message = refusal(prefix, grey)
    assert "3 channels in the checkpoint, of 1 here (adapt_root='sum'" in message
    report = load_weights(prefix, grey, adapt_root="sum")
    assert len(report.adapted) == 1 and "1 adapted" in report.summary
    images = rng.normal(size=(2, 32, 32, 1)).astype(np.float32)
    assert_close(grey(images), colour(np.repeat(images, 3, -1)), 1e-5)


@pytest.mark.parametrize("channels", [1, 2, 4, 6])
def test_a_root_for_many_channels_repeats(path, model, rng, channels):
    other = build(channels=channels, seed=1)
    assert "adapt_root=" in refusal(path, other)
    if channels > 1:
        assert "is for one channel" in refusal(path, other, adapt_root="sum")
    load_weights(path, other, adapt_root="repeat")
    ours = values(other)["resnet18/conv1/weights"]
    theirs = values(model)["resnet18/conv1/weights"]
    for channel in range(channels):
        expected = theirs[:, :, channel % 3] * np.float32(3 / channels)
        np.testing.assert_array_equal(ours[:, :, channel], expected)


def test_the_root_is_left_alone_where_it_fits(path, model):
    other = build(seed=1)
    assert not load_weights(path, other, adapt_root="sum").adapted
    assert_equal(values(other), values(model))
    with pytest.raises(ValueError, match="allowed are None, 'sum', 'repeat'"):
        load_weights(path, other, adapt_root="mean")


def test_only_three_channels_are_adapted(tmp_path):
    prefix = build(channels=4).save(tmp_path / "x")
    assert "[7, 7, 4, 64] in the checkpoint" in refusal(
        prefix, build(channels=1), adapt_root="sum"
    )


# What a Model writes beside its weights.


def test_a_model_describes_itself(tmp_path, model):
    prefix = model.save(tmp_path / "x", metadata={"step": 7, "image_size": 32})
    assert read_checkpoint(prefix).metadata == {
        "slimnets_version": slimnets.__version__,
        "model_name": "resnet18",
        "network_options": OPTIONS,
        "num_classes": 5,
        "labels_offset": 0,
        "image_size": 32,
        "precision": "float32",
        "step": 7,
    }


def test_metadata_of_another_type_is_an_error(tmp_path):
    prefix = save_weights(tmp_path / "x", {"w": np.zeros(1)}, {"num_classes": "10"})
    with pytest.raises(ValueError, match=r"num_classes \(number of logits.*'10'"):
        read_checkpoint(prefix)
