"""Code of TF-Slim's time begins with disable_v2_behavior(): shapes are of Dimensions.

A `Dimension` is no number: it has no `*` with a float, is always true, and is not None
where a size is unknown. What is built must be the same.
"""

from __future__ import annotations

import pytest
import tensorflow as tf

import slimnets
from slimnets import layers, necks

NETWORKS = {"mobilenet_v3_small": 64, "cifarnet": 32, "lenet": 28}


@pytest.fixture
def dimensions():
    tf.compat.v1.disable_v2_tensorshape()
    yield
    tf.compat.v1.enable_v2_tensorshape()


def variables_of(name: str, shape: list[int | None], **kwargs) -> dict[str, list]:
    with tf.Graph().as_default():
        images = tf.compat.v1.placeholder(tf.float32, shape)
        net, _ = slimnets.build(name, images, num_classes=3, **kwargs)
        assert net.shape.as_list() == [shape[0], 3]
        return {
            variable.op.name: variable.shape.as_list()
            for variable in tf.compat.v1.global_variables()
        }


def check_network(name: str, size: int, **kwargs) -> None:
    """The same variables from Dimensions as from ints."""
    shape = [None, size, size, 3]
    made = variables_of(name, shape, is_training=False, **kwargs)
    tf.compat.v1.enable_v2_tensorshape()
    assert made == variables_of(name, shape, is_training=False, **kwargs)


@pytest.mark.parametrize("name, size", NETWORKS.items())
def test_network_of_dimensions_is_that_of_ints(dimensions, name, size):
    check_network(name, size)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, kwargs",
    [
        ("seresnet50", {}),
        ("resnetrs50", {}),
        ("inception_v3", {"create_aux_logits": True}),
        ("inception_v4", {"create_aux_logits": True}),
        ("inception_resnet_v2", {"create_aux_logits": True}),
        ("nasnet_mobile", {"create_aux_logits": True}),
    ],
)
def test_large_network_of_dimensions_is_that_of_ints(dimensions, name, kwargs):
    check_network(name, slimnets.network_info(name).default_image_size, **kwargs)


@pytest.mark.parametrize("batch", [2, None])
def test_layers_take_dimensions(dimensions, batch):
    with tf.Graph().as_default():
        net = tf.compat.v1.placeholder(tf.float32, [batch, 8, 8, 4])
        # Old code takes sizes from shapes as they are.
        net = layers.conv2d(net, net.shape[-1], 3)
        net = layers.separable_conv2d(net, net.shape[-1], 3)
        net = layers.squeeze_excite(net)
        net = layers.batch_norm(net, is_training=True)
        net = layers.group_norm(net, groups=2)
        net = layers.flatten(layers.max_pool2d(net, 2))
        net = layers.fully_connected(net, net.shape[1])
    assert net.shape.as_list() == [batch, 64]


def test_unknown_sizes_of_a_dimension(dimensions):
    with tf.Graph().as_default():
        images = tf.compat.v1.placeholder(tf.float32, [None, None, None, 3])
        net, _ = slimnets.build("alexnet_v2", images, num_classes=3, global_pool=True)
        assert net.shape.as_list() == [None, 3]
        images = tf.compat.v1.placeholder(tf.float32, [None, None, 4])
        assert layers.flatten(images).shape.as_list() == [None, None]


def test_necks_take_dimensions(dimensions):
    with tf.Graph().as_default():
        backbone = {
            level: tf.compat.v1.placeholder(tf.float32, [None, size, None, 8])
            for level, size in (("C2", 16), ("C3", 8), ("C4", 4))
        }
        pyramid = necks.feature_pyramid(backbone, 8, max_level=4)
        path = necks.path_aggregation(pyramid)
    assert [net.shape.as_list()[1:] for net in path.values()] == [
        [16, None, 8],
        [8, None, 8],
        [4, None, 8],
    ]


def test_point_clouds_take_dimensions(dimensions):
    with tf.Graph().as_default():
        points = tf.compat.v1.placeholder(tf.float32, [None, 64, 3])
        net, _ = slimnets.build("pointnet_small", points, num_classes=3)
    assert net.shape.as_list() == [None, 3]
