"""Whether an exported network gives what its source does, on sample images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from slimnets.heads.boxes import same_objects

# The largest difference of an output that passes: in float32 of any value, relative to
# the largest; in lower precisions of all together, relative to all. There single values
# say nothing: in a trained MobileNet v1 one of a million activations between 0 and 6 is
# 6 in float32 and 0 in bfloat16, which has the same classes.
TOLERANCES = {"float32": 1e-4, "float16": 1e-1, "bfloat16": 3e-1, "int8": 5e-1}
# Orders of the norms by which outputs are compared.
LARGEST, TOGETHER = np.inf, 2
SIZES = {LARGEST: "its largest output", TOGETHER: "all of an output"}
# Processors compute float32 in more than one way: some multiply numbers of 16 bits, in
# parts. A network may therefore differ by as many times what it differs by itself when
# its weights change in their 17th bit, if that is more than the tolerance.
JITTER, SPREADS = 2.0**-16, 4
_SAMPLES = 2
_DETECTIONS = frozenset({"boxes", "scores", "classes", "number"})


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
    found: Mapping[str, np.ndarray],
    wanted: Mapping[str, np.ndarray],
    order: float = LARGEST,
) -> float:
    """Returns the largest difference, each output's relative to its own size; of one
    that is numbers of classes, the share that is another.

    Detections, of which one more or less moves all behind it, are compared with
    `TOGETHER` by the share of the source's, as sure as they are, that is lost.

    Args:
        found: outputs by name; those that the format does not have are left out.
        wanted: the source's outputs.
        order: of the norm that is the size, `LARGEST` or `TOGETHER`.

    Raises:
        ValueError: for an output of another shape, or that is not finite.
    """
    if order == TOGETHER and found.keys() >= _DETECTIONS:
        return _lost(found, wanted)
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
        size, difference = (
            np.linalg.norm(each.ravel(), order) if each.size else 0.0
            for each in (expected.astype(np.float64), values - expected)
        )
        largest = max(largest, float(difference) / max(float(size), 1e-6))
    return largest


def _lost(found: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray]) -> float:
    """The share of detections that have none of their class over half of them."""
    lost = total = 0.0
    for image in range(len(wanted["number"])):
        one, other = (
            {name: np.asarray(each[name][image]) for name in _DETECTIONS}
            for each in (wanted, found)
        )
        number, others = int(one["number"]), int(other["number"])
        is_there = same_objects(
            *(one[name][:number] for name in ("boxes", "classes")),
            *(other[name][:others] for name in ("boxes", "classes")),
        ).any(-1)
        scores = one["scores"][:number]
        lost += float(scores[~is_there].sum())
        total += float(scores.sum())
    return lost / max(total, 1e-6)
