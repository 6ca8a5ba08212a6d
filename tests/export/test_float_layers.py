"""Layers that stay in float where the others are rounded to int8."""

from types import SimpleNamespace

import numpy as np
import pytest

import slimnets
from slimnets import layers
from slimnets.export import export_model, freeze
from slimnets.export.float_layers import by_error, within_drop
from slimnets.export.loading import load


@pytest.fixture
def network(rng):
    """Three layers of 1x1, of which int8 ruins the second: the weights of a channel
    that is always zero take all the steps."""

    def function(images, is_training):
        del is_training
        net = layers.conv2d(images, 4, 1, scope="first")
        net = layers.conv2d(net, 5, 1, activation_fn=None, scope="second")
        return layers.conv2d(net, 6, 1, activation_fn=None, scope="third"), {}

    model = slimnets.Model(function)
    model.build([None, 4, 4, 3])
    weights = model.variables_by_name
    weights["first/weights"].assign(rng.normal(size=[1, 1, 3, 4]) * [1, 1, 1, 0])
    second = rng.normal(size=[1, 1, 4, 5])
    second[:, :, 3] = 1000
    weights["second/weights"].assign(second)
    return model


@pytest.fixture
def images(rng):
    return rng.uniform(-1, 1, [8, 4, 4, 3]).astype(np.float32)


def rounded(values, low, high, steps):
    scale = (high - low) / steps
    return np.round(values / scale) * scale


def test_the_error_of_a_layer_is_its_own(network, images):
    folded = freeze(network, [None, 4, 4, 3], levels=[]).folded()
    errors = by_error(folded, [{"images": images[:4]}, {"images": images[4:]}])
    assert next(iter(errors)) == "second"
    assert sorted(errors) == ["first", "second", "third"]
    values = network.variables_by_name
    given = images.astype(np.float64)
    for scope in ("first", "second", "third"):
        weights = values[f"{scope}/weights"].numpy()[0, 0].astype(np.float64)
        largest = np.abs(weights).max(0)
        steps = rounded(weights, -np.maximum(largest, 1e-30), largest, 254)
        parts = [
            rounded(x, x.min(), x.max(), 255) @ steps for x in (given[:4], given[4:])
        ]
        outputs = given @ weights
        lost = np.concatenate(parts) - outputs
        wanted = np.sqrt((lost**2).sum() / (outputs**2).sum())
        # Where zero is no whole step, TensorFlow moves the range by less than one.
        assert errors[scope] == pytest.approx(wanted, rel=0.1)
        given = np.maximum(outputs, 0) if scope == "first" else outputs


@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_a_layer_in_float_loses_nothing_of_its_own(network, images, tmp_path, format):
    pytest.importorskip("onnxruntime")
    pytest.importorskip(format)
    ending = {"onnx": ".onnx", "openvino": ".xml"}[format]
    errors = []
    for kept in ((), ("second",)):
        report = export_model(
            network, tmp_path / f"network{ending}", format=format, precision="int8",
            input_shape=[None, 4, 4, 3], levels=[], calibration=[images],
            float_layers=kept, tolerance=np.inf,
        )  # fmt: skip
        found = load(report.path)(images)["features"]
        wanted = network(images).numpy()
        errors.append(np.abs(found - wanted).max() / np.abs(wanted).max())
        assert report.float_layers == kept
        assert ("with second in float" in str(report)) == bool(kept)
    assert errors[1] < 0.03 < 0.3 < errors[0]


@pytest.mark.parametrize(
    ("drop", "wanted"), [(5.0, 0), (2.0, 1), (0.9, 4), (0.1, 5), (0.0, 5)]
)
def test_no_more_layers_than_the_accuracy_needs(drop, wanted):
    losses = [5.0, 2.0, 1.5, 1.0, 0.5, 0.0]
    tried = []

    def write(kept):
        tried.append(len(kept))
        return list(kept), SimpleNamespace(change=-losses[len(kept)])

    kept, _ = within_drop(write, list("abcde"), drop)
    assert kept == list("abcde")[:wanted]
    assert tried == [0, 1, 2, 4, 5][: tried.index(wanted) + 1]


def test_ranges_leave_out_what_is_rare(rng, tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    images = rng.uniform(-1, 1, [8, 64, 64, 1]).astype(np.float32)
    rare = images.copy()
    rare[0, 0, 0] = 200

    def function(images, is_training):
        del is_training
        return layers.conv2d(images, 2, 1, activation_fn=None, scope="conv"), {}

    model = slimnets.Model(function)
    model.build([None, 64, 64, 1])
    losses = {}
    for name in ("minmax", "percentile"):
        path = tmp_path / f"{name}.onnx"
        export_model(
            model, path, format="onnx", precision="int8", levels=[],
            input_shape=[None, 64, 64, 1], calibration=[rare],
            calibration_method=name, tolerance=np.inf,
        )  # fmt: skip
        found = load(path)(images)["features"]
        losses[name] = np.abs(found - model(images).numpy()).mean()
    assert losses["percentile"] < 0.2 * losses["minmax"]
    assert not capsys.readouterr().out


def test_what_does_not_round_is_refused(network, images, tmp_path):
    arguments = {"input_shape": [None, 4, 4, 3], "levels": []}
    with pytest.raises(ValueError, match="for int8 in onnx and openvino"):
        export_model(
            network, tmp_path / "a.tflite", format="tflite", precision="int8",
            calibration=[images], float_layers=["second"], **arguments,
        )  # fmt: skip
    with pytest.raises(ValueError, match="'mean'; allowed are minmax, percentile"):
        export_model(
            network, tmp_path / "a.onnx", format="onnx", precision="int8",
            calibration=[images], calibration_method="mean", **arguments,
        )  # fmt: skip
