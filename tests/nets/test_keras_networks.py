"""TF-Slim's networks equal keras.applications', weights randomized, statistics too."""

import dataclasses
import functools

import keras
import numpy as np
import pytest

import slimnets
from slimnets.checkpoints import (
    convert_weights,
    load_weights,
    networks,
    save_weights,
)
from slimnets.nets import nasnet
from tests.helpers import assert_close, of_each_kind
from tests.nets.test_keras_equality import randomize

# Keras warns of itself: of NumPy's newer ways, and that .h5 is legacy.
pytestmark = pytest.mark.filterwarnings("ignore")


def zero_padded(config):
    config = dataclasses.replace(config, zero_padded_pools=True)
    return {"config": config, "create_aux_logits": False}


MINIMALISTIC = {"include_preprocessing": False, "minimalistic": True}
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
    "mobilenet_v3_large_minimalistic": (
        "MobileNetV3Large", {}, MINIMALISTIC, 64, 224, 3_924_288, 3_948_688,
    ),
    "mobilenet_v3_small_minimalistic": (
        "MobileNetV3Small", {}, MINIMALISTIC, 64, 224, 2_044_736, 2_056_848,
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
    "keras_xception": ("Xception", {}, {}, 96, 299, 22_855_952, 22_910_480),
}  # fmt: skip
_BARE = {"include_preprocessing": False}
# Counted from keras 3.15, EfficientNet's without the seven numbers of its
# normalization.
CASES |= {
    name: (constructor, {}, arguments, 64, size, trainable, every)
    for name, constructor, arguments, size, trainable, every in (
        ("tf_efficientnet_b0", "EfficientNetB0", {}, 224, 5_288_548, 5_330_564),
        ("tf_efficientnet_b1", "EfficientNetB1", {}, 240, 7_794_184, 7_856_232),
        ("tf_efficientnet_b2", "EfficientNetB2", {}, 260, 9_109_994, 9_177_562),
        ("tf_efficientnet_b3", "EfficientNetB3", {}, 300, 12_233_232, 12_320_528),
        ("tf_efficientnet_b4", "EfficientNetB4", {}, 380, 19_341_616, 19_466_816),
        ("tf_efficientnet_b5", "EfficientNetB5", {}, 456, 30_389_784, 30_562_520),
        ("tf_efficientnet_b6", "EfficientNetB6", {}, 528, 43_040_704, 43_265_136),
        ("tf_efficientnet_b7", "EfficientNetB7", {}, 600, 66_347_960, 66_658_680),
        ("tf_efficientnetv2_b0", "EfficientNetV2B0", _BARE, 224, 7_139_704, 7_200_312),
        ("tf_efficientnetv2_b1", "EfficientNetV2B1", _BARE, 240, 8_141_052, 8_212_124),
        (
            "tf_efficientnetv2_b2",
            "EfficientNetV2B2",
            _BARE,
            260,
            10_096_086,
            10_178_374,
        ),
        (
            "tf_efficientnetv2_b3",
            "EfficientNetV2B3",
            _BARE,
            300,
            14_358_406,
            14_467_622,
        ),
        ("tf_efficientnetv2_s", "EfficientNetV2S", _BARE, 384, 21_458_488, 21_612_360),
        ("tf_efficientnetv2_m", "EfficientNetV2M", _BARE, 480, 54_139_356, 54_431_388),
        (
            "tf_efficientnetv2_l",
            "EfficientNetV2L",
            _BARE,
            480,
            118_515_272,
            119_027_848,
        ),
        ("convnext_tiny", "ConvNeXtTiny", _BARE, 224, 28_589_128, 28_589_128),
        ("convnext_small", "ConvNeXtSmall", _BARE, 224, 50_223_688, 50_223_688),
        ("convnext_base", "ConvNeXtBase", _BARE, 224, 88_591_464, 88_591_464),
        ("convnext_large", "ConvNeXtLarge", _BARE, 224, 197_767_336, 197_767_336),
        ("convnext_xlarge", "ConvNeXtXLarge", _BARE, 224, 350_196_968, 350_196_968),
        ("densenet121", "DenseNet121", {}, 224, 7_978_856, 8_062_504),
        ("densenet169", "DenseNet169", {}, 224, 14_149_480, 14_307_880),
        ("densenet201", "DenseNet201", {}, 224, 20_013_928, 20_242_984),
    )
}
# Those whose places in a file are not known are read, but not written.
READ_ONLY = ("inception", "nasnet")
WRITTEN = [name for name in CASES if not name.startswith(READ_ONLY)]
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


def answers(model, images):
    """The logits; EfficientNet B0 to B7 take values up to 255."""
    scale = 255 if model.name.startswith("efficientnetb") else 1
    return model(scale * images, training=False)


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
    assert_close(actual, answers(theirs, images), 1e-4)


@pytest.mark.parametrize("name", of_each_kind(CASES, FAST))
def test_counts_equal_keras(name):
    _, options, _, _, _, trainable, every = CASES[name]
    network = slimnets.network_info(name).network
    specs = networks.variable_specs(network, 1000, options=options)
    assert sum(spec.shape.num_elements() for spec in specs.values()) == every
    statistics = [n for n in specs if "/moving_" in n]
    moving = sum(specs[name].shape.num_elements() for name in statistics)
    assert every - moving == trainable


@pytest.mark.parametrize("name", of_each_kind(WRITTEN, ["mobilenet_v2_035"]))
def test_files_convert_to_checkpoints_and_back(name, rng, tmp_path):
    theirs = application(name, CASES[name][3 + name.startswith("vgg")])
    randomize(theirs, rng)
    theirs.save_weights(tmp_path / "x.weights.h5")
    convert = functools.partial(convert_weights, network=name)
    convert(tmp_path / "x.weights.h5", tmp_path / "slim")
    convert(tmp_path / "slim", tmp_path / "back.weights.h5")
    again = application(name, theirs.input_shape[1])
    again.load_weights(tmp_path / "back.weights.h5")
    for ours, original in zip(again.weights, theirs.weights, strict=True):
        if not ours.path.startswith("normalization/"):
            np.testing.assert_array_equal(ours, original, err_msg=original.path)


@pytest.mark.slow
def test_efficientnets_files_normalize_as_imagenet_is_normalized(tmp_path):
    model = slimnets.Model("tf_efficientnet_b0", num_classes=10)
    model.build([None, 64, 64, 3])
    convert_weights(model.save(tmp_path / "slim"), tmp_path / "x.weights.h5")
    theirs = application("tf_efficientnet_b0", 64)
    theirs.load_weights(tmp_path / "x.weights.h5")
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3))
    images = (pixels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    logits = theirs(pixels.astype(np.float32), training=False)
    assert_close(model(images.astype(np.float32)), logits, 1e-4)


@pytest.mark.slow
def test_what_is_read_alone_is_not_written(tmp_path, rng):
    specs = networks.variable_specs(slimnets.network_info("nasnet_mobile").network, 10)
    values = {name: np.zeros(spec.shape, np.float32) for name, spec in specs.items()}
    prefix = save_weights(tmp_path / "slim", values)
    with pytest.raises(ValueError, match="read from, but not written for, keras"):
        convert_weights(prefix, tmp_path / "x.weights.h5", network="nasnet_mobile")
