"""TF-Slim's networks: its names, shapes, end points, counts and values."""

import functools

import numpy as np
import pytest
import tensorflow as tf
import tf_slim
from tf_slim.nets import alexnet as slim_alexnet
from tf_slim.nets import inception_v1 as slim_inception_v1
from tf_slim.nets import inception_v2 as slim_inception_v2
from tf_slim.nets import inception_v3 as slim_inception_v3
from tf_slim.nets import overfeat as slim_overfeat
from tf_slim.nets import vgg as slim_vgg

import slimnets
from slimnets import layers
from slimnets.nets import inception, mobilenet_v1, mobilenet_v2, mobilenet_v3
from slimnets.units import cells
from tests.helpers import assert_close, of_each_kind, run_graph, v1
from tests.nets.slim_networks import HEAVY, NAMES, QUICK, size_of, thin_options

pytestmark = pytest.mark.filterwarnings("ignore:.*layer.apply.*")

THEIRS = {
    "vgg_a": slim_vgg.vgg_a,
    "vgg_16": slim_vgg.vgg_16,
    "vgg_19": slim_vgg.vgg_19,
    "alexnet_v2": slim_alexnet.alexnet_v2,
    "overfeat": slim_overfeat.overfeat,
    "inception_v1": slim_inception_v1.inception_v1,
    "inception_v2": slim_inception_v2.inception_v2,
    "inception_v3": slim_inception_v3.inception_v3,
}
# End points of research/slim, which tf_slim 1.1.0 does not have yet.
LATER = {
    "inception_v1": {"AvgPool_0a_7x7"},
    "inception_v2": {"AvgPool_1a", "PreLogits"},
    "inception_v3": {"AvgPool_1a"},
}


EVERY = of_each_kind(NAMES, QUICK)


def function_of(name):
    return slimnets.network_info(name).network


def images_of(name, size=None, batch=None):
    channels = 1 if name == "lenet" else 3
    size = size or size_of(name)
    return v1.placeholder(tf.float32, [batch, size, size, channels])


def described(network, name, scope):
    """Variables, and end points, by name and shape."""
    with tf.Graph().as_default(), tf_slim.arg_scope(scope()):
        _, end_points = network(images_of(name), num_classes=7, is_training=False)
        variables = {v.op.name: v.shape.as_list() for v in v1.global_variables()}
        trainable = [v.op.name for v in v1.trainable_variables()]
    shapes = {key: value.shape.as_list() for key, value in end_points.items()}
    return variables, trainable, shapes


@pytest.mark.parametrize("name", of_each_kind(THEIRS, (*QUICK, "inception_v2")))
def test_variables_and_end_points_are_tf_slims(name):
    function = function_of(name)
    # The scope is slimnets', because TF-Slim's batch_norm no longer runs.
    variables, trainable, shapes = described(THEIRS[name], name, function.arg_scope)
    ours = described(function, name, function.arg_scope)
    assert list(ours[0].items()) == list(variables.items())
    assert ours[1] == trainable
    later = LATER.get(name, set())
    assert {k: v for k, v in ours[2].items() if k not in later} == shapes


BASES = {
    "inception_v1": (slim_inception_v1.inception_v1_base, {}),
    "inception_v2": (slim_inception_v2.inception_v2_base, thin_options("inception_v2")),
    "inception_v3": (slim_inception_v3.inception_v3_base, thin_options("inception_v3")),
}


# hiddenstate_indices of research/slim's nasnet_utils.py and pnasnet.py.
WIRES = {
    cells.NASNET_NORMAL: (0, 1, 1, 1, 0, 1, 1, 1, 0, 0),
    cells.NASNET_REDUCTION: (0, 1, 0, 1, 0, 1, 3, 2, 2, 0),
    cells.PNASNET: (1, 1, 0, 0, 0, 0, 4, 0, 1, 0),
}


