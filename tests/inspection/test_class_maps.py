"""Where a network sees a class: against numpy, and by laws."""

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets import layers
from slimnets.cli import explain_command
from slimnets.cli.main import main
from slimnets.end_points import EndPoints
from slimnets.export.checkpoint import export_trained
from slimnets.inspection.class_maps import METHODS, class_map
from tests.helpers import assert_close, write_png

SIZE = 12


def small(inputs, num_classes=3, is_training=False):
    """One convolution, the mean over all places, and a dense layer."""
    end_points = EndPoints(scope="small")
    net = layers.conv2d(inputs, 5, 3, 2, scope="conv")
    end_points.add("small/conv", net)
    end_points.mark_stride(net, 2)
    net = tf.reduce_mean(net, [1, 2])
    return layers.fully_connected(net, num_classes, None, scope="logits"), end_points


@pytest.fixture
def model(rng):
    made = slimnets.Model(small, num_classes=3, seed=0)
    made.build([None, SIZE, SIZE, 3])
    return made


@pytest.fixture
def images(rng):
    return rng.normal(size=(2, SIZE, SIZE, 3)).astype(np.float32)


def parts(model, images, index):
    """The activation, and the class's gradient there, which is the same everywhere."""
    values = model.end_points(images)["conv"].numpy()
    weights = model.variable_by_name("logits/weights").numpy()[:, index]
    return values, weights / (values.shape[1] * values.shape[2])


def enlarged(maps):
    return tf.image.resize(np.float32(maps)[..., None], [SIZE, SIZE])[..., 0].numpy()


def test_grad_cam_is_its_formula(model, images):
    values, gradient = parts(model, images, 1)
    expected = np.maximum(values @ gradient, 0)
    found = class_map(model, images, classes=1, at="C1")
    assert found.shape == (2, SIZE, SIZE) and found.dtype == np.float32
    assert found.max() > 0
    assert_close(found, enlarged(expected), 1e-5)
    assert_close(class_map(model, images, classes=[1, 1]), found, 1e-6)


def test_grad_cam_plus_plus_is_its_formula(model, images):
    values, gradient = parts(model, images, 2)
    total = values.sum((1, 2), keepdims=True)
    shares = gradient**2 / (2 * gradient**2 + total * gradient**3)
    places = values.shape[1] * values.shape[2]
    weights = places * shares * np.maximum(gradient, 0)
    expected = np.maximum((values * weights).sum(-1), 0)
    found = class_map(model, images, classes=2, method="grad_cam++")
    assert_close(found, enlarged(expected), 1e-5)


def test_eigen_is_the_first_component(model, images):
    values, _ = parts(model, images, 0)
    found = class_map(model, images, method="eigen")
    for value, shown in zip(values, found, strict=True):
        flat = value.reshape(-1, value.shape[-1])
        _, _, rows = np.linalg.svd(flat - flat.mean(0))
        expected = enlarged((flat @ rows[0]).reshape(1, *value.shape[:2]))[0]
        assert min(abs(expected - shown).max(), abs(expected + shown).max()) < 1e-5
        bright = np.abs(flat).sum(-1)
        small_map = (flat @ rows[0]) * np.sign((expected * shown).sum())
        assert np.corrcoef(bright, small_map)[0, 1] > 0


def corner(inputs, num_classes=2, is_training=False):
    """The class is what a corner has; the other one is what all has."""
    weight = tf.compat.v1.get_variable("w", [], initializer=tf.ones_initializer())
    seen = tf.reduce_sum(inputs[:, :4, :4] ** 2, [1, 2, 3])
    return weight * tf.stack([seen, tf.reduce_sum(inputs, [1, 2, 3])], -1), {}


@pytest.mark.parametrize("method", ["occlusion", "integrated_gradients"])
def test_only_what_is_seen_speaks_for_a_class(method, images):
    model = slimnets.Model(corner, num_classes=2)
    maps = class_map(model, np.abs(images), classes=0, method=method)
    assert (maps[:, :4, :4] > 0).any(axis=(1, 2)).all()
    assert not maps[:, 6:].any() and not maps[:, :, 6:].any()


def test_integrated_gradients_have_the_sum_of_what_the_image_adds(model, images):
    maps = class_map(model, images, classes=[0, 2], method="integrated_gradients")
    scores = model(images).numpy() - model(np.zeros_like(images)).numpy()
    assert_close(maps.sum((1, 2)), scores[[0, 1], [0, 2]], 0.02)


