"""A teacher: what the student's loss is, and that it comes to agree."""

import numpy as np
import pytest
import tensorflow as tf

from slimnets.data import digits
from slimnets.export.checkpoint import export_trained
from slimnets.trained import open_trained
from slimnets.training import losses, train
from slimnets.training.distillation import Teacher, distillation_loss
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
    exported = tmp_path / "teacher_as_graph.pb"
    export_trained(open_trained(teacher.train_dir), exported, format="frozen_graph")
    images, _ = digits.load("test")
    images = tf.constant(images / 8.0 - 1.0, tf.float32)
    wanted = np.argmax(open_trained(teacher.train_dir).model(images), axis=1)
    for path in (teacher.train_dir, str(exported)):
        run = config(f"student {len(path)}", teacher=path, teacher_weight=1.0,
                     model_name="plain", max_number_of_steps=60)  # fmt: skip
        model = train(run, show=False).model
        assert np.mean(np.argmax(model(images), axis=1) == wanted) > 0.85
    assert_identical(before, final(teacher))


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
        ({"teacher": "x", "loss": "sigmoid"}, "is not for loss=sigmoid"),
    ],
)
def test_what_does_not_go_together_is_explained(config, changes, message):
    with pytest.raises(ValueError, match=message):
        config(**changes)
