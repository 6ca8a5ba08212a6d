"""What people of notebooks expect of a Model and of what is printed."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets import units
from tests.cli.test_cli import PLAIN
from tests.helpers import assert_close

THIN = {"depth_multiplier": 0.125}


def thin(num_classes=4, **kwargs):
    return slimnets.Model("resnet_v2_18", num_classes, **THIN, **kwargs)


@pytest.fixture
def images(rng):
    return rng.normal(size=(2, 33, 33, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def built():
    """A Model that no test changes."""
    model = thin(seed=0)
    model.build([None, 33, 33, 3])
    return model


@pytest.fixture(scope="module")
def saved(built, tmp_path_factory):
    return built.save(str(tmp_path_factory.mktemp("saved") / "x"))


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_copy_has_variables_of_its_own(images, copied):
    with slimnets.arg_scope([slimnets.layers.batch_norm], decay=0.5):
        model = thin(rules={".*/conv1": {"activation_fn": "elu"}})
    assert repr(copied(model)) == repr(model)
    before = model(images)
    other = copied(model)
    assert_close(other(images), before)
    assert other.regularizers.keys() == model.regularizers.keys()
    # The arg scope came along: a step of training moves the averages as far.
    for each in (model, other):
        each(images, training=True)
    for ours, theirs in zip(model.variables, other.variables, strict=True):
        assert ours is not theirs and ours.name == theirs.name
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    other.variables[0].assign(tf.zeros_like(other.variables[0]))
    assert np.any(model.variables[0])


def test_what_is_not_trainable_keeps_its_statistics(images):
    model = thin()
    before = model(images)
    trainable, others = model.trainable_variables, model.non_trainable_variables
    model.trainable = False
    assert repr(model).endswith(", not trainable>")
    assert not model.trainable_variables
    assert model.non_trainable_variables == model.variables
    assert_close(model(images, training=True), before)
    assert_close(model(images, training=tf.constant(True)), before)
    model.features(images, "C4", training=True)
    model.trainable = True
    assert_close(model(images), before)
    assert model.trainable_variables == trainable
    assert model.non_trainable_variables == others
    assert np.abs(model(images, training=True) - before).max() > 1e-3


def test_a_keras_layer_of_what_is_not_trainable(images):
    model = thin()
    model.trainable = False
    layer = slimnets.keras_layer(model)
    assert_close(layer(images, training=True), model(images))
    assert not layer.trainable_weights
    layer.trainable = model.trainable = True
    assert len(layer.trainable_weights) == len(model.trainable_variables)


def test_loading_before_building(built, saved, images):
    model = thin()
    assert model.load(saved).complete
    assert_close(model(images), built(images))
    with pytest.raises(ValueError, match=r"4 classes in the checkpoint, 5 here"):
        thin(5).load(saved)


def test_loading_and_saving_tell_model_and_path_apart(built, saved, tmp_path):
    model = thin()
    model.build([None, 33, 33, 3])
    for arguments in ((saved, model), (model, saved)):
        model.variables[0].assign(tf.zeros_like(model.variables[0]))
        assert slimnets.load_weights(*arguments).complete
        np.testing.assert_array_equal(model.variables[0], built.variables[0])
    with pytest.raises(TypeError, match="takes a path and what is to be filled"):
        slimnets.load_weights(model, model)
    path = str(tmp_path / "y")
    assert slimnets.save_weights(built, path) == slimnets.save_weights(path, built)


def test_weights_from_a_file(built, saved, images, caplog):
    same = thin(None, weights=saved)
    assert same.num_classes == 4 and not caplog.records
    assert_close(same(images), built(images))
    assert thin(7, weights=saved)(images).shape[-1] == 7
    assert "is of 4 classes, resnet_v2_18 of 7: new are" in caplog.text
    features = thin(0, weights=saved).features(images, "C4")
    assert_close(features["C4"], built.features(images, "C4")["C4"])


def test_what_a_model_tells_of_itself(built, images):
    summary = built.summary(depth=1)
    assert "block4" in str(summary) and "block4/unit_1" not in str(summary)
    assert len(summary.layers) < len(built.summary().layers)
    (level,) = built.feature_info(levels="C4")
    assert level.channels == built.features(images, "C4")["C4"].shape[-1]


def test_long_things_are_told_in_a_line_and_shown_in_a_table(built, saved, images):
    end_points, summary = built.end_points(images), built.summary()
    report = slimnets.lint_graph(_graph_with_a_fault())
    block = slimnets.Block("block1", units.basic_v2, [(8, 4, 1)] * 99)
    others = (
        slimnets.open_trained(saved),
        slimnets.weights.find_weights("keras/vgg_16"),
    )
    loaded = built.load(saved)
    for value in (built, end_points, summary, report, block, loaded, *others):
        assert len(repr(value)) < 200 and "\n" not in repr(value)
    assert repr(block) == "<Block 'block1', basic_v2, units 99 x (8, 4, 1)>"
    block = slimnets.Block("b", units.basic_v2, [(8, 4, 1), (8, 4, 1), (8, 4, 2)])
    assert repr(block) == "<Block 'b', basic_v2, units 2 x (8, 4, 1), (8, 4, 2)>"
    assert repr(end_points).endswith("levels C1, C2, C3, C4, C5>")
    for value, rows in (
        (end_points, end_points),
        (summary, summary.layers),
        (report, report),
    ):
        assert len(rows) and value._repr_html_().count("<tr>") == len(rows) + 1
    assert "[2, 3, 3, 32]" in end_points._repr_html_()


def _graph_with_a_fault():
    with tf.Graph().as_default() as graph:
        tf.compat.v1.get_variable("alone", [3])
    return graph


def test_a_picture_for_a_notebook(built):
    pytest.importorskip("matplotlib")
    picture = built.plot()
    assert "<svg" in picture._repr_svg_() and len(repr(picture)) < 100


def test_tensorflow_starts_in_silence_where_it_is_asked_to():
    code = (
        "import slimnets; slimnets.start_tensorflow();"
        "print(slimnets.Model('lenet').output_shape([2, 28, 28, 1]))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=PLAIN, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("(2, 1024)\n", "")


def test_completion_shows_what_there_is():
    assert {"Model", "weights", "training"} <= set(dir(slimnets))
    assert all(hasattr(slimnets, name) for name in dir(slimnets))


@pytest.mark.parametrize(
    "network, names",
    [
        ("resnet_v2_18", ["C3", "resnet_v2_18/block2"]),
        ("mobilenet_v1_025", {"C3": "fine"}),
        pytest.param("densenet121", "C3", marks=pytest.mark.slow),
    ],
)
def test_a_feature_extractor_gives_the_models_features(network, names, rng):
    images = rng.normal(size=(1, 64, 64, 3)).astype(np.float32)
    model = slimnets.Model(network, 4, seed=0)
    model.build([None, 64, 64, 3])
    extractor = slimnets.feature_extractor(model, names)
    whole = model.features(images, list(names) if isinstance(names, dict) else names)
    given = list(names.values()) if isinstance(names, dict) else list(whole)
    features = extractor(images)
    assert sorted(features) == sorted(given)
    for ours, theirs in zip(given, whole.values(), strict=True):
        assert_close(features[ours], theirs)
    assert set(map(id, extractor.variables)) < set(map(id, model.variables))
    for copied in (copy.deepcopy(extractor), pickle.loads(pickle.dumps(extractor))):
        assert repr(copied) == repr(extractor)
        for name, value in copied(images).items():
            assert_close(value, features[name])
        assert not set(map(id, copied.variables)) & set(map(id, model.variables))


def test_a_feature_extractor_trains_what_it_needs_and_is_exported(images, tmp_path):
    model = thin()
    model.build(images.shape)
    extractor = slimnets.feature_extractor(model, "C3")
    before = {name: v.numpy() for name, v in model.variables_by_name.items()}
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(extractor(images, training=True)["C3"])
        loss += extractor.regularization_loss()
    gradients = tape.gradient(loss, extractor.trainable_variables)
    assert all(gradient is not None for gradient in gradients)
    changed = {n for n, v in model.variables_by_name.items() if np.any(v != before[n])}
    statistics = set(extractor.variables_by_name) - {
        v.name[:-2] for v in extractor.trainable_variables
    }
    assert changed and changed <= statistics
    tf.saved_model.save(extractor, str(tmp_path / "saved"))
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    assert_close(loaded(images)["C3"], extractor(images)["C3"])


def test_what_a_feature_extractor_needs(built):
    with pytest.raises(ValueError, match="no variables yet"):
        slimnets.feature_extractor(thin(), "C3")
    with pytest.raises(ValueError, match="needs the name"):
        slimnets.feature_extractor(built, [])
    with pytest.raises(KeyError, match="no level 'C9'"):
        slimnets.feature_extractor(built, "C9")
    with pytest.raises(TypeError, match=r"takes a slimnets\.Model"):
        slimnets.feature_extractor("resnet18", "C3")
