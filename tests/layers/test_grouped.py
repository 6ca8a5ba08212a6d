"""Grouped convolution: values and gradients equal in every way, on any CPU."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from slimnets.layers import conv_operations
from tests.helpers import assert_close


def split_by_hand(x, w, groups, stride):
    parts = zip(tf.split(x, groups, -1), tf.split(w, groups, -1), strict=True)
    return tf.concat(
        [tf.nn.conv2d(part, kernel, stride, "SAME") for part, kernel in parts], -1
    )


def block_diagonal(x, w, groups, stride):
    """As a dense convolution whose kernel is zero between groups."""
    kernels = tf.split(w, groups, -1)
    width = w.shape[2]
    rows = [
        tf.pad(k, [[0, 0], [0, 0], [i * width, (groups - 1 - i) * width], [0, 0]])
        for i, k in enumerate(kernels)
    ]
    return tf.nn.conv2d(x, tf.concat(rows, -1), stride, "SAME")


def value_and_gradients(function, x, w):
    with tf.GradientTape() as tape:
        tape.watch([x, w])
        y = function(x, w)
        loss = tf.reduce_sum(y * tf.cos(y))
    return y, *tape.gradient(loss, [x, w])


@pytest.mark.parametrize("groups,stride", [(2, 1), (4, 2), (8, 1)])
def test_every_way_gives_the_same_values_and_gradients(groups, stride, rng):
    x = tf.constant(rng.normal(size=(2, 9, 8, 16)), tf.float32)
    w = tf.constant(rng.normal(size=(3, 3, 16 // groups, 24)), tf.float32)
    strides = (stride, stride)
    chosen = value_and_gradients(
        lambda x, w: conv_operations.convolve(x, w, strides, (1, 1), "SAME", groups),
        x,
        w,
    )
    for way in (split_by_hand, block_diagonal):
        other = value_and_gradients(lambda x, w: way(x, w, groups, stride), x, w)  # noqa: B023
        for actual, desired in zip(chosen, other, strict=True):
            assert_close(actual, desired)


@pytest.mark.slow
def test_it_trains_without_onednn_too():
    """In a process of its own: the setting is read when TensorFlow starts."""
    tests = ["tests/layers/test_grouped.py", "tests/layers/test_layers.py"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *tests, "-k", "every_way or fallbacks"],
        env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0"},
        cwd=os.path.dirname(
            os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    assert "5 passed" in result.stdout


def test_the_machine_is_tried_once():
    assert isinstance(conv_operations.trains_natively("groups"), bool)
    hits = conv_operations.trains_natively.cache_info().hits
    conv_operations.trains_natively("groups")
    assert conv_operations.trains_natively.cache_info().hits == hits + 1
    np.testing.assert_equal(
        conv_operations.trains_natively.cache_info().misses <= 2, True
    )
