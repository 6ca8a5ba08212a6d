"""What the property tests share: what is drawn, how it is checked and how often.

An example of hypothesis is a list of cases that are built in one graph and run at once.
The fast part always draws the same; the slow part draws more of them.
"""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import tensorflow as tf

from tests.helpers import run_graph

FAST, SLOW = 2, 150
CASES = 6
# What rounding may change, against the sum of the absolute values of what is added.
TOLERANCES = {"float64": 1e-12, "float32": 2e-6, "float16": 4e-3, "bfloat16": 3e-2}
DTYPES = st.sampled_from(tuple(TOLERANCES))
PADDINGS = st.sampled_from(("SAME", "VALID"))
SMALL = st.integers(1, 3)
PAIRS = st.tuples(SMALL, SMALL)


def numbers(seed, shape, dtype="float32"):
    """Values as a layer of that type sees them, as a tensor and in NumPy."""
    values = np.random.default_rng(seed).normal(0.5, 1.0, shape)
    values = values.astype(tf.as_dtype(dtype).as_numpy_dtype)
    return tf.constant(values), values.astype(np.float64)


def run_cases(cases, make):
    """Builds all cases in one graph and runs it.

    Args:
        cases: of each `seed`, `shape` and `dtype`, by default float32, are its input's.
        make: a function of an input, its case and the case's number that gives tensors.

    Returns:
        For each case the case, its input in NumPy, and the tensors' values.
    """
    arrays = []

    def build():
        fetches = []
        for i, case in enumerate(cases):
            dtype = case.get("dtype", "float32")
            x, array = numbers(case["seed"], case["shape"], dtype)
            arrays.append(array)
            fetches.append(make(x, case, i))
        return fetches

    return zip(cases, arrays, run_graph(build), strict=True)


def assert_near(actual, expected, size, dtype):
    """Equal to the type's precision, where values of `size` were added up."""
    assert actual.shape == expected.shape
    assert actual.dtype == tf.as_dtype(dtype).as_numpy_dtype
    error = np.abs(actual.astype(np.float64) - expected)
    assert np.all(error <= TOLERANCES[dtype] * (np.abs(size) + 1)), error.max()


def values(variables):
    return [np.asarray(variable).astype(np.float64) for variable in variables]


def noise(shape, dtype=tf.float32, partition_info=None):
    return tf.cast(tf.random.normal(shape, seed=3), dtype)


def holds(name, strategy, check, examples=FAST):
    """Checks lists of cases; prints how many there were."""
    drawn = []

    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        derandomize=examples == FAST,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(st.lists(strategy, min_size=CASES, max_size=CASES))
    def checked(cases):
        drawn.append(len(cases))
        check(cases)

    checked()
    print(f"{name}: {sum(drawn)} cases")
