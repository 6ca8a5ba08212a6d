"""The two forms of TF-Slim's networks, beside the graphs of golden manifests."""

import inspect

import numpy as np
import pytest
import tensorflow as tf

from slimnets import slim
from slimnets.slim.contrib import nets as contrib_nets
from slimnets.slim.nets import forms
from tests.helpers import run_graph

v1 = tf.compat.v1
nets = slim.nets


def variables(build, *shape):
    """The names of the variables that `build(images)` makes."""
    with tf.Graph().as_default():
        build(tf.zeros([2, *shape]))
        return [v.op.name for v in v1.global_variables()]


def test_a_caller_s_normalizer_is_all_of_the_scope():
    def build(images):
        with slim.arg_scope([slim.conv2d], normalizer_fn=slim.batch_norm):
            nets.resnet_v1.resnet_v1_50(images, 10)
        assert not v1.losses.get_regularization_losses()

    assert len(variables(build, 32, 32, 3)) == 53 * 4 + 2


def test_factory_opens_the_arg_scope():
    network = nets.nets_factory.get_network_fn("vgg_a", 10, weight_decay=0.1)
    with tf.Graph().as_default():
        network(tf.zeros([1, 224, 224, 3]))
        assert len(v1.losses.get_regularization_losses()) == 11


def test_contrib_s_logits_keep_their_position_and_are_always_there():
    with tf.Graph().as_default():
        images = tf.zeros([1, 64, 64, 3])
        logits, end_points = contrib_nets.resnet_v2.resnet_v2_50(images, 10)
        assert logits.shape == (1, 1, 1, 10)
        assert "global_pool" not in list(end_points)
        with pytest.raises(ValueError, match="always has logits"):
            contrib_nets.inception.inception_v1(images, None)


def test_arg_scopes_reach_functions_in_another_order():
    unit = nets.resnet_v1.bottleneck
    with tf.Graph().as_default(), slim.arg_scope([unit], outputs_collections="units"):
        images = tf.zeros([1, 8, 8, 16])
        unit(images, 16, 4, 1)
        slim.arg_scope([unit], scope="other")
        assert len(v1.get_collection("units")) == 1


def test_reordered():
    def function(a, b=1, *, c=2, d=3):
        return a, b, c, d

    other = forms.reordered(function, "c= a d=5")
    assert other(7, 8) == (8, 1, 7, 5)
    assert other(7, 8, 9, b=0) == (8, 0, 7, 9)
    assert list(inspect.signature(other).parameters) == ["c", "a", "d", "b"]
    with pytest.raises(TypeError):
        other(1)


def test_bounded_activations(rng):
    images = (100 * rng.normal(size=(1, 4, 4, 8))).astype(np.float32)
    unit = nets.resnet_v1.bottleneck

    def build():
        images_ = tf.constant(images)
        return unit(images_, 8, 2, 1), unit(
            images_, 8, 2, 1, use_bounded_activations=True
        )

    free, bounded = run_graph(build)
    assert free.max() > 6 >= bounded.max() > 5.9
    assert bounded.min() == 0


def test_channels_first_is_the_same_transposed(rng):
    images = rng.normal(size=(1, 3, 32, 32)).astype(np.float32)
    build_base = nets.inception.inception_v2_base

    def build():
        options = {"use_separable_conv": False, "final_endpoint": "MaxPool_3a_3x3"}
        net, end_points = build_base(images, data_format="NCHW", **options)
        v1.get_variable_scope().reuse_variables()
        last, _ = build_base(
            images.transpose(0, 2, 3, 1), scope="InceptionV2", **options
        )
        assert end_points["Conv2d_1a_7x7"].shape == (1, 64, 16, 16)
        return net, last

    first, last = run_graph(build)
    np.testing.assert_allclose(first, last.transpose(0, 3, 1, 2), rtol=1e-5)
    with pytest.raises(ValueError, match="use_separable_conv=False"):
        build_base(images, data_format="NCHW")


