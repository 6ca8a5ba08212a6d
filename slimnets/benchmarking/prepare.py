"""Exports a network for a comparison, in a process whose memory nobody measures.

python -m slimnets.benchmarking.prepare WORK DIRECTORY [FORMAT ...]
"""

from __future__ import annotations

import json
import os
import sys

import numpy as np

import slimnets
from slimnets.benchmarking.work import Work, exported_path
from slimnets.export import export_model


def main(text: str, directory: str, *formats: str) -> None:
    """Writes each format; ONNX in float32, for which its runtime has kernels."""
    work = Work(**json.loads(text))
    model = slimnets.Model(work.network, num_classes=work.num_classes, seed=0)
    shape = [None, work.image_size, work.image_size, 3]
    model.build(shape)
    as_trained(model)
    for name in formats:
        export_model(
            model,
            exported_path(directory, name),
            format=name,
            input_shape=shape,
            precision="float32" if name == "onnx" else work.precision,
            levels=[],
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
    main(*sys.argv[1:])
