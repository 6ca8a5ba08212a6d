"""What tests share: golden data and running graph code."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf

import slimnets

v1 = tf.compat.v1
GOLDEN = pathlib.Path(__file__).parent / "golden"

# One of every kind of unit, root, norm and wiring; what is tried on all networks is
# slow for the others.
KINDS = (
    "resnet_v1_50", "resnet_v2_18", "wrn_16_8", "resnet18", "seresnext50_32x4d",
    "resnetblur50", "keras_resnet50_v2", "bit_r50x1", "tf_efficientnet_b0",
    "mobilenetv4_conv_small", "densenet121", "convnext_tiny", "xception65",
    "pointnet_small", "lenet", "inception_v1", "inception_resnet_v2", "mobilenet_v1",
    "mobilenet_v3_small", "nasnet_cifar",
)  # fmt: skip


def of_each_kind(names, kinds=KINDS):
    """Names as parameters; those that are not among `kinds` are slow."""
    return [
        pytest.param(name, marks=() if name in kinds else pytest.mark.slow)
        for name in names
    ]


def run_graph(build, checkpoint=None, feed=None, seed=0):
    """Builds in a new graph, initializes or restores, and returns the values."""
    with tf.Graph().as_default():
        v1.set_random_seed(seed)
        fetches = build()
        with v1.Session() as session:
            if checkpoint:
                v1.train.Saver().restore(session, str(checkpoint))
            else:
                session.run(v1.global_variables_initializer())
            return session.run(fetches, feed)


def write_png(path, pixels):
    """Writes a picture, and makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tf.io.encode_png(pixels).numpy())


def save_cifar_network(directory, size, num_classes, **metadata):
    """A small network with its metadata as a checkpoint, whose prefix is returned."""
    model = slimnets.Model("resnet_v2_cifar_20", num_classes=num_classes, seed=0)
    model.build([None, size, size, 3])
    prefix = directory / "model.ckpt"
    metadata |= {
        "model_name": "resnet_v2_cifar_20", "num_classes": num_classes,
        "image_size": size, "input_channels": 3, "preprocessing_name": "plain",
    }  # fmt: skip
    slimnets.save_weights(prefix, model, metadata)
    return prefix


def assert_close(actual, desired, rtol=1e-5):
    """Equal to `rtol` of the largest value."""
    desired = np.asarray(desired)
    scale = max(np.abs(desired).max(), 1e-6) if desired.size else 1.0
    np.testing.assert_allclose(actual, desired, rtol=0, atol=rtol * scale)
