"""Classes of unlike sizes: weights, balanced sampling, focal loss."""

import numpy as np
import pytest
import tensorflow as tf

from slimnets.data import digits, orders
from slimnets.data.datasets import Dataset
from slimnets.training import losses, train
from slimnets.training.class_weights import class_weights
from slimnets.training.task import Classification


@pytest.fixture
def dataset():
    """Eight images of a, two of b, and none of c."""
    labels = np.array([0] * 8 + [1] * 2)
    images = np.zeros([10, 8, 8, 1], np.float32)
    return Dataset(
        "unlike", (8, 8, 1), (0, 1), ("a", "b", "c"), {"train": 10, "test": 10},
        "plain", lambda split: (images, labels),
    )  # fmt: skip


def test_balanced_weights_make_classes_weigh_alike(dataset):
    weights = class_weights("balanced", dataset, "train")
    np.testing.assert_allclose(weights, [10 / 16, 10 / 4, 0])


def test_weights_of_a_file_are_by_name_or_number(dataset, tmp_path):
    path = tmp_path / "weights.csv"
    path.write_text("class,weight\nb,3\n0,0.5\nc,1\n")
    np.testing.assert_array_equal(
        class_weights(str(path), dataset, "train"), [0.5, 3, 1]
    )
    for text, message in (
        ("a,1\nb,2\n", "lacks 1 of 3 classes, such as 'c'"),
        ("a,1\nb,-2\nc,1\n", "the line 'b,-2' is not"),
        ("a,1\n0,2\n", "the line '0,2' is not"),
        ("d,1\n", "the line 'd,1' is not"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            class_weights(str(path), dataset, "train")


def test_a_class_weight_multiplies_the_loss_of_its_images(config, tmp_path):
    path = tmp_path / "weights.csv"
    path.write_text("".join(f"{n},{n + 1}\n" for n in range(10)))
    run, task = config(class_weights=str(path)), Classification()
    task.make_network(run)
    labels = tf.constant([0, 4, 9])
    logits = tf.random.stateless_normal([3, 10], [0, 1])
    found, _ = task.losses(run, labels, logits)
    plain = losses.softmax_cross_entropy(labels, logits)
    np.testing.assert_allclose(found, plain * [1, 5, 10], rtol=1e-6)
    # Half an image of each class, as mixup gives them.
    mixed = tf.constant([[0.5] + [0.0] * 8 + [0.5]])
    found, _ = task.losses(run, mixed, logits[:1])
    plain = losses.softmax_cross_entropy(mixed, logits[:1])
    np.testing.assert_allclose(found, plain * 5.5, rtol=1e-6)


def test_focal_loss_counts_less_of_what_is_known():
    logits = tf.constant([[4.0, 0.0, -1.0], [0.0, 2.0, 1.0]])
    labels = tf.constant([0, 2])
    plain = losses.softmax_cross_entropy(labels, logits)
    focal = losses.focal_cross_entropy(labels, logits, gamma=2.0)
    p = tf.gather(tf.nn.softmax(logits), labels, batch_dims=1)
    np.testing.assert_allclose(focal, (1 - p) ** 2 * plain, rtol=1e-4)
    none = losses.focal_cross_entropy(labels, logits, 0.1, gamma=0.0)
    smoothed = losses.softmax_cross_entropy(labels, logits, 0.1)
    np.testing.assert_allclose(none, smoothed, rtol=1e-6)
    sure = tf.Variable([[100.0, 0.0]])
    with tf.GradientTape() as tape:
        loss = losses.focal_cross_entropy(tf.constant([0]), sure, gamma=0.5)
    assert np.isfinite(tape.gradient(loss, sure)).all()


def test_balanced_order_has_classes_and_their_images_alike():
    labels = np.array([2] * 7 + [0] * 3 + [-1] + [5])
    order = orders.balanced(labels, seed=3)
    first = order(0).numpy()
    assert len(first) == 12 and 10 not in first
    counts = {c: np.sum(labels[first] == c) for c in (0, 2, 5)}
    assert counts == {0: 4, 2: 4, 5: 4}
    of_zero = np.bincount(first[labels[first] == 0])[7:10]
    assert of_zero.max() - of_zero.min() <= 1
    assert len(set(first[labels[first] == 2])) == 4
    np.testing.assert_array_equal(order(tf.constant(0, tf.int64)), first)
    assert not np.array_equal(order(1), first)
    # From any step on it is what it would have been.
    steps = orders.steps_of(order, 12, 5, 0).take(6)
    later = orders.steps_of(order, 12, 5, 3).take(3)
    for whole, part in zip(list(steps)[3:], later, strict=True):
        np.testing.assert_array_equal(whole, part)


def test_training_takes_them_all(config):
    run = config(
        loss="focal", focal_gamma=1.5, class_weights="balanced", mixup_alpha=0.2,
        balanced_sampling=True, max_number_of_steps=40,
    )  # fmt: skip
    assert train(run, show=False).evaluation.accuracy > 0.5
    assert len(digits.DIGITS.label_names) == 10


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"focal_gamma": 1.0}, "focal_gamma=1.0 is of no effect; it belongs to"),
        ({"loss": "focal", "focal_gamma": -1.0}, "must be at least 0"),
        ({"loss": "sigmoid", "class_weights": "balanced"}, "not for loss=sigmoid"),
    ],
)
def test_what_does_not_fit_is_explained(config, changes, message):
    with pytest.raises(ValueError, match=message):
        config(**changes)