def test_cells_are_wired_as_research_slims():
    for cell, wires in WIRES.items():
        assert tuple(state for pair in cell.pairs for _, state in pair) == wires


@pytest.mark.slow
@pytest.mark.parametrize("name", BASES)
def test_every_value_is_tf_slims(name, rng):
    """On the same variables, in training mode, which shows in every later value."""
    theirs, options = BASES[name]
    ours = getattr(inception, f"{name}_base")
    images = rng.normal(size=(2, 95, 79, 3)).astype(np.float32)

    def build():
        with (
            slimnets.arg_scope(inception.inception_arg_scope()),
            v1.variable_scope("net") as scope,
        ):
            _, expected = theirs(images, scope=scope, **options)
            scope.reuse_variables()
            _, actual = ours(images, scope=scope, **options)
        return expected, dict(actual)

    expected, actual = run_graph(build)
    assert list(actual) == list(expected)
    for key, value in expected.items():
        assert_close(actual[key], value, 1e-4)


# Parameters without a head, statistics included, of research/slim's own tests. That of
# MobileNet has no scope open, and so no gammas.
BASE_COUNTS = {
    inception.inception_v1_base: 5_607_184,
    inception.inception_v2_base: 10_173_112,
    inception.inception_v3_base: 21_802_784,
    mobilenet_v1.mobilenet_v1_base: 3_217_920 + 10_944,
}


@pytest.mark.parametrize("base", BASE_COUNTS, ids=lambda base: base.__name__)
def test_bases_have_the_published_number_of_parameters(base):
    with tf.Graph().as_default():
        base(images_of("inception_v1"))
        count = sum(v.shape.num_elements() for v in v1.global_variables())
        assert count == BASE_COUNTS[base]


# Trainable parameters of 1000 classes, and millions of multiply-adds, as timm and
# research/slim's READMEs give them.
PUBLISHED = {
    "pnasnet_large": (86_057_668, None),
    "mobilenet_v1": (4_231_976, 569),
    "mobilenet_v1_025": (None, 41),
    "mobilenet_v2": (3_504_872, 301),
    "mobilenet_v2_140": (6_108_776, 582),
    "mobilenet_v3_small": (2_542_856, None),
    "vgg_16": (138_357_544, 15_470),
    "vgg_19": (143_667_240, 19_632),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_whole_networks_have_the_published_size(name):
    counts = slimnets.network_info(name).counts
    for wanted, actual in zip(
        PUBLISHED[name],
        (counts["trainable"], round(counts["multiply_adds"] / 1e6)),
        strict=True,
    ):
        assert wanted in (None, actual)


# What every network keeps.


@pytest.mark.parametrize("name", EVERY)
def test_every_network_keeps_its_contracts(name):
    function = functools.partial(function_of(name), **thin_options(name))
    assert size_of(name) and function.func.__name__ == name
    assert slimnets.network_info(name).preprocessing
    with tf.Graph().as_default():
        net, end_points = function(images_of(name), num_classes=None, is_training=False)
        assert "Logits" not in end_points and net.shape[-1] > 1
        names = [v.op.name for v in v1.global_variables()]
        assert not [n for n in names if "ogits" in n]
        features = list(end_points)
    with tf.Graph().as_default(), v1.variable_scope("Outer/inner"):
        net, end_points = function(images_of(name), num_classes=5, is_training=False)
        assert net.shape.as_list() == [None, 5]
        assert set(features) <= set(end_points)
        for key in list(end_points):
            assert end_points[f"Outer/inner/{key}"] is end_points[key]
        count = len(v1.global_variables())
        # In training cells have variables of their own, of a second loss.
        options = {"create_aux_logits": False} if "nasnet" in name else {}
        function(
            images_of(name), num_classes=5, is_training=True, reuse=True, **options
        )
        assert len(v1.global_variables()) == count
    with tf.Graph().as_default(), pytest.raises(ValueError, match="known channels"):
        function(v1.placeholder(tf.float32, [1, 32, 32, None]), num_classes=2)
    with tf.Graph().as_default(), pytest.raises(ValueError, match="num_classes=-1"):
        function(images_of(name), num_classes=-1)


def losses_of(name, images):
    """Every kind of logits' loss."""
    logits, end_points = function_of(name)(
        images, num_classes=3, is_training=True, **thin_options(name)
    )
    every = [logits]
    if "AuxLogits" in end_points:
        every.append(end_points["AuxLogits"])
    labels = np.arange(images.shape[0]) % 3
    return [
        tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, each))
        for each in every
    ]


