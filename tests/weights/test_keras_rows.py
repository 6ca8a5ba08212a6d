"""Every row of keras.applications by its name, with a file as it is published.

Keras makes it here, with values of its own, statistics too.
"""

import dataclasses
import hashlib
import inspect
import pathlib

import numpy as np
import pytest

import slimnets
from slimnets import weights
from slimnets.weights import cache, table
from tests.helpers import assert_close
from tests.make_weights_table import KERAS
from tests.nets.test_keras_equality import randomize
from tests.nets.test_keras_networks import answers

h5py = pytest.importorskip("h5py")
# Keras warns of itself: that .h5 is legacy, and of NumPy's newer ways.
pytestmark = pytest.mark.filterwarnings("ignore")
FAST = ("mobilenet_v2_035",)
CASES = [
    pytest.param(*row[:3], id=row[0], marks=() if row[0] in FAST else pytest.mark.slow)
    for row in KERAS
]


def application(function, arguments, size):
    import keras

    make = getattr(keras.applications, function)
    if "include_preprocessing" in inspect.signature(make).parameters:
        arguments = {**arguments, "include_preprocessing": False}
    top = {"weights": None, "classifier_activation": None}
    made = make(**top, input_shape=(size, size, 3), **arguments)
    randomize(made, np.random.default_rng(0))
    for layer in made.layers:  # Residual sums of many units stay in range.
        if layer.name.endswith("_conv") and layer.name.startswith("block"):
            for variable in layer.variables:
                variable.assign(0.2 * variable)
    return made


def publish(model, row, monkeypatch):
    """Puts the weights alone where a fetch would, in the form of Keras 2, with the hash
    that the table then tells."""
    path = pathlib.Path(weights.cached_path(row))
    path.parent.mkdir(parents=True)
    whole = path.with_suffix(".whole.h5")
    model.save(whole)
    with h5py.File(whole) as source, h5py.File(path, "w") as target:
        layers = source["model_weights"]
        target.attrs.update(layers.attrs)
        for name in layers:
            layers.copy(name, target)
    whole.unlink()
    with path.open("rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    found = dataclasses.replace(row, checksum=f"sha256:{digest}")
    rows = tuple(found if each == row else each for each in table.table())
    monkeypatch.setattr(table, "table", lambda: rows)


@pytest.mark.parametrize("network, function, arguments", CASES)
def test_a_row_loads_what_keras_makes(
    network, function, arguments, monkeypatch, tmp_path, caplog
):
    monkeypatch.setenv(cache.CACHE, str(tmp_path))
    monkeypatch.setenv(cache.OFFLINE, "1")
    row = weights.find_weights("keras", network)
    size = row.image_size if network.startswith("vgg") else 96
    theirs = application(function, arguments, size)
    publish(theirs, row, monkeypatch)
    images = np.random.default_rng(1).normal(size=(1, size, size, 3)).astype("f")
    expected = np.asarray(answers(theirs, images))
    del theirs
    model = slimnets.Model(network, weights="keras")
    assert (model.num_classes, model.preprocessing) == (1000, row.preprocessing)
    assert_close(model(images), expected, 1e-4)
    assert not caplog.records or "HDF5" in caplog.text
