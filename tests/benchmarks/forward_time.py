"""Times inference of the exported network beside ONNX Runtime and Keras Applications.

    python -m tests.benchmarks.forward_time [--network=resnet_v2_50] [--turns=10]
        [--threads=N] [--batches 1 16]

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
from slimnets.benchmarking.prepare import as_trained
from slimnets.benchmarking.report import table
from slimnets.benchmarking.work import Work
from slimnets.export import FORMATS, export_model, load


def compare_int8(network: str, turns: int, threads: int) -> None:
    """Prints how much faster int8 is than float32, for each runtime."""
    model = slimnets.Model(network, num_classes=1000, seed=0)
    size = model.default_image_size
    shape = [1, size, size, 3]
    model.build(shape)
    as_trained(model)
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
                runners[precision] = load(path, threads=threads)
            _print_ratio(name, runners, batches[0], turns)


def _print_ratio(name: str, runners: dict, images: np.ndarray, turns: int) -> None:
    clocks = {"": time.perf_counter, " of processor time": time.process_time}
    seconds = {(what, p): [] for what in clocks for p in runners}
    for _ in range(turns + 1):
        for precision, run in runners.items():
            started = {what: clock() for what, clock in clocks.items()}
            run(images)
            for what, clock in clocks.items():
                seconds[what, precision].append(clock() - started[what])
    for what in clocks:
        low, full = (
            statistics.median(seconds[what, precision][1:])
            for precision in ("int8", "float32")
        )
        print(
            f"{name}: int8 {1 / low:.1f} images/s{what}, float32 {1 / full:.1f}, "
            f"ratio {full / low:.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--network", default="resnet_v2_50")
    parser.add_argument("--turns", type=int, default=10, help="of each subject")
    parser.add_argument("--threads", type=int, help="of each subject")
    parser.add_argument("--batches", type=int, nargs="+", default=(1, 16))
    arguments = parser.parse_args()
    works = [
        Work(
            arguments.network,
            batch_size=batch,
            precision=precision,
            threads=arguments.threads,
        )
        for precision in ("float32", "bfloat16")
        for batch in arguments.batches
    ]
    peers = ("onnxruntime", "keras")
    print(table(measure(works, compare=peers, turns=arguments.turns)))
    threads = arguments.threads or os.cpu_count()
    compare_int8(arguments.network, arguments.turns, threads)


if __name__ == "__main__":
    main()
