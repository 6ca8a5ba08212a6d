"""A run's checkpoint restores in plain TensorFlow code that never saw slimnets."""

import subprocess
import sys

import numpy as np
import pytest

import slimnets
from slimnets.checkpoints import convert_weights
from slimnets.training import evaluate_checkpoint, train
from slimnets.training.training_config import TrainingConfig

# A 20-layer network of arXiv:1512.03385, section 4.2, written out by hand.
PLAIN = """
import sys
import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
v1.disable_eager_execution()
prefix, images_path, logits_path = sys.argv[1:]


def conv(net, depth, size, stride=1, relu=True):
    weights = v1.get_variable("weights", [size, size, net.shape[-1], depth])
    if stride > 1:
        net = tf.pad(net, [[0, 0], [1, 1], [1, 1], [0, 0]])
    padding = "VALID" if stride > 1 else "SAME"
    net = tf.nn.conv2d(net, weights, stride, padding)
    with v1.variable_scope("BatchNorm"):
        gamma, beta, mean, variance = (
            v1.get_variable(name, [depth])
            for name in ("gamma", "beta", "moving_mean", "moving_variance")
        )
    net = tf.nn.batch_normalization(net, mean, variance, beta, gamma, 1e-5)
    return tf.nn.relu(net) if relu else net


images = np.load(images_path)
net = tf.constant(images)
with v1.variable_scope("resnet_v1_cifar_20"):
    with v1.variable_scope("conv1"):
        net = conv(net, 16, 3)
    for block, depth in enumerate((16, 32, 64), start=1):
        for unit in (1, 2, 3):
            stride = 2 if block > 1 and unit == 1 else 1
            with v1.variable_scope(f"block{block}/unit_{unit}/basic_v1"):
                shortcut = net[:, ::stride, ::stride]
                extra = depth - net.shape[-1]
                shortcut = tf.pad(shortcut, [[0, 0], [0, 0], [0, 0], [0, extra]])
                with v1.variable_scope("conv1"):
                    net = conv(net, depth, 3, stride)
                with v1.variable_scope("conv2"):
                    net = tf.nn.relu(shortcut + conv(net, depth, 3, relu=False))
    net = tf.reduce_mean(net, [1, 2], keepdims=True)
    with v1.variable_scope("logits"):
        weights = v1.get_variable("weights", [1, 1, 64, 10])
        net = tf.nn.conv2d(net, weights, 1, "SAME")[:, 0, 0]
        net += v1.get_variable("biases", [10])
with v1.Session() as session:
    v1.train.Saver().restore(session, prefix)
    np.save(logits_path, session.run(net))
assert "slimnets" not in sys.modules
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = TrainingConfig(
        model_name="resnet_v1_cifar_20",
        train_dir=str(tmp_path_factory.mktemp("run")),
        dataset_name="digits",
        train_image_size=8,
        max_number_of_steps=3,
        batch_size=32,
    )
    return train(config, show=False)


def test_plain_tensorflow_restores_a_run(run, tmp_path, rng):
    images = rng.normal(size=(3, 8, 8, 1)).astype(np.float32)
    np.save(tmp_path / "images.npy", images)
    subprocess.run(
        [sys.executable, "-c", PLAIN, run.checkpoint,
         tmp_path / "images.npy", tmp_path / "logits.npy"],
        check=True,
        cwd=tmp_path,
        env={"TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    logits = np.load(tmp_path / "logits.npy")
    np.testing.assert_allclose(logits, run.model(images), rtol=0, atol=1e-4)


@pytest.mark.parametrize("offset", [0, 1])
def test_a_converted_file_is_evaluated_by_what_lies_beside_it(tmp_path, offset):
    """Nobody repeats the network, its options, the dataset or the background class."""
    model = slimnets.Model("resnet18", num_classes=10 + offset, depth_multiplier=0.125)
    model.build([None, 16, 16, 1])
    metadata = {"dataset_name": "digits", "image_size": 16, "labels_offset": offset}
    prefix = model.save(tmp_path / "slim", metadata=metadata)
    there = tmp_path / "x.safetensors"
    convert_weights(prefix, there)
    first, _ = evaluate_checkpoint(prefix)
    second, found = evaluate_checkpoint(there)
    assert found == str(there) and first.correct == second.correct
    bias = model.variable_by_name("resnet18/logits/biases")
    bias.assign(1e6 * np.eye(10 + offset)[3 + offset])
    threes, _ = evaluate_checkpoint(model.save(tmp_path / "three", metadata=metadata))
    assert 30 < threes.correct < 42  # Every image is called a three.
