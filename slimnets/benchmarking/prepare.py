"""Exports a network for a comparison, in a process whose memory nobody measures.

python -m slimnets.benchmarking.prepare WORK DIRECTORY SUBJECT
"""

from __future__ import annotations

import json
import os
import sys

import numpy as np

import slimnets
from slimnets.benchmarking.workload import Work, file_of
from slimnets.export import export_model

_CALIBRATION_IMAGES = 8


def write(work: Work, directory: str, subject: str) -> None:
    """Writes what a subject loads."""
    network, options = work.built
    model = slimnets.Model(network, num_classes=work.num_classes, seed=0, **options)
    sizes = [work.image_size, work.image_size, 3]
    model.build([None, *sizes])
    as_trained(model)
    images = np.random.default_rng(0).normal(size=[_CALIBRATION_IMAGES, 1, *sizes])
    file = file_of(subject, work, directory)
    # StableHLO has no free sizes.
    batch = work.batch_size if file.format == "stablehlo" else None
    export_model(
        model,
        file.path,
        format=file.format,
        input_shape=[batch, *sizes],
        precision=file.precision,
        levels=[],
        calibration=images if file.precision == "int8" else (),
        # Weights are random here: how far rounding carries says nothing.
        tolerance=1.0,
    )


def as_trained(model: slimnets.Model) -> None:
    """Gives norms and biases values such as training leaves.

    Of a network that has just been made these are zeros and ones, and a runtime drops
    sums with zeros: it would be timed at less than what it has to do.
    """
    rng = np.random.default_rng(0)
    for name, variable in model.variables_by_name.items():
        kind = name.rpartition("/")[2]
        if kind in ("beta", "biases", "moving_mean"):
            variable.assign(rng.normal(0, 0.1, variable.shape))
        elif kind in ("gamma", "moving_variance"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    text, *others = sys.argv[1:]
    write(Work(**json.loads(text)), *others)
