"""Losses against TensorFlow's own on labels written out; auxiliary heads."""

import numpy as np
import pytest
import tensorflow as tf

from slimnets import factory, layers
from slimnets.training import losses, train
from slimnets.training.losses import sigmoid_cross_entropy, softmax_cross_entropy

LABELS = np.array([0, 1, 2, 3, 4, 0])
ONE_HOT = np.eye(5, dtype=np.float32)[LABELS]


@pytest.fixture
def logits(rng):
    return rng.normal(size=[6, 5]).astype(np.float32)


@pytest.mark.parametrize("labels", [LABELS, ONE_HOT], ids=["numbers", "weights"])
def test_smoothed_cross_entropy_is_that_of_smoothed_labels(logits, labels):
    smooth = 0.8 * ONE_HOT + 0.2 / 5
    expected = tf.nn.softmax_cross_entropy_with_logits(smooth, logits)
    actual = softmax_cross_entropy(labels, logits, 0.2)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)
    with pytest.raises(ValueError, match="label_smoothing"):
        softmax_cross_entropy(labels, logits, 1.0)


def test_soft_labels_weigh_classes(logits):
    mixed = 0.3 * ONE_HOT + 0.7 * ONE_HOT[::-1]
    parts = [softmax_cross_entropy(x, logits) for x in (LABELS, LABELS[::-1])]
    expected = 0.3 * parts[0] + 0.7 * parts[1]
    np.testing.assert_allclose(
        softmax_cross_entropy(mixed, logits), expected, rtol=1e-5
    )
    hits = losses.hits(mixed, ONE_HOT)
    np.testing.assert_allclose(hits, np.sum(mixed * ONE_HOT, axis=1), rtol=1e-6)


@pytest.mark.parametrize("labels", [LABELS, ONE_HOT], ids=["numbers", "weights"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_sigmoid_loss_is_one_of_two_classes_for_each(logits, labels, smoothing):
    targets = ONE_HOT * (1 - smoothing) + smoothing / 2
    share = 1 / (1 + np.exp(-logits))
    expected = -(targets * np.log(share) + (1 - targets) * np.log(1 - share)).sum(1)
    actual = sigmoid_cross_entropy(labels, logits, smoothing)
    np.testing.assert_allclose(actual, expected, rtol=1e-4)


def test_sigmoid_loss_trains_and_measures_every_class(config):
    run = config(loss="sigmoid", max_number_of_steps=60, learning_rate=0.01)
    evaluation = train(run, show=False).evaluation
    assert evaluation.confusion is None and evaluation.by_class.shape == (10, 3)
    assert evaluation.by_class[:, 2].sum() == evaluation.total == 360
    assert evaluation.summaries["test_precision"] > 0.7


def _with_head(inputs, num_classes=None, is_training=False):
    with tf.compat.v1.variable_scope("headed"):
        net = layers.conv2d(inputs, 4, 3, scope="conv1")
        net = layers.flatten(net)
        dense = {"activation_fn": None, "biases_initializer": None}
        logits = layers.fully_connected(net, num_classes, scope="logits", **dense)
        other = layers.fully_connected(net, num_classes, scope="AuxLogits", **dense)
    return logits, {"AuxLogits": other}


def test_an_auxiliary_head_trains_by_its_weight(config, monkeypatch):
    info = factory.NetworkInfo("headed", _with_head, default_image_size=8)
    monkeypatch.setitem(factory._NETWORKS, "headed", info)
    options = {"model_name": "headed", "max_number_of_steps": 1, "optimizer": "sgd",
               "weight_decay": 0.0, "learning_rate_decay_type": "fixed"}  # fmt: skip
    moved = {}
    for weight in (0.0, 0.5, 1.0):
        run = config(f"{weight}", auxiliary_loss_weight=weight, **options)
        model = train(run, show=False).model
        values = {n: v.numpy() for n, v in model.variables_by_name.items()}
        moved[weight] = values["headed/AuxLogits/weights"]
    start = moved[0.0]
    np.testing.assert_allclose(
        moved[1.0] - start, 2 * (moved[0.5] - start), rtol=1e-3, atol=1e-7
    )
    assert np.abs(moved[1.0] - start).max() > 1e-4


def test_an_auxiliary_loss_without_a_head_is_refused(config):
    for name in ("tiny", "plain"):
        run = config(name, auxiliary_loss_weight=0.3, model_name=name)
        with pytest.raises(ValueError, match="has no end point AuxLogits"):
            train(run, show=False)
