"""A teacher: what the student's loss is, and that it comes to agree."""

import os

import numpy as np
import pytest
import tensorflow as tf

from slimnets import factory, layers
from slimnets.data import digits
from slimnets.end_points import EndPoints
from slimnets.export.checkpoint import export_trained
from slimnets.trained import open_trained
from slimnets.training import losses, train
from slimnets.training.distillation import (
    Teacher,
    attention,
    attention_loss,
    distillation_loss,
)
from slimnets.training.task import Classification
from tests.training.runs import assert_identical, final


@pytest.fixture
def teacher(config):
    run = config("teacher", max_number_of_steps=40)
    train(run, show=False)
    return run


def test_the_loss_is_the_divergence_and_0_where_they_agree(rng):
    logits = rng.normal(size=(2, 5, 4)).astype(np.float32)
    p, q = (tf.nn.softmax(part / 3.0).numpy() for part in logits)
    expected = 9 * np.sum(p * np.log(p / q), axis=1)
    np.testing.assert_allclose(distillation_loss(*logits, 3.0), expected, rtol=1e-4)
    np.testing.assert_allclose(distillation_loss(logits[0], logits[0], 3.0), 0.0)


def test_both_losses_have_their_share(config, teacher):
    run = config(teacher=teacher.train_dir, teacher_weight=0.25, model_name="plain",
                 teacher_temperature=2.0)  # fmt: skip
    task = Classification()
    task.make_network(run)
    images, labels = digits.load("test")
    images = tf.constant(images[:6] / 8.0 - 1.0, tf.float32)
    targets = task.targets(images, tf.constant(labels[:6], tf.int64))
    logits = tf.random.stateless_normal([6, 10], [0, 1])
    taught = open_trained(teacher.train_dir).model(images)
    expected = 0.75 * losses.softmax_cross_entropy(targets[0], logits)
    expected += 0.25 * distillation_loss(taught, logits, 2.0)
    found, shown = task.losses(run, targets, logits)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert shown["train_accuracy"].shape == [6]


def test_a_student_comes_to_agree_with_a_teacher_that_stays(config, teacher, tmp_path):
    before = final(teacher)
    exported = [tmp_path / "teacher_as_graph.pb", tmp_path / "teacher_in_keras.keras"]
    for path, format in zip(exported, ("frozen_graph", "keras"), strict=True):
        export_trained(open_trained(teacher.train_dir), path, format=format)
    images, _ = digits.load("test")
    images = tf.constant(images / 8.0 - 1.0, tf.float32)
    wanted = np.argmax(open_trained(teacher.train_dir).model(images), axis=1)
    for path in (teacher.train_dir, *map(str, exported)):
        run = config(f"student {len(path)}", teacher=path, teacher_weight=1.0,
                     model_name="plain", max_number_of_steps=60)  # fmt: skip
        model = train(run, show=False).model
        assert np.mean(np.argmax(model(images), axis=1) == wanted) > 0.85
    assert_identical(before, final(teacher))


def staged(inputs, num_classes=None, is_training=False, depth=4, stride=1):
    """Two convolutions that are found by name, and where the digit lies."""
    del is_training
    ends = EndPoints(scope="staged")
    with tf.compat.v1.variable_scope("staged"):
        net = layers.conv2d(
            inputs, depth, 3, stride, scope="conv1", outputs_collections=ends
        )
        net = layers.conv2d(net, depth, 3, scope="conv2", outputs_collections=ends)
        net = ends["flat"] = layers.flatten(net)
        logits = layers.fully_connected(
            net, num_classes, activation_fn=None, scope="logits"
        )
    return logits, ends


def wide(inputs, num_classes=None, is_training=False):
    return staged(inputs, num_classes, is_training, depth=8, stride=2)


@pytest.fixture
def stages(config, monkeypatch):
    """A wide teacher for `staged`."""
    for network in (staged, wide):
        info = factory.NetworkInfo(network.__name__, network, default_image_size=8)
        monkeypatch.setitem(factory._NETWORKS, network.__name__, info)
    run = config("wide", model_name="wide", max_number_of_steps=20)
    train(run, show=False)
    return run.train_dir