FORMATS = {"frozen_graph": "net.pb", "saved_model": "net", "tflite": "net.tflite",
           "keras": "net.keras"}  # fmt: skip


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A network whose norms are folded before and behind, and its exports."""
    model = slimnets.Model("resnet_v2_cifar_20", num_classes=3, seed=0)
    model.build([None, 16, 16, 3])
    random = np.random.default_rng(0)
    for name, variable in model.variables_by_name.items():
        if "preact" in name or "norm" in name:
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
    path = tmp_path_factory.mktemp("net") / "net"
    checkpoint = model.save(path, metadata={"image_size": 16})
    trained = slimnets.open_trained(checkpoint)
    paths = {}
    for name, file in FORMATS.items():
        paths[name] = str(tmp_path_factory.mktemp(name) / file)
        export_trained(trained, paths[name], format=name)
    return model, paths


@pytest.mark.parametrize("name", ["frozen_graph", "saved_model"])
def test_exports_have_the_maps_of_their_network(name, exported, rng):
    model, paths = exported
    opened = slimnets.open_trained(paths[name]).model
    images = rng.normal(size=(2, 16, 16, 3)).astype(np.float32)
    for at, method in (
        ("C2", "grad_cam"), (None, "grad_cam++"), (None, "integrated_gradients"),
        (None, "occlusion"),
    ):  # fmt: skip
        maps = [class_map(m, images, classes=1, at=at, method=method)
                for m in (model, opened)]  # fmt: skip
        assert np.abs(maps[0]).max() > 0
        assert_close(maps[1], maps[0], 1e-3)
    with pytest.raises(KeyError, match="No end point 'conv1'"):
        class_map(opened, images, at="conv1")


def test_a_keras_file_has_gradients_but_no_levels(exported, rng):
    model, paths = exported
    opened = slimnets.open_trained(paths["keras"]).model
    images = rng.normal(size=(1, 16, 16, 3)).astype(np.float32)
    for own, method in ((None, "occlusion"), ("integrated_gradients",) * 2):
        expected = class_map(model, images, method=method)
        assert_close(class_map(opened, images, method=own), expected, 1e-3)


def test_exports_without_gradients_are_covered(exported, rng):
    model, paths = exported
    opened = slimnets.open_trained(paths["tflite"]).model
    images = rng.normal(size=(1, 16, 16, 3)).astype(np.float32)
    expected = class_map(model, images, method="occlusion")
    assert_close(class_map(opened, images), expected, 1e-3)
    with pytest.raises(ValueError, match=r"'grad_cam' needs gradients, .*'occlusion'"):
        class_map(opened, images, method="grad_cam")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"method": "cam"}, ValueError, "method='cam'; allowed are grad_cam"),
        ({"classes": 3}, ValueError, "classes=3; allowed are 0 to 2"),
        ({"at": "conw"}, KeyError, "Nearest: 'small/conv'"),
        ({"at": "C1", "method": "occlusion"}, ValueError, "at='C1' has no meaning"),
    ],
)
def test_what_is_not_there_is_said(options, error, message, model, images):
    with pytest.raises(error, match=message):
        class_map(model, images, **options)


def test_the_command_draws_each_image(tmp_path, rng, capsys):
    pytest.importorskip("matplotlib")
    assert tuple(METHODS) == explain_command.METHODS
    model = slimnets.Model("resnet_v2_cifar_20", num_classes=10, seed=0)
    model.build([None, 32, 32, 3])
    checkpoint = model.save(tmp_path / "net")
    image = rng.integers(0, 256, (40, 50, 3)).astype(np.uint8)
    for name in ("a.png", "folder/a.png"):
        write_png(tmp_path / name, image)
    out = tmp_path / "out"
    flags = [f"--checkpoint_path={checkpoint}", f"--output={out}"]
    images = [str(tmp_path / "a.png"), str(tmp_path / "folder")]
    assert main(["explain", *images, *flags, "--at=C2", "--class=7"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.endswith(f"{out}/{name}") for line, name in zip(
        printed, ("a.png", "a_2.png"), strict=True
    )] == [True, True]  # fmt: skip
    assert all(": 7 0." in line for line in printed)
    for name in ("a.png", "a_2.png"):
        assert tf.io.decode_png((out / name).read_bytes()).shape[0] > 200
    assert main(["explain", images[0], *flags, "--class=cat"]) == 2
    assert "--class=cat is none of the 10 classes" in capsys.readouterr().err
