"""TF-Slim's networks equal keras.applications', weights randomized, statistics too."""

import dataclasses
import functools

import keras
import numpy as np
import pytest

import slimnets
from slimnets.checkpoints import convert_weights, load_weights, networks
from slimnets.nets import nasnet
from tests.helpers import assert_close
from tests.nets.test_keras_equality import randomize

# Keras warns of itself: of NumPy's newer ways, and that .h5 is legacy.
pytestmark = pytest.mark.filterwarnings("ignore")


def zero_padded(config):
    config = dataclasses.replace(config, zero_padded_pools=True)
    return {"config": config, "create_aux_logits": False}


# Keras's function, our options for the same network, its arguments, small size, size,
# trainable and all parameters with 1000 classes (keras 3.15).
CASES = {
    "vgg_16": ("VGG16", {}, {}, 64, 224, 138_357_544, 138_357_544),
    "vgg_19": ("VGG19", {}, {}, 64, 224, 143_667_240, 143_667_240),
    "inception_v3": (
        "InceptionV3", {"create_aux_logits": False}, {}, 75, 299,
        23_817_352, 23_851_784,
    ),
    "inception_resnet_v2": (
        "InceptionResNetV2", {"create_aux_logits": False}, {}, 75, 299,
        55_813_192, 55_873_736,
    ),
    "mobilenet_v1": ("MobileNet", {}, {}, 64, 224, 4_231_976, 4_253_864),
    "mobilenet_v1_050": (
        "MobileNet", {}, {"alpha": 0.5}, 64, 224, 1_331_592, 1_342_536,
    ),
    "mobilenet_v2": ("MobileNetV2", {}, {}, 64, 224, 3_504_872, 3_538_984),
    "mobilenet_v2_140": (
        "MobileNetV2", {}, {"alpha": 1.4}, 64, 224, 6_108_776, 6_156_712,
    ),
    "mobilenet_v2_035": (
        "MobileNetV2", {}, {"alpha": 0.35}, 64, 224, 1_677_128, 1_691_208,
    ),
    "mobilenet_v3_large": (
        "MobileNetV3Large", {}, {"include_preprocessing": False}, 64, 224,
        5_483_032, 5_507_432,
    ),
    "mobilenet_v3_small": (
        "MobileNetV3Small", {}, {"include_preprocessing": False}, 64, 224,
        2_542_856, 2_554_968,
    ),
    "nasnet_mobile": (
        "NASNetMobile",
        zero_padded(nasnet.mobile_imagenet_config()),
        {}, 64, 224, 5_289_978, 5_326_716,
    ),
    "nasnet_large": (
        "NASNetLarge",
        zero_padded(nasnet.large_imagenet_config()),
        {}, 64, 331, 88_753_150, 88_949_818,
    ),
}  # fmt: skip
FAST = ("mobilenet_v1", "mobilenet_v3_small")


def parametrized(*sizes):
    return [
        pytest.param(
            name,
            size,
            marks=() if name in FAST and size == "small" else pytest.mark.slow,
        )
        for name in CASES
        for size in sizes
    ]


def application(name, size, **kwargs):
    constructor, _, arguments, *_ = CASES[name]
    top = {"classes": 10, "classifier_activation": None}
    if kwargs.get("include_top") is False:
        top = {}
    return getattr(keras.applications, constructor)(
        weights=None, input_shape=(size, size, 3), **{**top, **arguments, **kwargs}
    )


def is_on_edge(name, size):
    """VGG's dense layers see images of one size alone."""
    return name.startswith("vgg") and size != 224


@pytest.mark.parametrize("name,size", parametrized("small", "full"))
def test_outputs_equal_keras(name, size, rng, tmp_path):
    _, options, _, small, full, *_ = CASES[name]
    size = small if size == "small" else full
    edge = is_on_edge(name, size)
    theirs = application(name, size, **({"include_top": False} if edge else {}))
    randomize(theirs, rng)
    for layer in theirs.layers:  # Residual sums of many units stay in range.
        if layer.name.endswith("_conv") and layer.name.startswith("block"):
            for variable in layer.variables:
                variable.assign(0.2 * variable)
    path = tmp_path / ("x.h5" if size == full else "x.weights.h5")
    theirs.save(path) if size == full else theirs.save_weights(path)
    images = rng.normal(size=(2, size, size, 3)).astype(np.float32)
    if edge:
        model = slimnets.Model(name, num_classes=0, fc_conv_padding="SAME")
        model.build([None, size, size, 3])
        report = load_weights(path, model, exclude=[".*/fc.*"])
        assert not report.missing and not report.unexpected
        actual = model.end_points(images)[f"{name}/pool5"]
    else:
        model = slimnets.Model(name, num_classes=10, **options)
        model.build([None, size, size, 3])
        assert load_weights(path, model).complete
        actual = model(images)
    assert_close(actual, theirs(images, training=False), 1e-4)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in CASES],
)
def test_counts_equal_keras(name):
    _, options, _, _, _, trainable, every = CASES[name]
    network = slimnets.network_info(name).network
    specs = networks.variable_specs(network, 1000, options=options)
    assert sum(spec.shape.num_elements() for spec in specs.values()) == every
    statistics = [n for n in specs if "/moving_" in n]
    moving = sum(specs[name].shape.num_elements() for name in statistics)
    assert every - moving == trainable


@pytest.mark.parametrize("name", ["mobilenet_v2_035"])
def test_files_convert_to_checkpoints_but_not_back(name, rng, tmp_path):
    theirs = application(name, 64)
    theirs.save_weights(tmp_path / "x.weights.h5")
    convert = functools.partial(convert_weights, network=name)
    convert(tmp_path / "x.weights.h5", tmp_path / "slim")
    model = slimnets.Model(name, num_classes=10)
    model.build([None, 64, 64, 3])
    assert model.load(str(tmp_path / "slim")).complete
    images = rng.normal(size=(1, 64, 64, 3)).astype(np.float32)
    assert_close(model(images), theirs(images, training=False), 1e-4)
    with pytest.raises(ValueError, match="read from, but not written for, keras"):
        convert(tmp_path / "slim", tmp_path / "back.weights.h5")
