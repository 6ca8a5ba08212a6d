"""The registry, building by name, and the contracts that hold for every network."""

import inspect

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets import factory, layers
from slimnets.nets import resnet_v2
from tests.helpers import v1

NETWORKS = slimnets.list_networks()
THIN = {"depth_multiplier": 0.125, "num_classes": 3}


def placeholder(channels=3, size=None):
    return v1.placeholder(tf.float32, [None, size, size, channels])


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setattr(factory, "_NETWORKS", dict(factory._NETWORKS))


def test_names_are_listed_by_pattern():
    assert slimnets.list_networks("resnet_v2_??") == ["resnet_v2_50"]
    assert {"resnet_v1_200", "resnet_v2_cifar_1001"} <= set(NETWORKS)
    assert slimnets.list_networks("nothing") == []


def test_an_unknown_name_suggests_the_nearest():
    for call in (
        slimnets.network_info,
        lambda name: slimnets.get_network_fn(name, 10),
        lambda name: slimnets.build(name, None),
    ):
        with pytest.raises(ValueError, match=r"'resnet_v2_5'.*resnet_v2_50"):
            call("resnet_v2_5")


def test_register_network_as_function_and_as_decorator(registry):
    @slimnets.register_network
    def mine(inputs, num_classes=None, is_training=True):
        """My network."""
        return inputs, {}

    @slimnets.register_network(name="other", family="theirs")
    def theirs(inputs, num_classes=None, is_training=True):
        return inputs, {}

    assert slimnets.network_info("mine").summary == "My network."
    assert slimnets.network_info("other").family == "theirs"
    assert slimnets.build("mine", 1) == (1, {})
    with pytest.raises(ValueError, match="'mine' is registered already"):
        slimnets.register_network(mine)
    with pytest.raises(TypeError, match="function"):
        slimnets.register_network("mine")


def test_get_network_fn_has_the_default_size_and_the_weight_decay():
    network_fn = slimnets.get_network_fn("resnet_v2_50", 3, weight_decay=0.5)
    assert network_fn.default_image_size == 224
    with tf.Graph().as_default():
        network_fn(placeholder(size=33), depth_multiplier=0.125)
        losses = v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)
        assert len(losses) == 54
        assert not v1.get_collection(v1.GraphKeys.UPDATE_OPS)
        scales = {
            op.inputs[1].op.get_attr("value").float_val[0]
            for op in (loss.op for loss in losses)
        }
        assert scales == {0.5}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_signature_is_research_slims(name):
    network = slimnets.network_info(name).network
    assert network.__name__ == name and network.default_image_size
    defaults = {
        key: parameter.default
        for key, parameter in inspect.signature(network).parameters.items()
    }
    expected = {
        "inputs": inspect.Parameter.empty,
        "num_classes": None,
        "is_training": True,
        "global_pool": True,
        "output_stride": None,
        "spatial_squeeze": True,
        "reuse": None,
        "scope": name,
    }
    assert list(defaults.items())[: len(expected)] == list(expected.items())
    assert defaults["store_non_strided_activations"] is False


SHALLOW = [n for n in NETWORKS if not n.endswith(("1001", "200", "164", "152"))]


@pytest.mark.parametrize("name", SHALLOW)
def test_every_network_keeps_its_contracts(name, rng):
    """Odd sizes, unknown sizes, features, keys that no outer scope changes."""
    kwargs = {"depth_multiplier": 0.125, "is_training": False}
    with tf.Graph().as_default():
        net, end_points = slimnets.build(name, placeholder(1), num_classes=5, **kwargs)
        assert net.shape.as_list() == [None, 5]
        assert end_points[f"{name}/logits"].shape.as_list() == [None, 1, 1, 5]
        assert end_points["predictions"].shape.as_list() == [None, 5]
    keys = []
    for classes in (None, 0):
        with tf.Graph().as_default(), v1.variable_scope(f"Outer{classes}/inner"):
            net, end_points = slimnets.build(
                name, placeholder(3, 37), num_classes=classes, **kwargs
            )
            assert net.shape.as_list()[1:3] == [1, 1]
            assert "logits" not in end_points
            keys.append(list(end_points))
            full = f"Outer{classes}/inner/{name}/block2"
            block = end_points[f"{name}/block2"]
            for key in (full, f"inner/{name}/block2", "block2"):
                assert end_points[key] is block and key in end_points
    assert keys[0] == keys[1]
    info = slimnets.network_info(name)
    assert info.default_image_size == info.network.row.image_size


