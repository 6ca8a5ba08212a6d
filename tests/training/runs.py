"""Tiny networks to train, and what their runs leave."""

import pathlib
import re

import numpy as np
import tensorflow as tf

from slimnets import Block, arg_scope, layers, stack_blocks
from slimnets.checkpoints import read_checkpoint
from slimnets.units import bottleneck_v2


def tiny(inputs, num_classes=None, is_training=False, keep_prob=1.0):
    """Convolution, batch norm, dense: the least that has every kind of variable."""
    with tf.compat.v1.variable_scope("tiny"):
        net = layers.conv2d(
            inputs, 8, 3, normalizer_fn=layers.batch_norm,
            normalizer_params={"is_training": is_training, "decay": 0.9}, scope="conv1",
        )  # fmt: skip
        net = layers.flatten(layers.max_pool2d(net, 2, scope="pool1"))
        net = layers.dropout(net, keep_prob, is_training=is_training)
        return layers.fully_connected(
            net, num_classes, activation_fn=None, scope="logits"
        )


def dropping(inputs, num_classes=None, is_training=False):
    """The same, with dropout."""
    return tiny(inputs, num_classes, is_training, keep_prob=0.7)


def plain(inputs, num_classes=None):
    """One dense layer: no batch norm, whose statistics are of each replica."""
    net = layers.flatten(inputs)
    return layers.fully_connected(net, num_classes, activation_fn=None, scope="logits")


def blocks(inputs, num_classes=None, is_training=False):
    """Two units of a block: what can be recomputed."""
    scope = arg_scope([layers.batch_norm], is_training=is_training, decay=0.9)
    with tf.compat.v1.variable_scope("blocks"), scope:
        net = layers.conv2d(inputs, 8, 3, scope="conv1")
        units = [(8, 4, 2), (16, 4, 1)]
        net = stack_blocks(net, [Block("block1", bottleneck_v2, units)])
        net = tf.reduce_mean(net, [1, 2])
        return layers.fully_connected(
            net, num_classes, activation_fn=None, scope="logits"
        )


NETWORKS = (tiny, dropping, plain, blocks)
for network in NETWORKS:
    network.default_image_size = 8


def final(config):
    """Everything in a run's last checkpoint."""
    return dict(read_checkpoint(config.train_dir))


def saved_step(train_dir):
    """The step of the checkpoint from which a run would go on; 0 without one."""
    state = pathlib.Path(train_dir) / "checkpoint"
    if not state.exists():
        return 0
    return int(re.match(r"model_checkpoint_path: .*-(\d+)", state.read_text())[1])


def assert_identical(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
