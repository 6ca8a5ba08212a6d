"""Whether an exported network gives what its source does, on sample images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

# The largest difference of an output, relative to its largest value, that passes.
TOLERANCES = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1, "int8": 5e-1}
# Processors compute float32 in more than one way: some multiply numbers of 16 bits, in
# parts. A network may therefore differ by as many times what it differs by itself when
# its weights change in their 17th bit, if that is more than the tolerance.
JITTER, SPREADS = 2.0**-16, 4
_SAMPLES = 2


def sample_inputs(
    specs: Mapping[str, tf.TensorSpec], seed: int = 0
) -> dict[str, np.ndarray]:
    """Returns random inputs by name, of a few images where the batch is free."""
    rng = np.random.default_rng(seed)
    samples = {}
    for name, spec in specs.items():
        first, *rest = spec.shape.as_list()
        shape = [first or _SAMPLES, *(size or _SAMPLES for size in rest)]
        samples[name] = rng.normal(size=shape).astype(np.float32)
    return samples


def largest_difference(
    found: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray]
) -> float:
    """Returns the largest difference, each output's relative to its largest value; of
    one that is numbers of classes, the share that is another.

    Args:
        found: outputs by name; those that the format does not have are left out.
        wanted: the source's outputs.

    Raises:
        ValueError: for an output of another shape, or that is not finite.
    """
    largest = 0.0
    for name, values in found.items():
        expected = np.asarray(wanted[name])
        are_classes = expected.dtype.kind in "iu"
        values = np.asarray(values, np.float64)
        if values.shape != expected.shape:
            raise ValueError(
                f"The exported {name} is of shape {values.shape}; the network's is "
                f"{expected.shape}."
            )
        if not np.isfinite(values).all():
            raise ValueError(f"The exported {name} is not finite.")
        if are_classes:
            largest = max(largest, float(np.mean(values != expected)))
            continue
        scale = max(float(np.abs(expected).max(initial=0)), 1e-6)
        difference = np.abs(values - expected).max(initial=0) / scale
        largest = max(largest, float(difference))
    return largest
