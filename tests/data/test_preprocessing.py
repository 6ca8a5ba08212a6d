"""Evaluation's view of an image, against PIL, Keras and plain NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import slimnets
from slimnets import data
from slimnets.data import geometry, preprocessing
from slimnets.data.preprocessing import get_preprocessing

SIZES = [(90, 120), (121, 77), (64, 64), (40, 200)]


@pytest.fixture(scope="module")
def pictures():
    """Smooth images of SIZES, uint8."""
    rng = np.random.default_rng(1)
    made = {}
    for height, width in SIZES:
        small = Image.fromarray(rng.integers(0, 256, (9, 12, 3)).astype(np.uint8))
        made[height, width] = np.array(small.resize((width, height), Image.BICUBIC))
    return made


def seen(name, image, size):
    return get_preprocessing(name).prepare(image[np.newaxis], size, (0, 255))[0].numpy()


def by_pil(image, size, short, method):
    """torchvision's Resize and CenterCrop, with PIL."""
    height, width = image.shape[:2]
    if width <= height:
        width, height = short, int(short * height / width)
    else:
        width, height = int(short * width / height), short
    resized = np.array(Image.fromarray(image).resize((width, height), method))
    top, left = round((height - size) / 2.0), round((width - size) / 2.0)
    return resized[top : top + size, left : left + size].astype(np.float64)


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize(
    ("name", "method"), [("torch", Image.BILINEAR), ("timm", Image.BICUBIC)]
)
def test_torch_views_are_pils(pictures, name, method, shape):
    image = pictures[shape]
    expected = by_pil(image, 56, 64, method) / 255
    expected = (expected - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    # PIL rounds after each of its two passes.
    np.testing.assert_allclose(seen(name, image, 56), expected, atol=1.6 / 255 / 0.224)


def legacy_bilinear(image, height, width):
    """TensorFlow 1's resize_bilinear: pixel i of the result lies at i * scale."""

    def weights(old, new):
        place = np.arange(new) * (old / new)
        below = np.minimum(np.floor(place).astype(int), old - 1)
        above = np.minimum(below + 1, old - 1)
        matrix = np.zeros((new, old))
        matrix[np.arange(new), below] += 1 - (place - below)
        matrix[np.arange(new), above] += place - below
        return matrix

    rows, columns = weights(image.shape[0], height), weights(image.shape[1], width)
    return np.einsum("yh,hwc,xw->yxc", rows, image.astype(np.float64), columns)


@pytest.mark.parametrize("shape", SIZES)
def test_inception_is_that_of_research_slim(pictures, shape):
    image, (height, width) = pictures[shape], shape
    top, left = (int((side - side * 0.875) / 2) for side in shape)
    middle = image[top : height - top, left : width - left] / 255
    expected = (legacy_bilinear(middle, 48, 48) - 0.5) * 2
    np.testing.assert_allclose(seen("inception", image, 48), expected, atol=1e-4)
    central = tf.image.central_crop(image, 0.875)
    assert central.shape[:2] == (height - 2 * top, width - 2 * left)


@pytest.mark.parametrize("shape", SIZES)
def test_vgg_is_that_of_research_slim(pictures, shape):
    image, scale = pictures[shape], 64 / min(shape)
    height, width = (round(side * scale) for side in shape)
    resized = legacy_bilinear(image, height, width)
    top, left = (height - 56) // 2, (width - 56) // 2
    expected = resized[top : top + 56, left : left + 56] - [123.68, 116.78, 103.94]
    np.testing.assert_allclose(seen("vgg", image, 56), expected, atol=2e-2)


@pytest.mark.parametrize("name", ["torch", "caffe", "tf"])
def test_values_are_those_of_keras(name, rng):
    images = rng.uniform(0, 255, (2, 5, 4, 3)).astype(np.float32)
    expected = keras.applications.imagenet_utils.preprocess_input(
        images.copy(), mode=name
    )
    mine = get_preprocessing(name).values(tf.constant(images))
    np.testing.assert_allclose(mine, expected, atol=1e-4)


def test_small_images_are_seen_whole(rng):
    images = rng.integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    expected = (images / 255 - preprocessing.CIFAR_MEAN) / preprocessing.CIFAR_DEVIATION
    got = get_preprocessing("cifar").prepare(images, 32, (0, 255))
    np.testing.assert_allclose(got, expected, atol=1e-5)
    got = get_preprocessing("plain").prepare(images / 255, 32, (0, 1))
    np.testing.assert_allclose(got, images / 127.5 - 1, atol=1e-5)


@pytest.mark.parametrize("name", data.preprocessing_names())
def test_every_recipe_takes_one_channel(name, rng):
    recipe = get_preprocessing(name)
    if recipe.rank == 3:
        images = rng.integers(0, 256, (2, 20, 24, 1)).astype(np.uint8)
        made = recipe.prepare(images, 16, (0, 255))
        assert made.shape == (2, 16, 16, 1) and made.dtype == tf.float32


def test_crop_fraction():
    half = get_preprocessing("torch").with_crop_fraction(0.5)
    image = np.zeros((1, 40, 40, 3), np.uint8)
    image[:, 10:30, 10:30] = 255
    assert np.all(np.abs(half.prepare(image, 20, (0, 255)) - 2.4) < 0.4)
    whole = get_preprocessing("vgg").with_crop_fraction(1.0)
    assert whole.prepare(image, 40, (0, 255)).shape == (1, 40, 40, 3)
    for name, fraction, message in (
        ("plain", 0.9, "eval_crop_fraction=0.9 is of no effect with.*=plain"),
        ("points", 0.9, "of no effect"),
        ("torch", 0.0, "0 < it <= 1"),
        ("torch", 1.5, "0 < it <= 1"),
    ):
        with pytest.raises(ValueError, match=message):
            get_preprocessing(name).with_crop_fraction(fraction)


def test_crop_and_resize_is_tf_image_resize_inside(rng):
    images = rng.uniform(0, 255, (2, 60, 80, 3)).astype(np.float32)
    windows = [[0, 0, 60, 80], [10, 20, 30, 33]]
    made = geometry.crop_and_resize(images, tf.constant(windows), 16).numpy()
    for image, one, (top, left, height, width) in zip(
        images, made, windows, strict=True
    ):
        crop = image[top : top + height, left : left + width]
        expected = tf.image.resize(crop, [16, 16])
        np.testing.assert_allclose(one, expected, atol=1e-2)


def test_every_network_names_a_preprocessing_that_there_is():
    known = {*data.preprocessing_names(), ""}
    infos = {n: slimnets.network_info(n) for n in slimnets.list_networks()}
    assert {info.preprocessing for info in infos.values()} <= known
    for name, own in {
        "resnet_v1_50": "vgg",
        "resnet_v2_50": "inception",
        "resnet50": "torch",
        "keras_resnet50": "caffe",
        "keras_resnet50_v2": "tf",
        "resnet_v2_cifar_20": "cifar",
    }.items():
        assert infos[name].preprocessing == own
