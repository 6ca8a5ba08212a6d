"""Batch norm: values, gradients, moving averages, in graph code and TF2."""

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets import layers
from tests.helpers import assert_close, run_graph, v1

UPDATE_OPS = v1.GraphKeys.UPDATE_OPS


def reference(x, decay=0.9, epsilon=1e-3, axes=None):
    """Training mode in numpy: outputs, and the averages after one update."""
    axes = tuple(range(x.ndim - 1)) if axes is None else axes
    mean, var = x.mean(axes), x.var(axes)
    count = x.size // x.shape[-1]
    unbiased = var * count / (count - 1)
    outputs = (x - mean) / np.sqrt(var + epsilon)
    return outputs, mean * (1 - decay), decay + unbiased * (1 - decay)


@pytest.mark.parametrize("shape", [(6, 3), (4, 5, 3), (2, 4, 5, 3), (2, 3, 2, 4, 3)])
def test_training_equals_numpy_at_every_rank(shape, rng):
    x = rng.normal(2.0, 3.0, shape).astype(np.float32)

    def build():
        outputs = layers.batch_norm(x, decay=0.9, updates_collections=None)
        with tf.control_dependencies([outputs]):
            return outputs, [v.read_value() for v in v1.global_variables()[1:]]

    outputs, (mean, variance) = run_graph(build)
    expected = reference(x)
    assert_close(outputs, expected[0], 1e-4)
    assert_close(mean, expected[1])
    assert_close(variance, expected[2])


def test_float64_and_example_weights(rng):
    x = rng.normal(size=(4, 5, 5, 2))
    weights = np.array([1.0, 1.0, 0.0, 0.0])

    def build():
        plain = layers.batch_norm(x, scope="a")
        first = layers.batch_norm(x[:2], scope="b")
        weighted = layers.batch_norm(x, batch_weights=weights, scope="c")
        return plain, first, weighted

    plain, first, weighted = run_graph(build)
    assert plain.dtype == np.float64
    assert_close(plain, reference(x)[0])
    assert_close(weighted[:2], first)


def test_unsupported_options_and_inputs_raise():
    with tf.Graph().as_default():
        x = v1.placeholder(tf.float32, [2, 3])
        with pytest.raises(ValueError, match="renorm"):
            layers.batch_norm(x, renorm=True)
        with pytest.raises(ValueError, match="NCWH"):
            layers.batch_norm(x, data_format="NCWH")
        with pytest.raises(ValueError, match="rank 2 to 5"):
            layers.batch_norm(v1.placeholder(tf.float32, [3]))
        with pytest.raises(ValueError, match="channels"):
            layers.batch_norm(v1.placeholder(tf.float32, [3, None]))


def test_frozen_statistics_with_trainable_gamma_and_beta(rng):
    x = rng.normal(size=(4, 6, 6, 3)).astype(np.float32)

    def build():
        with slimnets.arg_scope([layers.batch_norm], is_training=False, scale=True):
            outputs = layers.batch_norm(x)
        assert not v1.get_collection(UPDATE_OPS)
        assert [v.op.name for v in v1.trainable_variables()] == [
            "BatchNorm/gamma",
            "BatchNorm/beta",
        ]
        return outputs, tf.gradients(outputs**2, v1.trainable_variables())

    outputs, gradients = run_graph(build)
    assert_close(outputs, x / np.sqrt(1 + 1e-3))
    assert all(np.abs(g).min() > 0 for g in gradients)


def test_trainable_false_still_updates_the_statistics():
    with tf.Graph().as_default():
        layers.batch_norm(v1.placeholder(tf.float32, [4, 3]), trainable=False)
        assert not v1.trainable_variables()
        assert len(v1.get_collection(UPDATE_OPS)) == 2


def test_one_is_training_node_is_all_that_batch_norms_share():
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [2, 4, 4, 3], name="x")
        flag = v1.placeholder(tf.bool, [], name="is_training")
        with slimnets.arg_scope([layers.batch_norm], is_training=flag):
            net = layers.batch_norm(x, scope="first")
            layers.batch_norm(net, scope="second")
        for op in graph.get_operations():
            if op.name.startswith("second/"):
                readable = ("second/", "first/", "is_training")
                assert all(i.name.startswith(readable) for i in op.inputs)
                inputs = [i for i in op.inputs if i.name.startswith("first/")]
                assert all(i is net for i in inputs)


@pytest.mark.parametrize("training", [False, True])
def test_a_tensor_says_what_a_bool_says(training, rng):
    x = rng.normal(2.0, 3.0, (4, 5, 5, 3)).astype(np.float32)
    found = []
    for as_tensor in (False, True):
        with tf.Graph().as_default(), v1.Session() as session:
            flag = v1.placeholder(tf.bool, [])
            told = flag if as_tensor else training
            outputs = layers.batch_norm(x, is_training=told, updates_collections=None)
            session.run(v1.global_variables_initializer())
            found.append([session.run(outputs, {flag: training})])
            found[-1] += session.run(v1.global_variables())
    for told, said in zip(*found, strict=True):
        assert_close(said, told)


def network(images, is_training=True):
    with slimnets.arg_scope([layers.batch_norm], is_training=is_training, decay=0.5):
        return layers.batch_norm(images, scope="bn")


def test_a_tf_function_updates_by_itself(rng):
    x = rng.normal(2.0, 3.0, (4, 5, 5, 3)).astype(np.float32)
    model = slimnets.Model(network)
    step = tf.function(lambda x: model(x, training=True))
    assert_close(step(x), reference(x)[0], 1e-4)
    names = ("bn/moving_mean", "bn/moving_variance")
    once = [model.variable_by_name(name).numpy() for name in names]
    for value, expected in zip(once, reference(x, 0.5)[1:], strict=True):
        assert_close(value, expected)
    model(x, training=False)
    for name, value in zip(names, once, strict=True):
        np.testing.assert_array_equal(model.variable_by_name(name), value)


def test_replicas_average_their_updates_and_agree(mirrored, rng):
    x = rng.normal(2.0, 3.0, (8, 5, 5, 3)).astype(np.float32)
    with mirrored.scope():
        model = slimnets.Model(network)
        model.build([None, 5, 5, 3])
    data = mirrored.experimental_distribute_values_from_function(
        lambda context: tf.constant(np.split(x, 2)[context.replica_id_in_sync_group])
    )

    @tf.function
    def step(data):
        return mirrored.run(lambda images: model(images, training=True), (data,))

    step(data)
    halves = [reference(half, 0.5) for half in np.split(x, 2)]
    for index, name in enumerate(("bn/moving_mean", "bn/moving_variance"), start=1):
        values = mirrored.experimental_local_results(model.variable_by_name(name))
        assert len(values) == 2
        expected = np.mean([half[index] for half in halves], axis=0)
        for value in values:
            assert_close(value, expected)
