"""Times inference of the exported network beside ONNX Runtime and Keras Applications.

    python -m tests.benchmarks.forward_time [--network=resnet_v2_50] [--turns=10]

In float32 and bfloat16, at batch 1 and 16, all subjects in turns; ONNX Runtime computes
in float32 beside either. Then int8 beside float32, in TFLite and in ONNX Runtime, at
batch 1. Prints what machine it was, medians and ratios.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import slimnets
from slimnets.benchmarking.measuring import measure
from slimnets.benchmarking.report import table
from slimnets.benchmarking.work import Work
from slimnets.export import FORMATS, export_model, load


def compare_int8(network: str, turns: int) -> None:
    """Prints how much faster int8 is than float32, for each runtime."""
    model = slimnets.Model(network, num_classes=1000, seed=0)
    size = model.default_image_size
    shape = [1, size, size, 3]
    model.build(shape)
    rng = np.random.default_rng(0)
    batches = [rng.normal(size=shape).astype(np.float32) for _ in range(8)]
    with tempfile.TemporaryDirectory() as directory:
        for name in ("tflite", "onnx"):
            runners = {}
            for precision in ("float32", "int8"):
                path = os.path.join(directory, precision + FORMATS[name].ending)
                export_model(
                    model,
                    path,
                    format=name,
                    input_shape=shape,
                    precision=precision,
                    levels=[],
                    calibration=batches if precision == "int8" else (),
                    tolerance=1.0,
                )
                runners[precision] = load(path, threads=os.cpu_count())
            seconds = {precision: [] for precision in runners}
            for _ in range(turns + 1):
                for precision, run in runners.items():
                    started = time.perf_counter()
                    run(batches[0])
                    seconds[precision].append(time.perf_counter() - started)
            low, full = (statistics.median(seconds[p][1:]) for p in ("int8", "float32"))
            print(
                f"{name}: int8 {1 / low:.1f} images/s, float32 {1 / full:.1f}, "
                f"ratio {full / low:.2f}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--network", default="resnet_v2_50")
    parser.add_argument("--turns", type=int, default=10, help="of each subject")
    arguments = parser.parse_args()
    works = [
        Work(arguments.network, batch_size=batch, precision=precision)
        for precision in ("float32", "bfloat16")
        for batch in (1, 16)
    ]
    peers = ("onnxruntime", "keras")
    print(table(measure(works, compare=peers, turns=arguments.turns)))
    compare_int8(arguments.network, arguments.turns)


if __name__ == "__main__":
    main()
