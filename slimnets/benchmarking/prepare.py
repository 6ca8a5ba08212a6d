"""Exports a network for a comparison, in a process whose memory nobody measures.

python -m slimnets.benchmarking.prepare WORK DIRECTORY [FORMAT ...]
"""

from __future__ import annotations

import json
import os
import sys

import slimnets
from slimnets.benchmarking.work import Work, exported_path
from slimnets.export import export_model


def main(text: str, directory: str, *formats: str) -> None:
    """Writes each format; ONNX in float32, for which its runtime has kernels."""
    work = Work(**json.loads(text))
    model = slimnets.Model(work.network, num_classes=work.num_classes, seed=0)
    shape = [None, work.image_size, work.image_size, 3]
    model.build(shape)
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


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main(*sys.argv[1:])