def test_explicit_padding_pads_both_sides(rng):
    """Equal to padding by hand and VALID convolutions."""
    images = rng.normal(size=(1, 8, 8, 3)).astype(np.float32)
    base = nets.mobilenet_v1.mobilenet_v1_base
    defs = [
        nets.mobilenet_v1.Conv([3, 3], 2, 4),
        nets.mobilenet_v1.DepthSepConv(3, 2, 8),
    ]

    def build():
        net, _ = base(
            images, "Conv2d_1_depthwise", conv_defs=defs, use_explicit_padding=True,
            min_depth=1,
        )  # fmt: skip
        dense, depthwise = (v for v in v1.trainable_variables() if "weights" in v.name)
        sides = [[0, 0], [1, 1], [1, 1], [0, 0]]
        x = tf.nn.conv2d(tf.pad(tf.constant(images), sides), dense, 2, "VALID")
        x = tf.pad(tf.nn.relu(x), sides)
        x = tf.nn.depthwise_conv2d(x, depthwise, [1, 2, 2, 1], "VALID")
        return net, tf.nn.relu(x)

    got, wanted = run_graph(build)
    np.testing.assert_allclose(got, wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("version", "name", "listed"),
    [
        ("mobilenet_v2", "mobilenet", "V2_DEF"),
        ("mobilenet_v3", "small", "V3_SMALL"),
        ("mobilenet_v3", "large_minimalistic", "V3_LARGE_MINIMALISTIC"),
        ("mobilenet_v3", "edge_tpu", "V3_EDGETPU"),
    ],
)
def test_lists_of_operations_are_the_rows(version, name, listed):
    module = getattr(nets.mobilenet, version)
    row = getattr(module, name)

    def structure(**options):
        with tf.Graph().as_default():
            _, end_points = row(tf.zeros([1, 64, 64, 3]), 10, 0.5, **options)
            variables = [v.op.name for v in v1.global_variables()]
        return variables, {
            key: (value.shape.as_list(), value.op.name)
            for key, value in end_points.items()
        }

    assert structure(conv_defs=getattr(module, listed)) == structure()


def test_an_inception_resnet_s_activation_is_that_of_its_sums():
    with tf.Graph().as_default() as graph:
        options = {"activation_fn": tf.nn.elu, "create_aux_logits": False}
        build = nets.inception_resnet_v2.inception_resnet_v2
        build(tf.zeros([1, 75, 75, 3]), 5, False, repeats=(1, 1, 1), **options)
        kinds = [node.type for node in graph.get_operations()]
    assert kinds.count("Elu") == 3  # Block8, the last one, has none.
    assert kinds.count("Relu") == sum(kind == "Conv2D" for kind in kinds) - 4


def test_mode_by_default_is_inference_and_told():
    for module in (nets.mobilenet.mobilenet_v2, nets.mobilenet.mobilenet_v3):
        assert "Inference mode is created by default" in module.mobilenet.__doc__
    with tf.Graph().as_default():
        nets.mobilenet.mobilenet_v2.mobilenet(tf.zeros([1, 32, 32, 3]), 10)
        assert not v1.get_collection(v1.GraphKeys.UPDATE_OPS)


def test_scope_of_depths_reaches_rows():
    lib, module = nets.mobilenet.mobilenet, nets.mobilenet.mobilenet_v2
    with tf.Graph().as_default(), slim.arg_scope([lib.depth_multiplier], min_depth=32):
        images = tf.zeros([1, 32, 32, 3])
        net, end_points = module.mobilenet_base(images, 0.01)
        assert net.shape[-1] == end_points["layer_3"].shape[-1] == 32


def test_configs_are_set_by_name():
    config = nets.nasnet.nasnet.cifar_config()
    config.set_hparam("num_cells", 6)
    config.set_hparam("data_format", "NCHW")
    with pytest.raises(KeyError, match="num_conv_filters"):
        config.set_hparam("filters", 1)
    with tf.Graph().as_default():
        build = nets.nasnet.build_nasnet_cifar
        _, end_points = build(tf.zeros([1, 16, 16, 3]), 10, False, config)
        assert end_points["Cell_5"].shape[2:] == (4, 4)
        assert end_points["Logits"].shape == (1, 10)


def test_whole_floats_are_sizes():
    build = nets.mobilenet_v1.mobilenet_v1
    names = variables(lambda x: build(x, 10.0, min_depth=8.0), 32, 32, 3)
    assert names == variables(lambda x: build(x, 10, min_depth=8), 32, 32, 3)
    with pytest.raises(ValueError, match=r"10\.5"):
        variables(lambda x: build(x, 10.5), 32, 32, 3)
