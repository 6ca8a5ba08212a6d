"""Batch norm by separate operations: what the fused operation cannot do."""

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets import layers
from tests.helpers import assert_close, run_graph, v1


def updated(x, **options):
    """Runs batch norm once: its outputs, and every variable after the update."""

    def build():
        outputs = layers.batch_norm(x, decay=0.9, updates_collections=None, **options)
        with tf.control_dependencies([outputs]):
            return outputs, {
                v.op.name.rpartition("/")[2]: v.read_value()
                for v in v1.global_variables()
            }

    return run_graph(build)


def test_without_fusing_the_variance_is_the_batchs_own(rng):
    x = rng.normal(2.0, 3.0, (2, 3, 2, 4)).astype(np.float32)
    fused, averages = updated(x)
    plain, own = updated(x, fused=False)
    assert_close(plain, fused, 1e-4)
    variance = x.var((0, 1, 2))
    assert_close(own["moving_variance"], 0.9 + 0.1 * variance)
    assert_close(averages["moving_variance"], 0.9 + 0.1 * variance * 12 / 11)


@pytest.mark.parametrize("fused", [True, False])
def test_a_debiased_mean_is_the_mean_of_what_was_seen(fused, rng):
    x = rng.normal(2.0, 3.0, (4, 3, 3, 2)).astype(np.float32)
    _, after = updated(x, fused=fused, zero_debias_moving_mean=True)
    mean = x.mean((0, 1, 2))
    assert_close(after["moving_mean"], mean)
    assert_close(after["biased"], 0.1 * mean, 1e-4)
    assert after["local_step"] == 1.0


@pytest.mark.parametrize(
    "options", [{}, {"fused": False}, {"zero_debias_moving_mean": True}], ids=str
)
def test_all_updates_of_a_layer_that_is_applied_twice_count(options):
    """As a discriminator is to real and made images: in any order, or at once."""
    x = np.full((2, 3, 3, 1), 5.0, np.float32)
    with tf.Graph().as_default(), v1.Session() as session:
        for reuse in (None, True):
            layers.batch_norm(x, 0.9, scope="norm", reuse=reuse, **options)
        updates = v1.get_collection(v1.GraphKeys.UPDATE_OPS)
        session.run(v1.global_variables_initializer())
        session.run(updates)
        after = {v.op.name: session.run(v) for v in v1.global_variables()}
    assert len(updates) == 4
    seen = after.get("norm/norm/moving_mean/biased", after["norm/moving_mean"])
    assert 0.19 * 5.0 - 1e-5 <= seen <= 0.2 * 5.0 + 1e-5
    if len(after) > 3:
        assert after["norm/norm/moving_mean/local_step"] == 2.0
        np.testing.assert_allclose(after["norm/moving_mean"], seen / 0.19, rtol=1e-5)


def test_a_model_debiases_too(rng):
    """m_t = sum of 0.5 ** (t - i) * x_i, over the sum of the same weights."""

    def network(images, is_training=True):
        return layers.batch_norm(
            images,
            decay=0.5,
            is_training=is_training,
            zero_debias_moving_mean=True,
            scope="bn",
        )

    model = slimnets.Model(network)
    batches = rng.normal(3.0, 1.0, (3, 4, 2, 2, 3)).astype(np.float32)
    for batch in batches:
        model(batch, training=True)
    weights = 0.5 ** np.arange(2, -1, -1)
    expected = np.tensordot(weights, batches.mean((1, 2, 3)), 1) / weights.sum()
    assert_close(model.variable_by_name("bn/moving_mean"), expected)
    assert model.variable_by_name("bn/bn/moving_mean/local_step") == 3.0
    assert [v.name for v in model.trainable_variables] == ["bn/beta:0"]


def test_a_tensor_decides_whether_the_debiased_mean_moves(rng):
    x = rng.normal(2.0, 3.0, (4, 3, 3, 2)).astype(np.float32)
    with tf.Graph().as_default():
        flag = v1.placeholder(tf.bool, [])
        outputs = layers.batch_norm(
            x,
            is_training=flag,
            zero_debias_moving_mean=True,
            updates_collections=None,
        )
        mean = v1.get_default_graph().get_tensor_by_name(
            "BatchNorm/moving_mean/Read/ReadVariableOp:0"
        )
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            session.run(outputs, {flag: False})
            assert_close(session.run(mean), np.zeros(2))
            session.run(outputs, {flag: True})
            assert_close(session.run(mean), x.mean((0, 1, 2)))


def test_an_adjustment_is_made_in_training_before_gamma_and_beta(rng):
    x = rng.normal(size=(4, 3, 3, 2)).astype(np.float32)

    def build():
        options = {
            "adjustment": lambda shape: (2.0 * tf.ones(shape[-1:]), 5.0),
            "scale": True,
            "param_initializers": {"gamma": tf.constant_initializer(3.0)},
        }
        return (
            layers.batch_norm(x, **options),
            layers.batch_norm(x, is_training=False, **options),
        )

    training, evaluating = run_graph(build)
    normalized = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-3)
    assert_close(training, 3.0 * (2.0 * normalized + 5.0))
    assert_close(evaluating, 3.0 * x / np.sqrt(1.001))


@pytest.mark.parametrize("shape", [(4, 2), (4, 5, 2), (4, 3, 2, 2, 2)])
def test_examples_of_weight_zero_do_not_count_at_any_rank(shape, rng):
    x = rng.normal(size=shape).astype(np.float32)

    def build():
        weighted = layers.batch_norm(x, batch_weights=[1.0, 1.0, 0.0, 0.0])
        return weighted, layers.batch_norm(x[:2], fused=False)

    weighted, first = run_graph(build)
    assert_close(weighted[:2], first, 1e-4)


def test_moving_averages_are_whole_under_a_partitioner(rng):
    x = rng.normal(size=(4, 3, 3, 2)).astype(np.float32)
    partitioner = v1.fixed_size_partitioner(2)

    def build():
        with v1.variable_scope("parts", partitioner=partitioner):
            return layers.batch_norm(x, scale=True), v1.global_variables()

    outputs, variables = run_graph(build)
    assert [v.shape for v in variables] == [(1,), (1,), (1,), (1,), (2,), (2,)]
    expected = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-3)
    assert_close(outputs, expected, 1e-4)