@pytest.mark.parametrize("name", EVERY)
def test_every_variable_that_trains_has_a_gradient(name, rng):
    def build():
        size, channels = size_of(name), 1 if name == "lenet" else 3
        size = size if name in HEAVY or size < 50 else 107
        images = rng.normal(size=(3, size, size, channels)).astype(np.float32)
        loss = tf.add_n(losses_of(name, images))
        variables = v1.trainable_variables()
        gradients = tf.gradients(loss, variables)
        names = [v.op.name for v in variables]
        assert None not in gradients, names[gradients.index(None)]
        return loss, dict(zip(names, gradients, strict=True))

    if name in HEAVY:
        with tf.Graph().as_default():
            build()
        return
    loss, gradients = run_graph(build)
    assert np.isfinite(loss)
    assert not [key for key, value in gradients.items() if not np.any(value)]


@pytest.mark.parametrize("name", ["lenet", "mobilenet_v1"])
def test_is_training_may_be_a_tensor(name, rng):
    size, channels = (28, 1) if name == "lenet" else (64, 3)
    images = rng.normal(size=(2, size, size, channels)).astype(np.float32)

    def build():
        flag = v1.placeholder_with_default(False, [])
        function = functools.partial(
            function_of(name), images, num_classes=3, **thin_options(name)
        )
        asked, _ = function(is_training=flag)
        plain, _ = function(is_training=False, reuse=True)
        return asked, plain

    assert_close(*run_graph(build))


@pytest.mark.parametrize("name", ["inception_v3", "mobilenet_v1", "lenet", "vgg_a"])
def test_get_network_fn_decays_what_the_family_decays(name):
    network_fn = slimnets.get_network_fn(name, 3, weight_decay=0.5)
    with tf.Graph().as_default():
        network_fn(images_of(name), **thin_options(name))
        losses = v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)
        weights = [v.op.name for v in v1.trainable_variables()]
        ends = ("/weights", "/depthwise_weights")
        decayed = [
            n for n in weights if n.endswith(ends[: 1 if "mobile" in name else 2])
        ]
        assert len(losses) == len(decayed)
        scales = {
            loss.op.inputs[1].op.get_attr("value").float_val[0] for loss in losses
        }
        assert scales == {0.5}


@pytest.mark.slow
def test_a_model_of_cells_trains_and_loads(tmp_path, rng):
    options = thin_options("nasnet_cifar")
    images = rng.normal(size=(2, 32, 32, 3)).astype(np.float32)
    model = slimnets.Model("nasnet_cifar", num_classes=3, seed=1, **options)
    logits = model(images)
    trained = model.end_points(images, training=True)
    assert trained["Logits"].shape == trained["AuxLogits"].shape == logits.shape
    again = slimnets.Model("nasnet_cifar", num_classes=3, **options)
    again.build([None, 32, 32, 3])
    assert again.load(model.save(str(tmp_path / "x"))).complete
    assert_close(again(images), model(images))
    with pytest.raises(ValueError, match="create_aux_logits=False"):
        slimnets.Model("nasnet_cifar", num_classes=3, **options).build([1, 8, 8, 3])
    with pytest.raises(ValueError, match="'Cell_9'; allowed are Stem, Cell_0, Red"):
        slimnets.Model("nasnet_cifar", final_endpoint="Cell_9", **options)(images)


