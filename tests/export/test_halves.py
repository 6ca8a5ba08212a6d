"""Batches in two halves: the same rows, computed side by side."""

import threading

import numpy as np
import pytest
import tensorflow as tf

from slimnets.export import export_model, load
from slimnets.export.split_batches import in_halves
from tests.export.networks import small_model

FREE = [tf.TensorSpec([None, 3]), tf.TensorSpec([None, 2, 2])]


@pytest.fixture(autouse=True)
def two_threads(monkeypatch):
    """Whatever the machine has."""
    of_config = tf.config.threading
    monkeypatch.setattr(of_config, "get_intra_op_parallelism_threads", lambda: 2)
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [])


def warm(compute):
    """Makes the first call, which is never halved."""
    compute({"a": np.ones([1, 3]), "b": np.full([1, 2, 2], 9.0)})
    return compute


def inputs_of(size, rng):
    return {"a": rng.normal(size=(size, 3)), "b": rng.normal(size=(size, 2, 2))}


@pytest.mark.parametrize("size", [0, 1, 2, 3, 8, 9])
def test_halves_give_what_the_whole_gives(size, rng):
    sizes = []

    def run(inputs):
        sizes.append(len(inputs["a"]))
        sums = inputs["a"].sum(1) + inputs["b"].sum((1, 2))
        return {"sums": sums, "twice": 2 * inputs["a"]}

    inputs = inputs_of(size, rng)
    expected = run(inputs)
    compute = warm(in_halves(run, FREE))
    sizes.clear()
    found = compute(inputs)
    assert set(found) == {"sums", "twice"}
    for name, value in found.items():
        np.testing.assert_array_equal(value, expected[name])
    assert sorted(sizes) == ([size // 2, size - size // 2] if size > 1 else [size])


def test_halves_run_at_the_same_time(rng):
    """Each waits in the middle for the other; one after the other, neither ends."""
    together = threading.Barrier(2)

    def run(inputs):
        if len(inputs["a"]) > 1:
            together.wait(timeout=60)
        return inputs

    found = warm(in_halves(run, FREE))(inputs := inputs_of(4, rng))
    np.testing.assert_array_equal(found["a"], inputs["a"])


@pytest.mark.parametrize("bad", [0, 3])
def test_an_error_in_either_half_is_raised(bad):
    def run(inputs):
        if bad in inputs["b"]:
            raise KeyError(f"image {bad}")
        return inputs

    with pytest.raises(KeyError, match=f"image {bad}"):
        warm(in_halves(run, FREE))({"a": np.arange(4), "b": np.arange(4)})


def test_the_first_call_runs_once(rng):
    sizes = []

    def run(inputs):
        sizes.append(len(inputs["a"]))
        return inputs

    compute = in_halves(run, FREE)
    for _ in range(2):
        compute(inputs_of(6, rng))
    assert sizes == [6, 3, 3]


def test_what_cannot_be_halved_stays_whole(monkeypatch, rng):
    def run(inputs):
        return inputs

    for fixed in ([4, 3], [], None):
        assert in_halves(run, [FREE[0], tf.TensorSpec(fixed)]) is run
    uneven = {"a": np.ones([4, 3]), "b": np.ones([2, 2, 2])}
    assert warm(in_halves(run, FREE))(uneven) is uneven
    flat = {"a": np.float32(3), "b": np.ones([2, 2, 2])}  # What `run` refuses.
    assert warm(in_halves(run, FREE))(flat) is flat
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: ["GPU:0"])
    assert in_halves(run, FREE) is run


@pytest.mark.parametrize("name", ["saved_model", "frozen_graph"])
def test_rows_of_a_batch_are_those_of_single_images(name, tmp_path, rng):
    model, shape = small_model("lenet")
    path = str(tmp_path / ("x.pb" if name == "frozen_graph" else "x"))
    export_model(model, path, format=name, input_shape=shape)
    exported = load(path)
    exported(np.zeros([1, *shape[1:]], np.float32))
    images = rng.normal(size=(5, *shape[1:])).astype(np.float32)
    together = exported(images)
    for index, image in enumerate(images):
        for output, value in exported(image[np.newaxis]).items():
            np.testing.assert_allclose(
                together[output][index], value[0], rtol=1e-5, atol=1e-6
            )
