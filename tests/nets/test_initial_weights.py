"""What training from the beginning begins with: each family's own initial weights."""

import numpy as np
import pytest

import slimnets

# A normal distribution without what lies beyond two deviations has this one.
TRUNCATED = 0.87962566


def fan_in(height, width, inputs, outputs):
    return np.sqrt(2 / (height * width * inputs))


def fan_out(height, width, inputs, outputs):
    return np.sqrt(2 / (height * width * outputs))


def glorot(height, width, inputs, outputs):
    return np.sqrt(2 / (height * width * (inputs + outputs)))


def normal(deviation):
    return lambda *shape: TRUNCATED * deviation


SOURCES = {
    # TF-Slim's.
    "resnet_v1_18": fan_in,
    "inception_v1": normal(0.01),
    "mobilenet_v1_050": normal(0.09),
    "lenet": normal(0.1),
    "cifarnet": normal(0.05),
    # Keras's, tf_efficientnet's and ConvNeXt's own.
    "keras_resnet50": glorot,
    "keras_xception": glorot,
    "tf_efficientnet_b0": fan_out,
    "convnext_tiny": normal(0.02),
}


@pytest.mark.parametrize("name", SOURCES)
def test_the_deviation_is_that_of_the_source(name):
    model = slimnets.Model(name, num_classes=10, seed=0)
    size = slimnets.network_info(name).default_image_size
    model.build([None, size, size, 3])
    dense = [
        variable
        for key, variable in model.variables_by_name.items()
        if variable.shape.rank == 4
        and key.rpartition("/")[2] in ("weights", "pointwise_weights")
    ]
    # Of so many values the deviation is known to a hundredth.
    large = [variable for variable in dense if np.prod(variable.shape) > 30000]
    found = [np.std(variable) / SOURCES[name](*variable.shape) for variable in large]
    assert large and np.median(found) == pytest.approx(1, abs=0.02)
