"""Convolutions, pools, dense layers and dropout equal plain NumPy for what is drawn."""

import numpy as np
import tensorflow as tf

import slimnets
from slimnets import layers
from tests.helpers import run_graph, v1
from tests.reliability import reference
from tests.reliability.properties import (
    DTYPES,
    PADDINGS,
    PAIRS,
    SMALL,
    assert_near,
    noise,
    numbers,
    run_cases,
    st,
    values,
)

# Convolutions.


@st.composite
def convolutions(draw):
    kernel, rate, groups = draw(PAIRS), draw(PAIRS), draw(SMALL)
    reach = [(k - 1) * r + 1 for k, r in zip(kernel, rate, strict=True)]
    sides = [draw(st.integers(least, least + 6)) for least in reach]
    return {
        "shape": (draw(SMALL), *sides, groups * draw(SMALL)),
        "num_outputs": groups * draw(SMALL),
        "kernel_size": kernel,
        "stride": draw(PAIRS),
        "rate": rate,
        "padding": draw(PADDINGS),
        "groups": groups,
        "dtype": draw(DTYPES),
        "biases": draw(st.booleans()),
        "seed": draw(st.integers(0, 99)),
    }


def check_convolutions(cases):
    names = ("num_outputs", "kernel_size", "stride", "rate", "padding", "groups")

    def make(x, case, i):
        y = layers.conv2d(
            x,
            **{name: case[name] for name in names},
            activation_fn=None,
            biases_initializer=noise if case["biases"] else None,
            scope=f"conv{i}",
        )
        return y, v1.global_variables(f"conv{i}/")

    for case, x, (y, variables) in run_cases(cases, make):
        weights, *biases = values(variables)
        options = [case[name] for name in ("stride", "rate", "padding", "groups")]
        expected = reference.conv2d(x, weights, *options) + sum(biases)
        size = reference.conv2d(np.abs(x), np.abs(weights), *options)
        assert_near(y, expected, size + sum(map(np.abs, biases)), case["dtype"])


@st.composite
def same_convolutions(draw):
    return {
        "shape": (2, draw(st.integers(1, 9)), draw(st.integers(1, 9)), 2),
        "kernel_size": draw(st.integers(1, 5)),
        "stride": draw(st.integers(1, 4)),
        "rate": draw(SMALL),
        "seed": draw(st.integers(0, 99)),
    }


def check_same_convolutions(cases):
    def make(x, case, i):
        options = [case[name] for name in ("kernel_size", "stride", "rate")]
        y = slimnets.conv2d_same(x, 3, *options, activation_fn=None, scope=f"conv{i}")
        kept = slimnets.subsample(x, case["stride"])
        return y, kept, v1.global_variables(f"conv{i}/weights")

    for case, x, (y, kept, (weights,)) in run_cases(cases, make):
        stride, rate = case["stride"], (case["rate"],) * 2
        np.testing.assert_array_equal(kept, x[:, ::stride, ::stride])
        dense = reference.conv2d(x, weights, rate=rate)
        size = reference.conv2d(np.abs(x), np.abs(weights), rate=rate)
        every = (slice(None), slice(None, None, stride), slice(None, None, stride))
        assert_near(y, dense[every], size[every], "float32")


# Pools and dense layers.


@st.composite
def pools(draw):
    kernel = draw(PAIRS)
    return {
        "shape": (2, *(draw(st.integers(k, k + 5)) for k in kernel), draw(SMALL)),
        "options": (kernel, draw(PAIRS), draw(PADDINGS)),
        "dtype": draw(DTYPES),
        "seed": draw(st.integers(0, 99)),
    }


def check_pools(cases):
    def make(x, case, i):
        pools = (layers.max_pool2d, layers.avg_pool2d)
        return [pool(x, *case["options"]) for pool in pools]

    for case, x, (found_largest, found_mean) in run_cases(cases, make):
        largest = reference.max_pool2d(x, *case["options"])
        assert_near(found_largest, largest, 0 * largest, case["dtype"])
        mean = reference.avg_pool2d(x, *case["options"])
        size = reference.avg_pool2d(np.abs(x), *case["options"])
        assert_near(found_mean, mean, size, case["dtype"])


@st.composite
def dense_layers(draw):
    return {
        "shape": tuple(draw(st.lists(SMALL, min_size=2, max_size=5))),
        "num_outputs": draw(st.integers(1, 5)),
        "dtype": draw(DTYPES),
        "seed": draw(st.integers(0, 99)),
    }


def check_dense_layers(cases):
    def make(x, case, i):
        y = layers.fully_connected(
            x, case["num_outputs"], biases_initializer=noise, scope=f"fc{i}"
        )
        return y, v1.global_variables(f"fc{i}/")

    for case, x, (y, variables) in run_cases(cases, make):
        weights, biases = values(variables)
        size = np.abs(x) @ np.abs(weights) + np.abs(biases)
        assert_near(y, np.maximum(x @ weights + biases, 0), size, case["dtype"])


# Dropout.


@st.composite
def dropouts(draw):
    shape = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    return {
        "shape": shape,
        "shared": [draw(st.booleans()) for _ in shape],
        "keep_prob": draw(st.floats(0.05, 1.0)),
        "training": draw(st.booleans()),
        "dtype": draw(DTYPES),
        "seed": draw(st.integers(0, 99)),
    }


def check_dropouts(cases):
    inputs = [numbers(case["seed"], case["shape"], case["dtype"]) for case in cases]

    def build():
        fetches = []
        for (x, _), case in zip(inputs, cases, strict=True):
            pairs = zip(case["shape"], case["shared"], strict=True)
            options = {
                "keep_prob": case["keep_prob"],
                "noise_shape": [1 if shared else side for side, shared in pairs],
                "is_training": case["training"],
                "seed": case["seed"],
            }
            x = tf.constant(x.numpy())
            fetches.append([layers.dropout(x, **options) for _ in range(2)])
        return fetches

    for (x, plain), case, found in zip(inputs, cases, run_graph(build), strict=True):
        for y in found:
            if not case["training"]:
                np.testing.assert_array_equal(y, x)
                continue
            kept = y != 0
            scaled = plain / case["keep_prob"]
            assert_near(y, np.where(kept, scaled, 0), np.abs(scaled), case["dtype"])
            for axis, shared in enumerate(case["shared"]):
                if shared:  # All along this axis are kept, or none.
                    assert (kept == kept.take([0], axis)).all()


PROPERTIES = {
    "conv2d": (convolutions(), check_convolutions),
    "conv2d_same and subsample": (same_convolutions(), check_same_convolutions),
    "pools": (pools(), check_pools),
    "fully_connected": (dense_layers(), check_dense_layers),
    "dropout": (dropouts(), check_dropouts),
}
