"""XLA where it is asked for: the same values, and a refusal where it would be slow."""

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets.training import train
from tests.training.runs import final

NO_ACCELERATOR = pytest.mark.skipif(
    any(d.device_type != "CPU" for d in tf.config.list_physical_devices()),
    reason="there is an accelerator, on which nothing is refused",
)
IMAGES = np.random.default_rng(0).normal(size=[2, 16, 16, 1]).astype(np.float32)


@pytest.mark.parametrize(
    "accumulation_steps", [1, pytest.param(2, marks=pytest.mark.slow)]
)
def test_compiled_steps_give_the_same_weights(config, accumulation_steps):
    options = {
        "max_number_of_steps": 3,
        "weight_decay": 0.01,
        "accumulation_steps": accumulation_steps,
    }
    runs = [config("plain", **options), config("compiled", jit=True, **options)]
    for each in runs:
        train(each, show=False)
    plain, compiled = map(final, runs)
    assert plain.keys() == compiled.keys()
    for name, value in plain.items():
        np.testing.assert_allclose(compiled[name], value, atol=1e-5)


def test_a_compiled_step_is_of_one_replica(config, mirrored):
    with pytest.raises(ValueError, match="jit is for one replica; here are 2"):
        train(config(jit=True), strategy=mirrored, show=False)


def test_a_compiled_model_gives_the_same_outputs():
    outputs = []
    for jit in (False, True):
        model = slimnets.Model("lenet", num_classes=3, seed=0, jit=jit)
        outputs.append(model(IMAGES).numpy())
    np.testing.assert_allclose(*outputs, atol=1e-5)


@NO_ACCELERATOR
@pytest.mark.parametrize("options", [{"groups": 2}, {"groups": 4, "rate": 2}])
def test_grouped_convolutions_are_not_compiled_for_a_cpu(options):
    def network(inputs):
        return slimnets.layers.conv2d(inputs, 8, 3, **options)

    model = slimnets.Model(network, jit=True)
    with pytest.raises(
        ValueError, match="grouped or depthwise convolution, such as Co"
    ):
        model.build([None, 8, 8, 4])


@NO_ACCELERATOR
def test_depthwise_convolutions_are_not_compiled_for_a_cpu():
    model = slimnets.Model("mobilenet_v1", num_classes=2, jit=True,
                           depth_multiplier=0.25)  # fmt: skip
    with pytest.raises(ValueError, match="depthwise"):
        model(np.zeros([1, 32, 32, 3], np.float32))