# Bases and end points.


@pytest.mark.parametrize(
    ("base", "last"),
    [
        (inception.inception_v1_base, "Mixed_4c"),
        (inception.inception_v2_base, "MaxPool_2a_3x3"),
        pytest.param(inception.inception_v3_base, "Mixed_6e", marks=pytest.mark.slow),
        (mobilenet_v1.mobilenet_v1_base, "Conv2d_5_depthwise"),
        (inception.inception_v4_base, "Mixed_4a"),
        pytest.param(
            inception.inception_resnet_v2_base, "Mixed_5b", marks=pytest.mark.slow
        ),
        (mobilenet_v2.mobilenet_base, "layer_4"),
        (mobilenet_v3.mobilenet_base, "layer_1"),
    ],
)
def test_a_base_ends_where_it_is_told_to(base, last):
    with tf.Graph().as_default():
        net, end_points = base(images_of("inception_v1"), final_endpoint=last)
        whole = [key for key in end_points if "/" not in key]
        assert whole[-1] == last and end_points[last] is net
    with (
        tf.Graph().as_default(),
        pytest.raises(ValueError, match=f"'Mixed_9z'; allowed are .*{last}"),
    ):
        base(images_of("inception_v1"), final_endpoint="Mixed_9z")


def test_depths_are_scaled_and_have_a_least():
    function = function_of("inception_v2")
    for wrong in (0, -1.0):
        with (
            tf.Graph().as_default(),
            pytest.raises(ValueError, match="depth_multiplier"),
        ):
            function(images_of("inception_v2"), depth_multiplier=wrong)
    with tf.Graph().as_default():
        _, end_points = function_of("mobilenet_v1")(
            images_of("mobilenet_v1"), depth_multiplier=0.01, min_depth=6
        )
        assert end_points["Conv2d_13_pointwise"].shape[-1] == 10
        assert end_points["Conv2d_0"].shape[-1] == 6
    scale = function_of("mobilenet_v2").row.scale(0.1)
    assert (scale(16), scale(1280)) == (8, 128)
    for width in (75, 50, 25):
        row = function_of(f"mobilenet_v1_{width:03}").row
        assert row.scale()(1024) == 1024 * width // 100


# Levels.


@pytest.mark.parametrize("name", EVERY)
def test_feature_info_equals_a_built_graph(name):
    down = name in ("lenet", "cifarnet") or name.startswith("vgg")
    heavy = name in HEAVY and not down
    size = size_of(name) if down or heavy else 139
    strides = [None, 8 if size > 50 and name != "nasnet_cifar" else 2]
    for output_stride in strides:
        options = thin_options(name)
        if output_stride:
            options = {**options, "output_stride": output_stride}
        with tf.Graph().as_default():
            _, end_points = function_of(name)(
                images_of(name, size), num_classes=None, is_training=False, **options
            )
        said = dict(options)
        if "min_depth" in said:
            said["min_base_depth"] = said.pop("min_depth")
        infos = slimnets.feature_info(name, **said)
        assert {i.level: i.end_point for i in infos} == end_points.levels
        for info in infos:
            side = size // info.stride if down else -(-size // info.stride)
            shape = end_points[info.level].shape.as_list()
            assert shape[-1] == info.channels
            assert (shape[1] or 0) <= side
            assert not info.exact or shape == [None, side, side, info.channels]
        # Those whose layers all pad.
        inexact = ("inception_v3", "inception_v4", "inception_resnet", "nasnet")
        valid = name.startswith((*inexact, "pnasnet", "alexnet", "overfeat"))
        if output_stride is None and name != "nasnet_cifar":
            assert valid != infos[-1].exact


# distill.pub/2019/computing-receptive-fields, table 1.
FIELDS = {"vgg_16": 212, "mobilenet_v1": 315, "inception_v2": 699}
FIELDS["mobilenet_v2"] = 491  # As computed by several tools, timm among them.


