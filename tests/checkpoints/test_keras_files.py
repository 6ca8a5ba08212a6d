"""keras.applications in every format of Keras's: the same answers, and back again."""

import h5py
import keras
import numpy as np
import pytest

import slimnets
from slimnets.checkpoints import (
    convert_weights,
    keras_places,
    load_weights,
    read_checkpoint,
)
from tests.checkpoints.test_checkpoints import assert_equal
from tests.helpers import assert_close, of_each_kind
from tests.nets.test_keras_equality import PAIRS, randomize

# Keras warns of itself: of NumPy's newer ways, and that .h5 is legacy.
pytestmark = pytest.mark.filterwarnings("ignore")

SIZE = 33
CASES = of_each_kind(PAIRS, ["keras_resnet50"])


def application(name, **kwargs):
    arguments = {"weights": None, "classes": 10, "classifier_activation": None}
    arguments |= {"input_shape": (SIZE, SIZE, 3)}
    return getattr(keras.applications, PAIRS[name])(**{**arguments, **kwargs})


def save_all(model, directory):
    """In every format, those of older versions of Keras too."""
    for name in ("x.weights.h5", "x.keras", "x.h5"):
        save = model.save_weights if name == "x.weights.h5" else model.save
        save(directory / name)
    with h5py.File(directory / "x.h5") as whole, \
            h5py.File(directory / "only.h5", "w") as only:  # fmt: skip
        for name in whole["model_weights"]:
            whole.copy(f"model_weights/{name}", only)
        for name, value in whole["model_weights"].attrs.items():
            only.attrs[name] = value
    # Before Keras 3.3 .weights.h5 did not tell the names of layers.
    with h5py.File(directory / "x.weights.h5") as named, \
            h5py.File(directory / "unnamed.weights.h5", "w") as unnamed:  # fmt: skip
        named.copy("layers", unnamed)
        unnamed.visititems(lambda _, item: item.attrs.pop("name", None) and None)
    return ["x.weights.h5", "x.keras", "x.h5", "only.h5", "unnamed.weights.h5"]


def build(name, **kwargs):
    model = slimnets.Model(name, num_classes=10, **kwargs)
    model.build([None, SIZE, SIZE, 3])
    return model


@pytest.mark.parametrize("name", CASES)
def test_every_format_gives_the_same_answers_and_comes_back(name, tmp_path, rng):
    theirs = application(name)
    randomize(theirs, rng)
    images = rng.normal(size=(2, SIZE, SIZE, 3)).astype(np.float32)
    logits = theirs(images, training=False)
    model = build(name)
    values = None
    for file in save_all(theirs, tmp_path):
        for variable in model.variables:
            variable.assign(variable * 0 - 1)
        assert load_weights(tmp_path / file, model).complete
        found = {n: v.numpy() for n, v in model.variables_by_name.items()}
        if values is None:
            assert_close(model(images), logits, 1e-4)
            last = theirs.get_layer("conv5_block3_out").output
            features = keras.Model(theirs.input, last)(images, training=False)
            assert_close(model.end_points(images)["block4"], features, 1e-4)
            values = found
        assert_equal(found, values)

    prefix = model.save(tmp_path / "slim")
    back = tmp_path / "back.weights.h5"
    report = convert_weights(prefix, back)
    assert len(report.loaded) == len(values)
    again = application(name)
    again.load_weights(back)
    for ours, original in zip(again.weights, theirs.weights, strict=True):
        np.testing.assert_array_equal(ours, original, err_msg=original.path)
    np.testing.assert_array_equal(again(images, training=False), logits)


def test_a_network_inside_of_a_model_loads_by_rename(tmp_path, rng):
    inner = application("keras_resnet50_v2", include_top=False)
    randomize(inner, rng)
    outer = keras.Sequential([inner, keras.layers.GlobalAveragePooling2D()])
    outer.add(keras.layers.Dense(4, name="head"))
    outer.compile("adam", "mse")
    images = rng.normal(size=(2, SIZE, SIZE, 3)).astype(np.float32)
    model = slimnets.Model("keras_resnet50_v2")
    model.build([None, SIZE, SIZE, 3])
    for file in ("x.keras", "x.h5"):
        outer.save(tmp_path / file)
        report = load_weights(
            tmp_path / file,
            model,
            rename=[(r"resnet50v2/(.*)", r"\1")],
            exclude=["head/.*"],
        )
        assert not report.unexpected
        features = model(images)[:, 0, 0]
        assert_close(features, np.mean(inner(images), (1, 2)), 1e-4)


def test_damaged_keras_files_change_nothing(tmp_path):
    theirs = application("keras_resnet50")
    model = build("keras_resnet50")
    before = {n: v.numpy() for n, v in model.variables_by_name.items()}
    for name in ("x.weights.h5", "x.keras"):
        path = tmp_path / name
        theirs.save_weights(path) if name == "x.weights.h5" else theirs.save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(ValueError, match="Cannot read"):
            load_weights(path, model)
    theirs = application("keras_resnet50_v2")
    theirs.save_weights(tmp_path / "v2.weights.h5")
    with pytest.raises(ValueError, match=r"missing.*unexpected"):
        load_weights(tmp_path / "v2.weights.h5", model)
    assert_equal({n: v.numpy() for n, v in model.variables_by_name.items()}, before)
    reader = read_checkpoint(tmp_path / "v2.weights.h5")
    assert reader.shapes["conv1_conv/kernel"] == (7, 7, 3, 64)


@pytest.mark.parametrize(
    ("channels", "mean", "deviation"),
    [(3, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), (1, (0.0,), (1.0,))],
)
def test_files_of_efficientnets_carry_means_and_variances(channels, mean, deviation):
    """As Keras's Normalization has them, whose variable is the variance."""
    found = keras_places.constants("keras_efficientnet", channels)
    np.testing.assert_allclose(found["normalization/0"], mean, rtol=1e-6)
    np.testing.assert_allclose(found["normalization/1"], np.square(deviation), 1e-6)
