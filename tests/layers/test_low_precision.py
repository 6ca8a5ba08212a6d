"""What bfloat16 computes in float32 is what its own kernels compute, up to rounding."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from slimnets import layers
from slimnets.layers import low_precision


def _gradients(function, *inputs):
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = function(*inputs)
    upstream = np.random.default_rng(1).normal(size=outputs.shape)
    gradients = tape.gradient(outputs, inputs, tf.cast(upstream, outputs.dtype))
    return [outputs, *gradients]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("stride", "side", "padding"),
    [*itertools.product((1, 2), (3, 5), ("SAME", "VALID")),
     (2, 3, [[0, 0], [1, 1], [0, 1], [0, 0]])],
)  # fmt: skip
def test_depthwise_gradients_are_those_of_float32(stride, side, padding, compiled):
    rng = np.random.default_rng(0)
    inputs = tf.cast(rng.normal(size=[2, 9, 8, 6]), tf.bfloat16)
    kernel = tf.cast(rng.normal(size=[side, side, 6, 2]), tf.bfloat16)
    steps = [1, stride, stride, 1]

    def convolve(inputs, kernel):
        return low_precision.depthwise_conv2d(inputs, kernel, steps, padding, [1, 1])

    run = tf.function(_gradients, autograph=False) if compiled else _gradients
    got = run(convolve, inputs, kernel)
    wanted = _gradients(
        convolve, tf.cast(inputs, tf.float32), tf.cast(kernel, tf.float32)
    )
    for value, exact in zip(got, wanted, strict=True):
        assert value.dtype == tf.bfloat16
        error = np.abs(tf.cast(value, tf.float32) - exact)
        # A rounding of the upstream's values, and one of the sum.
        assert error.max() <= 2**-6 * np.abs(exact).max()


def test_gradients_of_depthwise_gradients_are_there():
    inputs = tf.ones([1, 6, 6, 4], tf.bfloat16)
    kernel = tf.ones([5, 5, 4, 1], tf.bfloat16)
    with tf.GradientTape() as outer:
        outer.watch(kernel)
        with tf.GradientTape() as inner:
            inner.watch(inputs)
            outputs = low_precision.depthwise_conv2d(
                inputs, kernel, [1, 2, 2, 1], "SAME", [1, 1]
            )
            loss = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 2)
        penalty = tf.reduce_sum(inner.gradient(loss, inputs) ** 2)
    gradient = outer.gradient(penalty, kernel)
    # Of homogeneous degree 4 in the kernel, after Euler.
    total = tf.reduce_sum(tf.cast(gradient * kernel, tf.float32))
    np.testing.assert_allclose(total, 4 * tf.cast(penalty, tf.float32), rtol=0.05)


@pytest.mark.parametrize("channels", [16, 24])
@pytest.mark.parametrize("training", [True, False])
def test_norms_are_those_of_float32(channels, training):
    inputs = np.random.default_rng(0).normal(3.0, 2.0, [4, 5, 5, channels])
    inputs = tf.cast(inputs, tf.bfloat16)

    def normalize(inputs):
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            net = layers.batch_norm(
                tf.constant(inputs), is_training=training, updates_collections=None
            )
            session.run(tf.compat.v1.global_variables_initializer())
            assert net.dtype == inputs.dtype
            statistics = [
                v for v in tf.compat.v1.global_variables() if "moving" in v.name
            ]
            assert len(statistics) == 2
            net = session.run(tf.cast(net, tf.float32))
            return net, session.run(statistics)

    got, statistics = normalize(inputs.numpy())
    wanted, exact = normalize(tf.cast(inputs, tf.float32).numpy())
    np.testing.assert_allclose(got, wanted, atol=2**-7)
    np.testing.assert_allclose(statistics, exact, rtol=1e-3)
