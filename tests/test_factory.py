"""The registry, building by name, and the contracts that hold for every network."""

import functools
import inspect

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets import factory, layers
from slimnets.blocks import reachable_strides
from slimnets.nets import resnet_v2
from slimnets.rows.builder import network_of
from slimnets.rows.stage import Stage
from tests.helpers import assert_close, of_each_kind, run_graph, v1
from tests.nets.slim_networks import STAGED, row_of

NETWORKS = slimnets.list_networks()
THIN = {"depth_multiplier": 0.125, "num_classes": 3}


def placeholder(channels=3, size=None):
    return v1.placeholder(tf.float32, [None, size, size, channels])


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setattr(factory, "_NETWORKS", dict(factory._NETWORKS))


def test_names_are_listed_by_pattern():
    assert slimnets.list_networks("resnet_v2_5?") == ["resnet_v2_50"]
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
    bound = functools.partial(mine, num_classes=3)
    with pytest.raises(ValueError, match="has no name of its own: give one"):
        slimnets.register_network(bound)
    slimnets.register_network(bound, name="bound")
    assert slimnets.build("bound", 1) == (1, {})


def test_a_cell_that_defines_and_registers_may_run_twice(registry):
    for number in (1, 2):

        @slimnets.register_network
        def mine(inputs, num_classes=None, is_training=True, number=number):
            return inputs, {"number": number}

    assert slimnets.build("mine", 0)[1] == {"number": 2}
    with pytest.raises(ValueError, match="'resnet18' is registered already"):

        @slimnets.register_network
        def resnet18(inputs):
            return inputs


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


def thin(name):
    """The same kinds of layers, at most two units a block, few channels."""
    return functools.partial(
        network_of(row_of(name).thin()),
        depth_multiplier=0.125,
    )


@pytest.mark.parametrize("name", of_each_kind(STAGED))
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
        "scope": network.row.scope_name,
    }
    assert list(defaults.items())[: len(expected)] == list(expected.items())
    assert defaults["store_non_strided_activations"] is False


@pytest.mark.parametrize("name", of_each_kind(STAGED))
def test_every_network_keeps_its_contracts(name, rng):
    """Odd and unknown sizes, features, keys that no outer scope changes."""
    network = functools.partial(thin(name), is_training=False)
    scope = row_of(name).scope_name
    with tf.Graph().as_default():
        net, end_points = network(placeholder(1), num_classes=5)
        assert net.shape.as_list() == [None, 5]
        assert end_points[f"{scope}/logits"].shape.as_list() == [None, 1, 1, 5]
        assert end_points["predictions"].shape.as_list() == [None, 5]
    keys = []
    stages = row_of(name).stages
    middle = [stage.name for stage in stages if isinstance(stage, Stage)][1]
    for classes in (None, 0):
        with tf.Graph().as_default(), v1.variable_scope(f"Outer{classes}/inner"):
            net, end_points = network(placeholder(3, 37), num_classes=classes)
            assert net.shape.as_list()[1:3] == [1, 1]
            assert "logits" not in end_points
            keys.append(list(end_points))
            full = f"Outer{classes}/inner/{scope}/{middle}"
            block = end_points[f"{scope}/{middle}"]
            for key in (full, f"inner/{scope}/{middle}", middle):
                assert end_points[key] is block and key in end_points
    assert keys[0] == keys[1]
    info = slimnets.network_info(name)
    assert info.default_image_size == info.network.row.image_size


@pytest.mark.parametrize("name", of_each_kind(STAGED))
def test_every_network_trains(name, rng):
    """One step: a finite loss, and a gradient for every trainable variable."""
    size = 41 if slimnets.network_info(name).default_image_size > 32 else 17
    images = rng.normal(size=(4, size, size - 4, 3)).astype(np.float32)

    def build():
        v1.set_random_seed(1)
        logits, _ = thin(name)(images, num_classes=3, is_training=True)
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits([0, 1, 2, 0], logits)
        )
        variables = v1.trainable_variables()
        gradients = tf.gradients(loss, variables)
        names = [v.op.name for v in variables]
        assert None not in gradients, names[gradients.index(None)]
        return loss, dict(zip(names, gradients, strict=True))

    loss, gradients = run_graph(build)
    assert np.isfinite(loss)
    assert not [name for name, value in gradients.items() if not np.any(value)]


# Every family's way of striding, in one network each.
STRIDED = (
    "resnet_v1_18",
    "resnet_v2_34",
    "resnet_v1_50",
    "resnet_v2_50",
    "resnet_v1_cifar_20",
    "resnet_v2_cifar_29",
    "wrn_16_8",
    "resnet18",
    "resnet50",
    "resnet50d",
    "resnext50_32x4d",
    "seresnet50",
    "resnetrs50",
    "keras_resnet50",
    "keras_resnet50_v2",
    "bit_r50x1",
)


