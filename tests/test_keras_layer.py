"""A Model as a Keras layer: trained by fit, saved and loaded by Keras."""

import importlib
import importlib.util
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets import deprecation, layers
from slimnets.lazy_names import when_imported
from slimnets.model.keras_layer import register_layer
from tests.helpers import assert_close

NAME = "resnet_v1_cifar_20"


@pytest.fixture
def data(rng):
    images = rng.normal(size=(16, 16, 16, 3)).astype(np.float32)
    labels = (images.mean(axis=(1, 2, 3)) > 0).astype(np.int64)
    return images + labels[:, None, None, None], labels


def keras_model(seed=0):
    model = slimnets.Model(NAME, num_classes=2, seed=seed)
    network = slimnets.keras_layer(model)
    return model, keras.Sequential([keras.Input((16, 16, 3)), network])


def test_outputs_weights_and_names_are_the_models(data):
    images, _ = data
    model, outer = keras_model()
    plain = slimnets.Model(NAME, num_classes=2, seed=0)
    assert_close(outer(images), plain(images))
    assert outer.output_shape == (None, 2)
    names = [weight.path.split("/")[-1] for weight in outer.weights]
    assert set(names) == {n.replace("/", ".") for n in model.variables_by_name}
    assert len(outer.trainable_weights) == len(model.trainable_variables)
    assert len(outer.non_trainable_weights) == len(model.non_trainable_variables)


@pytest.mark.parametrize("regularize", [True, False])
def test_losses_of_regularizers_are_the_layers_unless_told_otherwise(regularize):
    def network(inputs, num_classes=None, is_training=False):
        decay = layers.l2_regularizer(0.5)
        return layers.fully_connected(inputs, num_classes, weights_regularizer=decay)

    model = slimnets.Model(network, num_classes=2, seed=0)
    layer = slimnets.keras_layer(model, regularize=regularize)
    layer(np.ones([1, 3], "float32"), training=True)
    expected = [model.regularization_loss().numpy()] if regularize else []
    np.testing.assert_allclose(layer.losses, expected)


def test_fit_trains_the_model_and_moves_its_averages(data):
    images, labels = data
    model, outer = keras_model()
    before = model.variable_by_name(f"{NAME}/conv1/BatchNorm/moving_mean").numpy()
    outer.compile(
        keras.optimizers.SGD(0.05),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    history = outer.fit(images, labels, batch_size=16, epochs=15, verbose=0)
    losses = history.history["loss"]
    assert losses[-1] < 0.7 * losses[0]
    after = model.variable_by_name(f"{NAME}/conv1/BatchNorm/moving_mean").numpy()
    assert np.all(before != after)
    assert_close(model(images), outer(images), 1e-4)


def test_a_frozen_layer_keeps_its_averages_while_a_new_head_trains(data):
    images, labels = data
    trunk = slimnets.Model(NAME, seed=0)
    layer = slimnets.keras_layer(trunk)
    layer.trainable = False
    head = keras.layers.Dense(2)
    outer = keras.Sequential(
        [keras.Input((16, 16, 3)), layer, keras.layers.Flatten(), head]
    )
    before = {k: v.numpy() for k, v in trunk.variables_by_name.items()}
    first = head.kernel.numpy()
    outer.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    outer.fit(images, labels, batch_size=16, verbose=0)
    assert np.any(head.kernel.numpy() != first)
    for name, variable in trunk.variables_by_name.items():
        np.testing.assert_array_equal(variable, before[name])


def test_weight_decay_is_in_the_losses(data):
    images, _ = data
    model, outer = keras_model()
    outer(images, training=True)
    (loss,) = outer.losses
    assert_close(loss, model.regularization_loss())


# Keras's own way of saving a variable of TensorFlow warns with numpy 2.
@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
def test_keras_saves_and_loads_it(data, tmp_path):
    images, _ = data
    _, outer = keras_model()
    path = str(tmp_path / "model.keras")
    outer.save(path)
    loaded = keras.saving.load_model(path)
    assert_close(loaded(images), outer(images))


def test_values_that_the_model_has_are_kept(data):
    images, _ = data
    model = slimnets.Model(NAME, num_classes=2)
    expected = model(images)
    layer = slimnets.keras_layer(model)
    assert_close(layer(images), expected)


def test_errors():
    with pytest.raises(TypeError, match=r"slimnets\.Model"):
        slimnets.keras_layer(NAME)

    def own(images):
        return layers.conv2d(images, 2, 3)

    layer = slimnets.keras_layer(slimnets.Model(own))
    with pytest.raises(ValueError, match="register_network"):
        layer.get_config()
    model = slimnets.Model(own)
    model.build([1, 8, 8, 3])
    with pytest.raises(ValueError, match="Conv/weights"):
        model.adopt_variables({"Conv/weights": tf.Variable(1.0)})


def test_keras_knows_the_layer_where_slimnets_is_imported():
    assert keras.saving.get_registered_object("slimnets>NetworkLayer")
    with pytest.warns(DeprecationWarning, match="import slimnets, which is enough"):
        deprecation._SHOWN.clear()
        register_layer()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
@pytest.mark.parametrize(
    "imports",
    [
        "slimnets, keras", "keras, slimnets", "tensorflow, slimnets, keras",
        "slimnets, tensorflow, keras",
    ],
)  # fmt: skip
def test_a_file_is_loaded_where_slimnets_is_imported(tmp_path, imports):
    path = str(tmp_path / "x.keras")
    keras_model()[1].save(path)
    code = f"import {{}}; import keras; print(keras.models.load_model({path!r}).name)"
    done = _run(code.format(imports))
    assert done.returncode == 0 and "sequential" in done.stdout, done.stderr
    # Without it Keras says what it misses.
    assert "slimnets" in _run(code.format("keras")).stderr


def test_keras_knows_the_layer_though_tensorflow_asks_for_keras_before():
    code = (
        "import slimnets, importlib.util; importlib.util.find_spec('keras')\n"
        "import tensorflow, keras\n"
        "print(keras.saving.get_registered_object('slimnets>NetworkLayer').__name__)"
    )
    done = _run(code)
    assert done.stdout.strip() == "NetworkLayer", done.stderr


def test_what_waits_for_a_module_is_called_once_when_it_is_there(tmp_path, monkeypatch):
    (tmp_path / "comes_late.py").write_text("value = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    seen, finders = [], list(sys.meta_path)
    when_imported("comes_late", lambda: seen.append(sys.modules["comes_late"].value))
    assert importlib.util.find_spec("comes_late") and not seen
    module = importlib.import_module("comes_late")
    assert seen == [3] and sys.meta_path == finders
    importlib.reload(module)
    assert seen == [3]


def _run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_importing_slimnets_imports_neither_keras_nor_tensorflow():
    code = "import slimnets, sys; print({'keras', 'tensorflow'} & set(sys.modules))"
    assert _run(code).stdout.strip() == "set()"
