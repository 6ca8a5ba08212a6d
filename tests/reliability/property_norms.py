"""Batch norm equals plain NumPy, in training and inference, for whatever is drawn."""

import math

import numpy as np
import tensorflow as tf

from slimnets import layers
from tests.helpers import v1
from tests.reliability import reference
from tests.reliability.properties import (
    DTYPES,
    SMALL,
    assert_near,
    run_cases,
    st,
)


@st.composite
def batch_norms(draw):
    sides = draw(st.lists(st.integers(2, 4), min_size=1, max_size=4))
    dtype = draw(DTYPES)
    return {
        "shape": (*sides, draw(SMALL)),
        "channels_first": draw(st.booleans()),
        "dtype": dtype,
        "training": draw(st.booleans()),
        "as_tensor": draw(st.booleans()),
        "fused": draw(st.sampled_from((None, False))),
        "center": draw(st.booleans()),
        "scale": draw(st.booleans()),
        "decay": draw(st.sampled_from((0.0, 0.5, 0.9, 1.0))),
        "epsilon": draw(st.sampled_from((1e-3, 1e-2, 1.0))),
        "seed": draw(st.integers(0, 99)),
    }


def channel_axis(case):
    first = case["channels_first"] and len(case["shape"]) > 2
    return 1 if first else len(case["shape"]) - 1


def rising(size):
    return np.linspace(0.5, 1.5, size)


def initial_values(shape, dtype=tf.float32, partition_info=None):
    return tf.constant(rising(shape[0]), dtype)


def check_batch_norms(cases):
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    own_names = ("fused", "center", "scale", "decay", "epsilon")

    def make(x, case, i):
        training = case["training"]
        if case["as_tensor"]:
            training = v1.placeholder_with_default(training, [])
        y = layers.batch_norm(
            x,
            is_training=training,
            data_format="NCHW" if case["channels_first"] else "NHWC",
            param_initializers=dict.fromkeys(names, initial_values),
            scope=f"bn{i}",
            **{name: case[name] for name in own_names},
        )
        variables = v1.global_variables(f"bn{i}/")
        updates = v1.get_collection(v1.GraphKeys.UPDATE_OPS, f"bn{i}/")
        with tf.control_dependencies([y, *updates]):
            return y, {v.op.name.split("/")[-1]: v.read_value() for v in variables}

    for case, x, (y, after) in run_cases(cases, make):
        axis = channel_axis(case)
        assert ("gamma" in after, "beta" in after) == (case["scale"], case["center"])
        initial = rising(x.shape[axis])
        gamma = initial if case["scale"] else 1.0
        beta = initial if case["center"] else 0.0
        own = (initial, initial)
        moments = None if case["training"] else own
        expected, mean, variance = reference.batch_norm(
            x, axis, gamma, beta, case["epsilon"], moments
        )
        # Rounding counts in units of the inputs' spread.
        size = (np.abs(x).max() + np.abs(mean).max()) / math.sqrt(case["epsilon"])
        assert_near(y, expected, 4 * size, case["dtype"])
        if case["training"]:
            count = x.size / x.shape[axis]
            if case["fused"] is None and case["dtype"] != "float64":
                variance = variance * count / (count - 1)
            decay = case["decay"]
            own = [initial * decay + new * (1 - decay) for new in (mean, variance)]
        found = (after["moving_mean"], after["moving_variance"])
        for actual, desired in zip(found, own, strict=True):
            np.testing.assert_allclose(actual, desired, 2e-5, 2e-5)


PROPERTIES = {"batch_norm": (batch_norms(), check_batch_norms)}