@pytest.mark.parametrize("name", FIELDS)
def test_receptive_fields_as_published(name):
    assert slimnets.feature_info(name)[-1].receptive_field == FIELDS[name]


def test_what_a_network_cannot_do_says_why():
    with pytest.raises(ValueError, match="vgg_16: norm='group'; it has no norms"):
        slimnets.feature_info("vgg_16", norm="group")
    with pytest.raises(ValueError, match=r"reached.* allow \[2, 4, 8, 16, 32\]"):
        slimnets.feature_info("mobilenet_v1", output_stride=5)
    with pytest.raises(TypeError, match="'vgg_16' does not take 'no'"):
        slimnets.feature_info("vgg_16", no=1)


@pytest.mark.parametrize(
    "name",
    ["mobilenet_v1", pytest.param("mobilenet_v2", marks=pytest.mark.slow)],
)
def test_a_denser_output_subsampled_equals_the_nominal_one(name, rng):
    """Of sides that stay odd, where padding is the same on both sides."""
    images = rng.normal(size=(1, 65, 97, 3)).astype(np.float32)
    network = functools.partial(function_of(name), **thin_options(name))

    def build():
        nets = []
        wide = layers.truncated_normal_initializer(0.5)
        convolutions = [layers.conv2d, layers.separable_conv2d]
        with slimnets.arg_scope(convolutions, weights_initializer=wide):
            for stride in (None, 16, 8):
                _, end_points = network(
                    images,
                    num_classes=None,
                    is_training=False,
                    output_stride=stride,
                    reuse=v1.AUTO_REUSE,
                )
                nets.append(end_points[list(end_points.levels.values())[-1]])
        return nets

    nominal, *dense = run_graph(build)
    for stride, value in zip((16, 8), dense, strict=True):
        assert_close(value[:, :: 32 // stride, :: 32 // stride], nominal)


# The separable convolution.


@pytest.mark.parametrize("outputs", [None, 5])
@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"rate": 2}])
def test_the_separable_convolution_is_tf_slims(outputs, options, rng):
    images = rng.normal(size=(2, 9, 8, 3)).astype(np.float32)
    arguments = {"depth_multiplier": 2, "scope": "sep", **options}

    biases = tf.compat.v1.constant_initializer(0.5)

    def build():
        found = []
        for conv, reuse in ((layers.separable_conv2d, None),
                            (tf_slim.separable_conv2d, True)):  # fmt: skip
            with slimnets.arg_scope([conv], biases_initializer=biases):
                net = conv(images, outputs, 3, reuse=reuse, **arguments)
            found.append(net)
        assert {v.op.name for v in v1.global_variables()} <= {
            "sep/depthwise_weights", "sep/pointwise_weights", "sep/biases",
        }  # fmt: skip
        return found

    ours, theirs = run_graph(build)
    assert_close(ours, theirs)


def test_separable_convolutions_with_channels_second_and_wrong_arguments(rng):
    images = rng.normal(size=(2, 9, 8, 3)).astype(np.float32)

    def build():
        first = layers.separable_conv2d(images, 4, 3, scope="s")
        second = layers.separable_conv2d(
            tf.transpose(images, [0, 3, 1, 2]), 4, 3, scope="s", reuse=True,
            data_format="NCHW",
        )  # fmt: skip
        return first, tf.transpose(second, [0, 2, 3, 1])

    assert_close(*run_graph(build))
    for wrong, match in (
        ({"stride": (1, 2)}, "one stride"),
        ({"stride": 2, "rate": 2}, "1 where its rate"),
        ({"padding": "FULL"}, "'SAME' and 'VALID'"),
        ({"data_format": "NHCW"}, "data_format"),
    ):
        with tf.Graph().as_default(), pytest.raises(ValueError, match=match):
            layers.separable_conv2d(images, 4, 3, **wrong)
