"""What tests share: golden data and running graph code."""

import pathlib

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
GOLDEN = pathlib.Path(__file__).parent / "golden"


def run_graph(build, checkpoint=None, feed=None, seed=0):
    """Builds in a new graph, initializes or restores, and returns the values."""
    with tf.Graph().as_default():
        v1.set_random_seed(seed)
        fetches = build()
        with v1.Session() as session:
            if checkpoint:
                v1.train.Saver().restore(session, str(checkpoint))
            else:
                session.run(v1.global_variables_initializer())
            return session.run(fetches, feed)


def assert_close(actual, desired, rtol=1e-5):
    """Equal to `rtol` of the largest value."""
    desired = np.asarray(desired)
    scale = max(np.abs(desired).max(), 1e-6) if desired.size else 1.0
    np.testing.assert_allclose(actual, desired, rtol=0, atol=rtol * scale)
