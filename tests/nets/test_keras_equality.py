"""keras_* equal keras.applications, weights randomized, statistics too."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets.checkpoints import networks
from tests.helpers import assert_close

PAIRS = {
    "keras_resnet50": "ResNet50",
    "keras_resnet101": "ResNet101",
    "keras_resnet152": "ResNet152",
    "keras_resnet50_v2": "ResNet50V2",
    "keras_resnet101_v2": "ResNet101V2",
    "keras_resnet152_v2": "ResNet152V2",
}
FAST = ("keras_resnet50", "keras_resnet50_v2")
CASES = [
    pytest.param(
        name, size, marks=() if name in FAST and size == 65 else pytest.mark.slow
    )
    for name in PAIRS
    for size in (65, 224)
]


def randomize(model, rng):
    """Values that keep activations of a deep network in range."""
    for layer in model.layers:
        for variable in layer.variables:
            noise = rng.normal(size=variable.shape).astype(np.float32)
            if variable.name in ("gamma", "moving_variance"):
                value = 0.5 + 0.5 * np.abs(np.tanh(noise))
                if variable.name == "gamma" and layer.name.endswith("_3_bn"):
                    value = 0.2 * value
            elif variable.name in ("beta", "moving_mean", "bias"):
                value = 0.1 * noise
            elif layer.name == "normalization":
                continue
            else:
                alone = len(variable.shape) == 4 and variable.shape[-1] == 1
                fan_in = np.prod(variable.shape[: 2 if alone else -1])
                value = noise * np.sqrt(1.0 / fan_in)
            variable.assign(value)


@pytest.mark.parametrize("name,size", CASES)
def test_outputs_equal_keras(name, size, rng):
    constructor = getattr(keras.applications, PAIRS[name])
    theirs = constructor(
        weights=None,
        classes=10,
        classifier_activation=None,
        input_shape=(size, size, 3),
    )
    randomize(theirs, rng)
    values = {
        f"{layer.name}/{variable.name}": variable
        for layer in theirs.layers
        for variable in layer.variables
    }
    model = slimnets.Model(name, num_classes=10)
    model.build([None, size, size, 3])
    variables = {
        key.removeprefix(f"{name}/"): v for key, v in model.variables_by_name.items()
    }
    foreign = networks.foreign_of(variables, "keras")
    assert {entry.name for entry in foreign.values()} == set(values)
    for key, variable in variables.items():
        value = values[foreign[key].name].numpy()
        variable.assign(foreign[key].to_slimnets(value))
    images = rng.normal(size=(2, size, size, 3)).astype(np.float32)
    assert_close(model(images), theirs(images, training=False), 1e-4)

    v2 = name.endswith("v2")
    blocks = [layer for layer in theirs.layers if layer.name.endswith("_out")]
    last = {layer.name.split("_")[0]: layer for layer in blocks}
    features = keras.Model(theirs.input, [layer.output for layer in last.values()])
    end_points = model.end_points(images)
    for stage, value in zip(last, features(images, training=False), strict=True):
        key = f"block{int(stage[4:]) - 1}"
        assert_close(end_points[key], value, 1e-4)
    if v2:
        assert end_points["postnorm"].shape == end_points["block4"].shape


@pytest.mark.parametrize("name", FAST)
def test_counts_equal_keras(name):
    theirs = getattr(keras.applications, PAIRS[name])(weights=None)
    with tf.Graph().as_default():
        images = tf.compat.v1.placeholder(tf.float32, [1, 224, 224, 3])
        slimnets.build(name, images, num_classes=1000)
        count = sum(v.shape.num_elements() for v in tf.compat.v1.global_variables())
    assert count == theirs.count_params()