def test_attention_is_the_papers(rng):
    """Zagoruyko & Komodakis, equations 1 and 2, as their code has it in numpy."""
    ours, theirs = rng.normal(size=(2, 3, 4, 4, 5)).astype(np.float32)

    def flat(values):
        rows = np.mean(values**2, -1).reshape(3, -1)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    np.testing.assert_allclose(
        np.reshape(attention(ours), [3, -1]), flat(ours), rtol=1e-5
    )
    found = attention_loss(attention(theirs), attention(ours))
    expected = 0.5 * np.mean((flat(ours) - flat(theirs)) ** 2, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    # Twice as large, each place four times: the same attention.
    large = np.repeat(np.repeat(theirs, 2, 1), 2, 2)
    again = attention_loss(attention(large), attention(ours))
    np.testing.assert_allclose(again, expected, rtol=1e-4)
    same = attention_loss(attention(ours), attention(3 * ours))
    np.testing.assert_allclose(same, 0, atol=1e-12)


def test_end_points_come_to_be_strong_where_the_teachers_are(config, stages):
    """Of another depth and stride, and of no loss but that of the end points."""
    images = tf.constant(digits.load("test")[0] / 8.0 - 1.0, tf.float32)
    apart = []
    for weight in (0.0, 1e3):
        run = config(
            f"taught {weight}", model_name="staged", teacher=stages, optimizer="adam",
            learning_rate=0.01, max_number_of_steps=60, teacher_weight=0.0,
            teacher_end_points=["conv1", "staged/conv2=conv2"],
            teacher_end_points_weight=weight,
        )  # fmt: skip
        ours = train(run, show=False).model.end_points(images)
        theirs = open_trained(stages).model.end_points(images)
        both = [attention(ends["staged/conv2"]) for ends in (theirs, ours)]
        apart.append(np.mean(attention_loss(*both)))
    assert apart[1] < 0.5 * apart[0], apart


NOT_THERE = {
    "conv9": "No end point 'conv9'. Nearest: 'staged/conv",
    "conv1=conv9": "No end point 'conv9'. Nearest: 'staged/conv",
    "C4": "has no level 'C4'",
    "flat": "flat of staged has the shape .*, and no places",
}


def test_end_points_that_cannot_be_compared_are_named(config, stages):
    for end_point, message in NOT_THERE.items():
        run = config(
            model_name="staged", teacher=stages, teacher_end_points=[end_point]
        )
        with pytest.raises(ValueError, match=f"teacher_end_points: .*{message}"):
            train(run, show=False)
        assert not os.path.exists(run.train_dir)


def test_an_export_has_no_end_points(config, teacher, tmp_path):
    exported = str(tmp_path / "teacher.pb")
    export_trained(open_trained(teacher.train_dir), exported, format="frozen_graph")
    run = config(teacher=exported, teacher_end_points=["conv1"])
    with pytest.raises(ValueError, match=r"is an export, which .* give a checkpoint"):
        Teacher(run)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_image_size": 12}, "train_image_size=8, but this run gives it"),
        ({"preprocessing_name": "plain"}, "preprocessing_name='shift', but this run"),
    ],
)
def test_the_images_must_be_the_teachers(config, teacher, changes, message):
    with pytest.raises(ValueError, match=message):
        Teacher(config(teacher=teacher.train_dir, **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"teacher_weight": 0.5}, "no effect without teacher"),
        (
            {"teacher": "x", "teacher_weight": 1.5},
            "=1.5 must be in .0, 1.",
        ),
        ({"teacher": "x", "teacher_temperature": 0.0}, "must be above 0"),
        ({"teacher_end_points": ["C4"]}, "no effect without teacher"),
        (
            {"teacher": "x", "teacher_end_points_weight": 1.0},
            "no effect without teacher_end_points",
        ),
        ({"teacher": "x", "loss": "sigmoid"}, "is not for loss=sigmoid"),
    ],
)
def test_what_does_not_go_together_is_explained(config, changes, message):
    with pytest.raises(ValueError, match=message):
        config(**changes)
