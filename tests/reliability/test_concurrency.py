"""Graphs and Models in many threads, and readers in forked processes."""

import collections
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import threading

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets import layers
from slimnets.model import store
from tests.helpers import v1

THREADS = 16
# What a deadlock ends in.
SECONDS = 300
ROOT = pathlib.Path(__file__).parents[2]


def in_threads(work, arguments):
    """Calls `work` with each argument in a thread of its own, all at the same time."""
    arguments = list(arguments)
    together = threading.Barrier(len(arguments))

    def begin(argument):
        together.wait(SECONDS)
        return work(argument)

    with concurrent.futures.ThreadPoolExecutor(len(arguments)) as pool:
        return list(pool.map(begin, arguments, timeout=SECONDS))


def network(images, num_classes=3, is_training=True):
    """Convolutions, norms and dropout; slow to build, so that threads would meet."""
    with slimnets.arg_scope(
        [layers.batch_norm, layers.dropout], is_training=is_training
    ):
        net = images
        for i in range(2):
            net = layers.conv2d(
                net, 4, 3, normalizer_fn=layers.batch_norm, scope=f"conv{i}",
                weights_regularizer=layers.l2_regularizer(0.1),
            )  # fmt: skip
        end_points = slimnets.EndPoints({"net": net})
        net = layers.dropout(tf.reduce_mean(net, [1, 2]), 0.9)
        return layers.fully_connected(net, num_classes, activation_fn=None), end_points


def images(batch=2):
    return np.random.default_rng(1).normal(size=(batch, 8, 8, 3)).astype(np.float32)


def built(seed=3):
    model = slimnets.Model(network, num_classes=3, seed=seed)
    model(images())
    return model


def weights(model):
    return {name: v.numpy() for name, v in model.variables_by_name.items()}


def assert_same_weights(model, expected):
    actual = weights(model)
    assert list(actual) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value)


CALLS = {
    "one signature": [lambda model: model(images())] * THREADS,
    "batch sizes": [lambda model, n=n: model(images(n % 4 + 1))[:1] for n in range(16)],
    "training and not": [
        lambda model, n=n: model(images(), training=n % 2 == 1) for n in range(THREADS)
    ],
    "every way": [
        lambda model: model(images()),
        lambda model: model.end_points(images())["net"],
        lambda model: model.build([2, 8, 8, 3]),
        lambda model: model.output_shape([2, 8, 8, 3]),
        lambda model: tf.function(lambda x: model(x))(images()),
        lambda model: model(images(), training=True),
    ]
    * 3,
}


def call_first(name, rounds, monkeypatch):
    """Calls new Models for the first time, from many threads."""
    expected = weights(built())
    made = collections.Counter()
    make = store.make_variable

    def counted(*args, name, **kwargs):
        made[name] += 1
        return make(*args, name=name, **kwargs)

    monkeypatch.setattr(store, "make_variable", counted)
    for _ in range(rounds):
        made.clear()
        model = slimnets.Model(network, num_classes=3, seed=3)
        results = in_threads(lambda call: call(model), CALLS[name])  # noqa: B023
        assert made == dict.fromkeys(expected, 1)
        assert list(model.variables_by_name) == list(expected)
        if name in ("one signature", "batch sizes"):
            assert_same_weights(model, expected)
            for result in results:
                np.testing.assert_allclose(result[:1], results[0][:1], rtol=1e-5)
        if name == "one signature":
            assert model.trace_count == 1
        before = model.trace_count
        in_threads(lambda call: call(model), CALLS[name])  # noqa: B023
        if name != "every way":  # A tf.function of the caller's is new each time.
            assert model.trace_count == before


@pytest.mark.parametrize("name", ["one signature", "every way"])
def test_a_first_call_from_many_threads_makes_one_set_of_variables(name, monkeypatch):
    call_first(name, 1, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_many_first_calls_from_many_threads(name, monkeypatch):
    call_first(name, 25, monkeypatch)


def test_models_made_in_parallel_equal_those_made_in_turn():
    expected = [weights(built(seed)) for seed in range(THREADS)]
    for model, own in zip(in_threads(built, range(THREADS)), expected, strict=True):
        assert_same_weights(model, own)
        assert model.trace_count == 1


def test_a_model_computes_the_same_in_every_thread():
    model = built()
    inputs = [images() * (n + 1) for n in range(THREADS)]
    expected = [model(x).numpy() for x in inputs]
    before = model.trace_count
    for _ in range(3):
        for found, own in zip(in_threads(model, inputs), expected, strict=True):
            np.testing.assert_array_equal(found, own)
    assert model.trace_count == before


def graph_of(seed):
    """What is in a graph, its logits and its initial values."""
    with tf.Graph().as_default() as graph:
        v1.set_random_seed(seed)
        stride = seed % 2 + 1
        with slimnets.arg_scope([layers.conv2d], stride=stride):
            logits, _ = network(tf.constant(images()), is_training=False)
        names = [op.name for op in graph.get_operations()]
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            return names, session.run([logits, *v1.global_variables()])


@pytest.mark.slow
def test_graphs_in_many_threads_equal_those_in_turn():
    expected = [graph_of(seed) for seed in range(THREADS)]
    found = in_threads(graph_of, range(THREADS))
    for (names, values), (own_names, own_values) in zip(found, expected, strict=True):
        assert names == own_names
        for value, own in zip(values, own_values, strict=True):
            np.testing.assert_array_equal(value, own)
    assert slimnets.current_arg_scope() == {}


# Workers forked before TensorFlow has started may use all of it; after that, only what
# reads files without it.
FORKED = """
import json, multiprocessing, sys
import numpy as np
import tensorflow as tf
import slimnets
from slimnets.checkpoints import read_checkpoint
from slimnets.data.image_files import find_images
from slimnets.data.tfrecords import read_span, record_spans

def decoded(image):
    return int(image.read().sum())

def read(path):
    spans = record_spans(path)
    weights = read_checkpoint("w.npz")
    return len(spans), len(read_span(path, *spans[0])), float(weights["a"].sum())

fork = multiprocessing.get_context("fork")
images = find_images("images")
with fork.Pool(4) as pool:
    forked = pool.map_async(decoded, images).get(200)
here = [decoded(image) for image in images]
model = slimnets.Model("lenet", num_classes=3)
model(np.zeros([1, 28, 28, 1], np.float32))
with fork.Pool(4) as pool:
    after = pool.map_async(read, ["x.tfrecord"] * 8).get(200)
print(json.dumps([forked, here, after, read("x.tfrecord")]))
"""


@pytest.mark.slow
def test_forked_workers_read_what_the_parent_does(tmp_path):
    (tmp_path / "images").mkdir()
    for i in range(8):
        data = tf.io.encode_png(np.full([4, 5, 3], i, np.uint8)).numpy()
        (tmp_path / "images" / f"{i}.png").write_bytes(data)
    with tf.io.TFRecordWriter(str(tmp_path / "x.tfrecord")) as writer:
        for i in range(5):
            writer.write(b"x" * (i + 3))
    np.savez(tmp_path / "w.npz", a=np.arange(4.0))
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    forked, here, after, read = json.loads(done.stdout)
    assert forked == here == [60 * i for i in range(8)]
    assert after == [read] * 8 == [[5, 3, 6.0]] * 8
