"""Networks and parts of research/slim that slimnets has not as rows.

Values are TensorFlow 1.15's; see tests/golden/README.md.
"""

import importlib

import numpy as np
import pytest
import tensorflow as tf

from slimnets import layers, slim
from slimnets.nets import mobilenet_v3
from slimnets.rows.mobilenet import training_scope
from slimnets.slim.research.nets import MODULES, cyclegan, dcgan, i3d_utils, pix2pix
from slimnets.slim.research.nets import s3dg as videos
from slimnets.slim.research.nets.mobilenet import conv_blocks, mobilenet
from slimnets.slim.research.nets.nasnet import nasnet_utils
from slimnets.units.inverted import hard_gate, hard_swish
from tests.helpers import assert_close, run_graph, v1
from tests.nets.test_research_numbers import FIELDS, assert_digests
from tests.slim.research_slim import PICTURES, initialize
from tests.slim.test_research_slim import MANIFESTS, case_of

QUICK = [f"pictures/{name}/inference" for name in PICTURES]
SLOW = [
    *(f"pictures/{name}/training" for name in PICTURES),
    *(f"factory/i3d/{form}" for form in ("training", "inference", "options_0")),
    *(
        f"factory/s3dg/{form}"
        for form in ("training", "inference", "options_0", "options_1")
    ),
]


@pytest.mark.parametrize(
    "key", [*QUICK, *(pytest.param(key, marks=pytest.mark.slow) for key in SLOW)]
)
def test_variables_and_values_are_the_reference_s(key):
    case, wanted = case_of(*key.split("/")), MANIFESTS[key]
    found, numbers = case.structure(), case.numbers()
    # Zero debiasing updates a mean's three variables one by one, TF-Slim at once.
    debiased = key.startswith("pictures/dcgan") and case.form == "training"
    for field in FIELDS[:-1] if debiased else FIELDS:
        assert found[field] == wanted[field], field
    assert found["end_points"] == wanted["end_points"]
    assert found["output"] == wanted["output"]
    # Statistics of few positions pass on how sums were rounded.
    tolerance = 1e-3 if key.endswith("training") else 1e-4
    assert_digests(numbers, wanted["numbers"], tolerance)


@pytest.mark.parametrize("path", MODULES)
def test_modules_are_found_by_research_slims_paths(path):
    module = importlib.import_module(f"slimnets.slim.nets.{path}")
    assert module.__name__ == f"slimnets.slim.research.nets.{path}"
    found = slim.nets
    for name in path.split("."):
        found = getattr(found, name)
    assert found is module


def test_packages_have_slimnets_modules_too():
    mobilenets = importlib.import_module("slimnets.slim.nets.mobilenet")
    assert mobilenets.mobilenet_v2 is slim.nets.mobilenet_v2
    nasnets = importlib.import_module("slimnets.slim.nets.nasnet")
    assert nasnets.pnasnet is slim.nets.pnasnet
    assert nasnets.nasnet.build_nasnet_cifar is nasnets.build_nasnet_cifar


def test_the_factory_has_the_networks_of_videos():
    factory = slim.nets.nets_factory
    assert {"i3d", "s3dg", "resnet_v1_50"} <= set(factory.networks_map)
    network_fn = factory.get_network_fn("s3dg", 3, weight_decay=0.5)
    assert network_fn.default_image_size == 224
    with tf.Graph().as_default():
        logits, _ = network_fn(
            v1.placeholder(tf.float32, [1, 8, 32, 32, 3]), depth_multiplier=0.1
        )
        assert logits.shape == [1, 3]
        losses = v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)
        names = [v.op.name for v in v1.trainable_variables()]
        weights = [name for name in names if name.endswith("/weights")]
        assert len(losses) == len(weights) > 50
        assert not v1.get_collection(v1.GraphKeys.UPDATE_OPS)
    with pytest.raises(ValueError, match="Unknown network 's3d'"):
        factory.get_network_fn("s3d", 3)


def test_videos_may_have_channels_second(rng):
    clips = rng.normal(size=(1, 8, 32, 32, 3)).astype(np.float32)

    def build():
        options = {"num_classes": 5, "depth_multiplier": 0.1, "is_training": False}
        last, _ = videos.s3dg(tf.constant(clips), **options)
        second = tf.constant(np.moveaxis(clips, -1, 1))
        first, _ = videos.s3dg(second, data_format="NCDHW", reuse=True, **options)
        return last, first

    assert_close(*run_graph(build))