@pytest.mark.parametrize("name", SHALLOW)
def test_every_network_trains(name, rng):
    images = rng.normal(size=(4, 33, 33, 3)).astype(np.float32)
    model = slimnets.Model(name, seed=0, **THIN)
    model.build(images.shape)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits([0, 1, 2, 0], logits)
            )
        return loss, tape.gradient(loss, model.trainable_variables)

    loss, gradients = step()
    assert np.isfinite(loss)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None and np.any(gradient), variable.name


def test_reuse_shares_variables():
    with tf.Graph().as_default():
        images = placeholder(size=33)
        first, _ = slimnets.build("resnet_v2_50", images, **THIN)
        count = len(v1.global_variables())
        second, _ = slimnets.build("resnet_v2_50", images, reuse=True, **THIN)
        assert len(v1.global_variables()) == count and first is not second
        losses = v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)
        assert len(losses) == 54
        with pytest.raises(ValueError, match=r"conv1/weights already exists.*reuse"):
            slimnets.build("resnet_v2_50", images, **THIN)
        with pytest.raises(ValueError, match=r"other/conv1/weights does not exist"):
            slimnets.build("resnet_v2_50", images, reuse=True, scope="other", **THIN)


def test_an_end_point_that_is_not_there_names_the_nearest():
    with tf.Graph().as_default():
        _, end_points = slimnets.build("resnet_v2_50", placeholder(), **THIN)
    with pytest.raises(KeyError, match="resnet_v2_50/block4"):
        end_points["block5"]
    with pytest.raises(KeyError, match="C9"):
        end_points["C9"]
    assert end_points.get("block5") is None and "C9" not in end_points


BAD_INPUTS = {
    "rank 3": ([8, 8, 3], r"resnet_v2_50 takes images .*\(8, 8, 3\)"),
    "no channels": ([None, 8, 8, None], "known channels"),
    "no rank": (None, "known channels"),
}


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_inputs_that_are_not_images_raise(case):
    shape, message = BAD_INPUTS[case]
    with tf.Graph().as_default(), pytest.raises(ValueError, match=message):
        slimnets.build("resnet_v2_50", v1.placeholder(tf.float32, shape), num_classes=2)


@pytest.mark.parametrize("output_stride", [2, 5, 12, 64, 0])
def test_an_output_stride_that_cannot_be_reached_names_those_that_can(output_stride):
    with (
        tf.Graph().as_default(),
        pytest.raises(ValueError, match=r"cannot be reached.*\[4, 8, 16, 32\]"),
    ):
        slimnets.build("resnet_v2_50", placeholder(), output_stride=output_stride)


def test_calling_eagerly_outside_a_model_says_how_to_wrap_it(rng):
    images = rng.normal(size=(1, 33, 33, 3)).astype(np.float32)
    with pytest.raises(RuntimeError, match=r"slimnets\.Model\("):
        resnet_v2.resnet_v2_50(images)
    with pytest.raises(RuntimeError, match=r"slimnets\.Model\("):
        layers.conv2d(images, 3, 3)


def test_the_callers_scopes_win_over_a_networks_defaults():
    with tf.Graph().as_default(), slimnets.arg_scope([layers.batch_norm], scale=False):
        slimnets.build("resnet_v2_50", placeholder(), **THIN)
        assert not [v for v in v1.global_variables() if "gamma" in v.op.name]
    with (
        tf.Graph().as_default(),
        slimnets.arg_scope([layers.batch_norm], is_training=True),
    ):
        slimnets.build("resnet_v2_50", placeholder(), is_training=None, **THIN)
        assert v1.get_collection(v1.GraphKeys.UPDATE_OPS)


def test_small_image_networks_have_nine_n_plus_two_layers():
    counts = {}
    for name, layers_ in (("resnet_v2_cifar_164", 164), ("resnet_v2_cifar_29", 29)):
        with tf.Graph().as_default():
            slimnets.build(name, placeholder(3, 32), num_classes=10)
            weights = [v for v in v1.trainable_variables() if "weights" in v.op.name]
            assert sum("shortcut" not in v.op.name for v in weights) == layers_
            counts[name] = sum(v.shape.num_elements() for v in v1.trainable_variables())
    # Re-implementations of the paper count 1,703,258, up to a few hundred.
    assert abs(counts["resnet_v2_cifar_164"] - 1_703_258) < 700
