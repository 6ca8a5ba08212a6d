import hashlib

import numpy as np
import pytest
import tensorflow as tf

from slimnets import data
from slimnets.data import digits, motion


def batches(**options):
    options = {"batch_size": 100, "image_size": 8, "seed": 3, **options}
    return data.training_batches(digits.DIGITS, **options)


def take(dataset, number):
    return [(i.numpy(), y.numpy()) for i, y in dataset.take(number)]


def test_digits_are_those_of_scikit_learn():
    # SHA-256 of load_digits().images and .target as bytes, from scikit-learn 1.9.1.
    arrays = digits._arrays()
    digest = hashlib.sha256(arrays["images"].tobytes() + arrays["labels"].tobytes())
    assert digest.hexdigest() == (
        "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"
    )


def test_digits_split_is_stratified():
    (train, train_labels), (test, test_labels) = map(digits.load, ("train", "test"))
    assert train.shape == (1437, 8, 8, 1) and test.shape == (360, 8, 8, 1)
    assert train.dtype == test.dtype == np.uint8 and max(train.max(), test.max()) == 16
    counts = np.bincount(train_labels) + np.bincount(test_labels)
    assert np.all(np.abs(np.bincount(test_labels) - counts * 360 / 1797) < 1)


def test_unknown_names_are_explained():
    with pytest.raises(ValueError, match=r"'digit'\. Did you mean digits"):
        data.get_dataset("digit")
    with pytest.raises(ValueError, match="no split 'val'; it has train, test"):
        digits.load("val")
    with pytest.raises(ValueError, match="Unknown preprocessing 'shfit'"):
        batches(preprocessing="shfit")
    with pytest.raises(ValueError, match="already registered"):
        data.register_dataset(digits.DIGITS)


def test_each_epoch_holds_every_image_once_in_a_new_order():
    images, _ = digits.load("train")
    expected = np.sort(images / 8.0 - 1.0, axis=None)
    stream = take(batches(batch_size=479, preprocessing="plain"), 6)
    epochs = [np.concatenate([i for i, _ in stream[k : k + 3]]) for k in (0, 3)]
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch, axis=None), expected)
    assert not np.array_equal(*epochs)


@pytest.mark.parametrize("first_step", [1, 14, 15, 31])
def test_batches_depend_on_seed_and_step_only(first_step):
    whole = take(batches(), first_step + 2)[first_step:]
    resumed = take(batches(first_step=first_step), 2)
    for (images, labels), (images2, labels2) in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(images, images2)
        np.testing.assert_array_equal(labels, labels2)
    other = take(batches(first_step=first_step, seed=4), 1)[0]
    assert not np.array_equal(other[1], whole[0][1])


def test_batch_must_fit_the_split():
    for batch_size in (0, 1438):
        with pytest.raises(ValueError, match="must be from 1 to 1437"):
            batches(batch_size=batch_size)
    assert take(batches(batch_size=1437), 1)[0][0].shape == (1437, 8, 8, 1)


@pytest.mark.parametrize("batch_size", [1, 7, 360, 1000])
def test_evaluation_sees_every_image_once_in_order(batch_size):
    images, labels = digits.load("test")
    stream = data.evaluation_batches(
        digits.DIGITS, split="test", batch_size=batch_size, image_size=8
    )
    seen_images, seen_labels = zip(*stream.as_numpy_iterator(), strict=True)
    np.testing.assert_array_equal(np.concatenate(seen_labels), labels)
    np.testing.assert_allclose(np.concatenate(seen_images), images / 8.0 - 1.0)


def test_images_are_resized_to_the_asked_size():
    image, _ = take(batches(image_size=20), 1)[0]
    assert image.shape == (100, 20, 20, 1) and -1 <= image.min() < image.max() <= 1


def test_shift_moves_each_image_whole():
    image = np.zeros([200, 16, 16, 2], np.float32)
    image[:, 8, 7] = 1
    draws = tf.random.stateless_uniform([200, 2], [1, 2])
    shifted = motion.random_shift(tf.constant(image), draws).numpy()
    where = np.argwhere(shifted[..., 0])
    np.testing.assert_array_equal(shifted[..., 0], shifted[..., 1])
    assert len(where) == 200
    offsets = where[:, 1:] - [8, 7]
    assert set(map(tuple, offsets)) == {
        (y, x) for y in range(-2, 3) for x in range(-2, 3)
    }