def test_a_separable_kernel_over_frames_begins_as_none(rng):
    clips = rng.normal(size=(1, 4, 6, 6, 3)).astype(np.float32)

    def build():
        options = {"num_outputs": 4, "activation_fn": tf.nn.relu, "scope": "conv"}
        both = i3d_utils.conv3d_spatiotemporal(
            clips, kernel_size=[3, 3, 3], separable=True, **options
        )
        names = [v.op.name for v in v1.trainable_variables()]
        assert "conv/temporal/weights" in names
        weights = {v.op.name: v for v in v1.trainable_variables()}
        same = tf.nn.conv3d(clips, weights["conv/weights"], [1] * 5, "SAME")
        return both, tf.nn.relu(same)

    assert_close(*run_graph(build))


def _definitions(kind):
    """The layers of a MobileNet v3 as a list of research/slim's operations."""
    op, by = mobilenet.op, conv_blocks.expand_input_by_factor
    plain = {"activation_fn": tf.nn.relu}
    swish = {"activation_fn": hard_swish} if "_" not in kind else plain

    def squeezed(expansion_tensor, input_tensor):
        return conv_blocks.squeeze_excite(
            expansion_tensor, squeeze_factor=4, gating_fn=hard_gate
        )

    spec = [op(layers.conv2d, stride=2, num_outputs=16, kernel_size=(3, 3), **swish)]
    for expansion, depth, kernel, stride, squeeze, hard in mobilenet_v3.UNITS[kind]:
        spec.append(
            op(
                conv_blocks.expanded_conv,
                expansion_size=by(expansion),
                kernel_size=(kernel, kernel),
                stride=stride,
                num_outputs=depth,
                inner_activation_fn=hard_swish if hard else tf.nn.relu,
                expansion_transform=squeezed if squeeze else None,
            )
        )
    last = mobilenet_v3.LAST[kind.partition("_")[0]][0]
    spec.append(op(layers.conv2d, kernel_size=[1, 1], num_outputs=last, **swish))
    norm = {"normalizer_fn": layers.batch_norm}
    defaults = {
        (conv_blocks.expanded_conv,): norm,
        (layers.conv2d, layers.separable_conv2d): {**norm, **plain},
        (layers.batch_norm,): {"center": True, "scale": True},
    }
    return {"defaults": defaults, "spec": spec}


@pytest.mark.parametrize("output_stride", [None, 8])
def test_a_list_of_operations_is_the_row(output_stride, rng):
    images = rng.normal(size=(1, 65, 65, 3)).astype(np.float32)

    def build(kind, of_rows):
        graph = tf.Graph()
        with graph.as_default(), slim.arg_scope(training_scope()):
            options = {"output_stride": output_stride, "base_only": True}
            name = f"layer_{len(mobilenet_v3.UNITS[kind]) + 2}"
            if of_rows:
                network = getattr(mobilenet_v3, kind)
                net, end_points = network(
                    images, depth_multiplier=0.5, final_endpoint=name,
                    is_training=False, **options,
                )  # fmt: skip
            else:
                net, end_points = mobilenet.mobilenet(
                    tf.constant(images), conv_defs=_definitions(kind), multiplier=0.5,
                    scope="MobilenetV3", is_training=False, **options,
                )  # fmt: skip
            variables = [(v.op.name, v.shape.as_list()) for v in v1.global_variables()]
            with v1.Session() as session:
                initialize(session)
                return variables, set(end_points), session.run(net)

    row, listed = (build("small", of_rows) for of_rows in (True, False))
    assert listed[:2] == row[:2]
    assert_close(listed[2], row[2])


def test_parts_of_a_split_convolution_see_their_own_channels(rng):
    assert conv_blocks.split_divisible(48, 4) == [16, 8, 16, 8]
    with pytest.raises(ValueError, match="16 cannot be split in 3 parts"):
        conv_blocks.split_divisible(16, 3)
    values = rng.normal(size=(1, 4, 4, 16)).astype(np.float32)

    def build():
        images = tf.constant(values)
        net = conv_blocks.split_conv(images, 32, 2, "conv", activation_fn=None)
        first, second = (
            tf.nn.conv2d(images[..., i * 8 : i * 8 + 8], weights, 1, "SAME")
            for i, weights in enumerate(v1.trainable_variables()[::2])
        )
        return net, tf.concat([first, second], -1)

    assert_close(*run_graph(build))