@pytest.mark.parametrize("size", [pytest.param(64, marks=pytest.mark.slow), 69])
@pytest.mark.parametrize("name", of_each_kind(STRIDED))
def test_a_denser_output_subsampled_equals_the_nominal_one(name, size, rng):
    images = rng.normal(size=(1, size, size - 5, 3)).astype(np.float32)
    network = functools.partial(thin(name), images, is_training=False)
    row = row_of(name)
    nominal_stride = reachable_strides(row.blocks(), row.root_stride)[-1]
    strides = [s for s in (2, 8, 16) if row.root_stride <= s < nominal_stride]

    def build():
        v1.set_random_seed(1)
        nominal, _ = network(global_pool=False)
        dense = [
            network(global_pool=False, output_stride=stride, reuse=True)[0]
            for stride in strides
        ]
        return nominal, [
            slimnets.subsample(net, nominal_stride // stride)
            for net, stride in zip(dense, strides, strict=True)
        ]

    nominal, subsampled = run_graph(build)
    assert strides
    for value in subsampled:
        assert value.shape == nominal.shape
        if row.dense_is_exact:
            assert_close(value, nominal)


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


@pytest.mark.parametrize("room", ["data", "training", "export", "inspection"])
def test_rooms_are_there_without_an_import_of_their_own(room):
    # They are imported by now, so that the attribute would not be asked for.
    assert slimnets.__getattr__(room).__name__ == f"slimnets.{room}"


@pytest.mark.parametrize(
    "options", [{"global_pool": "max"}, {"num_classes": 10.5}, {"num_classes": "10"}]
)
@pytest.mark.parametrize("name", ["resnet18", "vgg_a", "inception_v1"])
def test_values_of_another_kind_are_errors(name, options):
    ((option, value),) = options.items()
    with tf.Graph().as_default():
        images = tf.zeros([1, 32, 32, 3])
        with pytest.raises(ValueError, match=f"{option}={value!r}; allowed"):
            slimnets.build(name, images, **options)


@pytest.mark.parametrize("output_stride", [2, 5, 12, 64, 0])
def test_an_output_stride_that_cannot_be_reached_names_those_that_can(output_stride):
    with (
        tf.Graph().as_default(),
        pytest.raises(ValueError, match=r"cannot be reached.*\[4, 8, 16, 32\]"),
    ):
        slimnets.build("resnet_v2_50", placeholder(), output_stride=output_stride)


def test_calling_eagerly_outside_a_model_says_how_to_wrap_it(rng):
    images = rng.normal(size=(1, 33, 33, 3)).astype(np.float32)
    # Default names count on in the graph of the process; its scope takes them back.
    with v1.variable_scope(v1.get_variable_scope()):
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


def test_dropout_and_the_prediction_of_a_network(rng):
    images = rng.normal(size=(4, 33, 33, 3)).astype(np.float32)

    def build():
        logits, end_points = thin("resnet_v2_18")(
            images, num_classes=3, dropout_keep_prob=0.5, prediction_fn=tf.nn.sigmoid
        )
        kinds = {op.type for op in v1.get_default_graph().get_operations()}
        assert "RandomUniform" in kinds
        return logits, end_points["predictions"]

    logits, predictions = run_graph(build)
    assert_close(predictions, 1 / (1 + np.exp(-logits)), 1e-4)


def test_zero_init_residual_makes_units_begin_as_their_shortcuts(rng):
    images = rng.normal(size=(2, 33, 33, 3)).astype(np.float32)
    network = functools.partial(thin("resnet50"), zero_init_residual=True)

    def build():
        _, end_points = network(images, is_training=False)
        first = end_points["block1/unit_1/bottleneck_v1"]
        return first, end_points["block1/unit_2/bottleneck_v1"]

    first, second = run_graph(build)
    np.testing.assert_array_equal(first, second)
    with tf.Graph().as_default(), pytest.raises(ValueError, match="zero_init_residual"):
        thin("resnet_v2_50")(placeholder(), zero_init_residual=True)
    with (
        tf.Graph().as_default(),
        pytest.raises(ValueError, match="batch, frozen"),
    ):
        thin("resnet_v2_50")(placeholder(), norm="layer")


@pytest.mark.slow
def test_small_image_networks_have_the_papers_depths_and_sizes():
    """Layers by name, and parameters of the papers' re-implementations."""
    counted = {
        "resnet_v1_cifar_20": (20, 269_722),
        "resnet_v1_cifar_32": (32, 464_154),
        "resnet_v1_cifar_44": (44, 658_586),
        "resnet_v1_cifar_56": (56, 853_018),
        "resnet_v1_cifar_110": (110, 1_727_962),
        "resnet_v2_cifar_164": (164, 1_703_258),
        "wrn_28_10": (26, 36_479_194),
        "wrn_16_2": (14, 691_674),
    }
    for name, (depth, parameters) in counted.items():
        with tf.Graph().as_default():
            slimnets.build(name, placeholder(3, 32), num_classes=10)
            variables = v1.trainable_variables()
        weights = [v.op.name for v in variables if v.op.name.endswith("weights")]
        assert sum("shortcut" not in name for name in weights) == depth
        assert sum(v.shape.num_elements() for v in variables) == parameters
