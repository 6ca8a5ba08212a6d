"""The clouds of points made by procedure, and their way into a network."""

import numpy as np
import pytest
import tensorflow as tf

from slimnets import data
from slimnets.data import points, shapes

SOLIDS = dict(shapes.SOLIDS)


@pytest.fixture
def small(monkeypatch):
    """The dataset with 30 training and 10 test clouds of 40 points."""
    splits = {"train": 30, "test": 10}

    def load(split):
        return shapes.make_shapes(splits[split], 40, shapes._SEEDS[split])

    return data.Dataset(
        name="small",
        image_shape=(40, 3),
        value_range=(-1, 1),
        label_names=tuple(SOLIDS),
        splits=splits,
        default_preprocessing="rotate_points",
        loader=load,
    )


def test_the_seed_decides_and_labels_take_turns():
    clouds, labels = shapes.make_shapes(11, 20, seed=3)
    again, _ = shapes.make_shapes(11, 20, seed=3)
    other, _ = shapes.make_shapes(11, 20, seed=4)
    assert clouds.shape == (11, 20, 3) and clouds.dtype == np.float32
    np.testing.assert_array_equal(clouds, again)
    assert not np.any(clouds == other)
    np.testing.assert_array_equal(labels, [0, 1, 2, 3, 4] * 2 + [0])


def test_one_cloud_and_one_point_will_do():
    assert shapes.make_shapes(1, 1)[0].shape == (1, 1, 3)
    for number, count in ((0, 5), (5, 0)):
        with pytest.raises(ValueError, match="at least 1"):
            shapes.make_shapes(number, count)


def test_the_splits_are_balanced_in_the_unit_ball_and_disjoint():
    (train, train_labels), (test, test_labels) = map(
        shapes.SHAPES.load, ("train", "test")
    )
    assert train.shape == (4000, 512, 3) and test.shape == (1000, 512, 3)
    assert set(np.bincount(train_labels)) == {800}
    assert set(np.bincount(test_labels)) == {200}
    assert np.linalg.norm(test, axis=-1).max() < 1 + 8 * shapes.JITTER
    assert not np.isin(test[:, 0, 0], train[:, 0, 0]).any()


def surface_distance(name, made):
    """How far each point is from the nearest surface that fits its cloud."""
    x, y, z = np.moveaxis(made, -1, 0)
    radius = np.hypot(x, y)
    if name == "sphere":
        return np.abs(np.hypot(radius, z) - 1)
    if name == "box":
        return np.min(np.abs(made).max(1, keepdims=True) - np.abs(made), axis=-1)
    half = np.abs(z).max(1, keepdims=True)
    if name == "cylinder":
        return np.minimum(np.abs(radius - 1), half - np.abs(z))
    if name == "cone":
        # The tip may have no point, so the height is that of the highest slope.
        base = z.min(1, keepdims=True)
        slope = np.abs(radius + (z - base) / (-2 * base) - 1)
        return np.minimum(slope, z - base)
    tube = np.hypot(radius - 1, z)
    return np.abs(tube - np.median(tube, axis=1, keepdims=True))


@pytest.mark.parametrize("name", SOLIDS)
def test_points_lie_on_the_surface(name, rng):
    made = SOLIDS[name](rng, 6, 400)
    assert made.shape == (6, 400, 3)
    # A box's side is known only by its outermost point.
    assert surface_distance(name, made).max() < (1e-2 if name == "box" else 1e-9)


def test_points_are_even_over_the_surface(rng):
    """By area: a sphere's and a closed cylinder's heights, a torus's outer half."""
    heights = SOLIDS["sphere"](rng, 1, 40_000)[0, :, 2]
    np.testing.assert_allclose(np.histogram(heights, 4)[0] / 40_000, 0.25, atol=0.01)
    made = SOLIDS["cylinder"](rng, 1, 40_000)[0]
    half = np.abs(made[:, 2]).max()
    ends = np.mean(np.abs(made[:, 2]) > half - 1e-9)
    assert abs(ends - 1 / (1 + 2 * half)) < 0.01
    made = SOLIDS["torus"](rng, 1, 40_000)[0]
    radius = np.hypot(made[:, 0], made[:, 1])
    tube = np.abs(made[:, 2]).max()
    assert abs(np.mean(radius > 1) - (0.5 + tube / np.pi)) < 0.01