@pytest.mark.parametrize("filters", [4, 5])
def test_a_factorized_reduction_sees_every_second_pixel_and_those_between(filters, rng):
    images = rng.normal(size=(1, 6, 6, 3)).astype(np.float32)
    reduction = nasnet_utils.factorized_reduction

    def build():
        with slim.arg_scope(
            [layers.conv2d], activation_fn=None, biases_initializer=None
        ):
            with slim.arg_scope([reduction], data_format="NHWC"):
                net = reduction(images, filters, 2)
            one, two = (v for v in v1.trainable_variables() if "weights" in v.op.name)
            with (
                v1.variable_scope(v1.get_variable_scope(), reuse=True),
                slim.arg_scope([layers.conv2d, layers.batch_norm], data_format="NCHW"),
            ):
                second = reduction(np.moveaxis(images, -1, 1), filters, 2, "NCHW")
        parts = [images[:, ::2, ::2] @ one[0], images[:, 1::2, 1::2] @ two[0]]
        expected = layers.batch_norm(tf.concat(parts, -1), scope="again")
        return net, tf.transpose(second, [0, 2, 3, 1]), expected

    net, second, expected = run_graph(build)
    assert net.shape == (1, 3, 3, filters)
    assert_close(net, expected)
    assert_close(second, expected)
    with pytest.raises(ValueError, match="data_format='null'"):
        reduction(images, filters, 2)
    with pytest.raises(ValueError, match="four dimensions"):
        nasnet_utils.get_channel_dim([1, 2], "NHWC")


def test_blocks_of_inception_resnet_have_the_networks_variables():
    module = slim.nets.inception_resnet_v2
    for name, depth in (("block35", 320), ("block17", 1088), ("block8", 2080)):
        with tf.Graph().as_default():
            images = v1.placeholder(tf.float32, [1, 5, 5, depth])
            net = getattr(module, name)(images, scale=0.5, activation_fn=tf.nn.relu6)
            assert net.shape == images.shape
            shapes = {v.op.name: v.shape.as_list() for v in v1.global_variables()}
            kinds = {node.type for node in v1.get_default_graph().get_operations()}
        full = f"{name.title()}/Branch_0/Conv2d_1x1/weights"
        assert shapes[full][2] == depth
        assert {"Minimum", "Relu6"} <= kinds


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: dcgan.generator(tf.zeros([3, 2]), final_size=30), "power of 2"),
        (lambda: dcgan.generator(tf.zeros([3, 2]), final_size=4), "or 8"),
        (lambda: dcgan.discriminator(tf.zeros([5, 32, 16, 3])), "equal width"),
        (lambda: dcgan.discriminator(tf.zeros([5, 30, 30, 3])), "not a power of 2"),
        (
            lambda: cyclegan.cyclegan_generator_resnet(tf.zeros([1, 30, 32, 3])),
            "height must be a multiple of 4; got 30",
        ),
        (
            lambda: cyclegan.cyclegan_upsample(tf.zeros([1, 4, 4, 3]), 3, [2, 2], "x"),
            "method='x'",
        ),
        (lambda: pix2pix.upsample(tf.zeros([1, 4, 4, 3]), 3, [2, 2], "x"), "method"),
        (
            lambda: videos.s3dg_base(tf.zeros([1, 8, 32, 32, 3]), final_endpoint="x"),
            "endpoint x; allowed are Conv2d_1a_7x7, MaxPool_2a_3x3",
        ),
        (
            lambda: videos.s3dg_base(tf.zeros([1, 8, 32, 32, 3]), 4),
            "first_temporal_kernel_size=4",
        ),
        (lambda: i3d_utils.center_initializer()([2, 1, 1, 3, 3]), "odd"),
        (lambda: i3d_utils.center_initializer()([3, 1, 1, 3, 4]), "frames, 1, 1"),
    ],
)
def test_what_is_not_allowed_says_what_is(call, words):
    with tf.Graph().as_default(), pytest.raises(ValueError, match=words):
        call()
