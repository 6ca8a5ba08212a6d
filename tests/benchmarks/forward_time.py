"""Times inference of the exported network beside ONNX Runtime and Keras Applications.

    python -m tests.benchmarks.forward_time [--network=resnet_v2_50] [--turns=10]
        [--threads=N] [--batches 1 16]

As a frozen graph in float32 and bfloat16, and as a TFLite file in float32, at batch 1
and 16; then in int8, in ONNX Runtime and as a TFLite file, at batch 1. All subjects in
turns, each in a process of its own; ONNX Runtime computes slimnets' export in float32
beside each. Prints what machine it was, medians and ratios.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from slimnets.benchmarking.comparison_table import table
from slimnets.benchmarking.measuring import measure
from slimnets.benchmarking.workload import Work

# What is measured: precision, form, and whether at batch 1 alone.
_KINDS = (
    ("float32", "frozen_graph", False),
    ("float32", "tflite", False),
    ("bfloat16", "frozen_graph", False),
    ("int8", "onnx", True),
    ("int8", "tflite", True),
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
            form=form,
            threads=arguments.threads,
        )
        for precision, form, single in _KINDS
        for batch in ((1,) if single else arguments.batches)
    ]
    peers = ("onnxruntime", "keras")
    print(table(measure(works, compare=peers, turns=arguments.turns)))


if __name__ == "__main__":
    main()