def test_rotations_of_the_stored_clouds_are_rotations(rng):
    made = shapes._rotations(rng, 500)
    product = made @ made.transpose(0, 2, 1)
    np.testing.assert_allclose(product, [np.eye(3)] * 500, atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(made), 1)
    assert np.abs(made.mean(0)).max() < 0.1


def test_random_rotation_turns_each_cloud_whole(rng):
    clouds = rng.normal(size=(50, 7, 3)).astype(np.float32)
    draws = rng.uniform(size=(2, 50, 3)).astype(np.float32)
    turned = points.random_rotation(clouds, draws[0]).numpy()
    for cloud, other in zip(clouds, turned, strict=True):
        np.testing.assert_allclose(other @ other.T, cloud @ cloud.T, atol=1e-4)
        # A reflection would change the sign of this volume.
        volumes = [np.linalg.det(c[:3].astype(np.float64)) for c in (cloud, other)]
        np.testing.assert_allclose(*volumes, rtol=1e-3, atol=1e-4)
    assert not np.allclose(turned, clouds, atol=0.1)
    np.testing.assert_array_equal(turned, points.random_rotation(clouds, draws[0]))
    assert not np.allclose(turned, points.random_rotation(clouds, draws[1]))
    # Evenly distributed ones leave nothing of a direction on average.
    ones = np.tile(np.float32([[[0, 0, 1]]]), (4000, 1, 1))
    turned = points.random_rotation(ones, rng.uniform(size=(4000, 3)).astype("f"))
    assert np.abs(turned.numpy().mean(axis=0)).max() < 0.04


def test_training_and_evaluation_batches(small):
    batches = data.training_batches(small, batch_size=8, image_size=16, seed=0)
    assert [tuple(spec.shape) for spec in batches.element_spec] == [(8, 16, 3), (8,)]
    clouds, labels = next(iter(batches))
    stored, stored_labels = small.load("train")
    # What a rotation leaves of a cloud: the distances of its points from the centre.
    known = np.linalg.norm(stored[:, :16], axis=-1)
    for cloud, label in zip(clouds.numpy(), labels.numpy(), strict=True):
        error = np.abs(known - np.linalg.norm(cloud, axis=-1)).max(axis=1)
        assert error.min() < 1e-5 and stored_labels[error.argmin()] == label
    stream = data.evaluation_batches(small, split="test", batch_size=4, image_size=40)
    seen = np.concatenate([cloud for cloud, _ in stream.as_numpy_iterator()])
    np.testing.assert_array_equal(seen, small.load("test")[0])


@pytest.mark.parametrize(
    ("name", "preprocessing", "size", "message"),
    [
        ("shapes", None, 513, "513 asks for more points than the 512"),
        ("shapes", "shift", 8, r"'shift' does not fit 'shapes'.*\(512, 3\)"),
        ("digits", "points", 8, "'points' does not fit 'digits'.*'shift' does"),
    ],
)
def test_what_does_not_fit_is_explained(name, preprocessing, size, message):
    with pytest.raises(ValueError, match=message):
        data.training_batches(
            data.get_dataset(name),
            batch_size=4,
            image_size=size,
            seed=0,
            preprocessing=preprocessing,
        )


def test_input_shapes():
    assert data.get_dataset("shapes").input_shape(64) == (64, 3)
    assert data.get_dataset("digits").input_shape(16) == (16, 16, 1)
    assert tf.TensorShape(shapes.SHAPES.image_shape) == (512, 3)
