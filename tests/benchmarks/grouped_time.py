"""Times a network of grouped convolutions beside torch, forward and in training.

    python -m tests.benchmarks.grouped_time [--network=resnext50_32x4d]
        [--batch_size=16] [--image_size=224] [--threads=2] [--turns=10]

torch computes eagerly with channels last, in float32 and by autocast in bfloat16; all
in turns. Where torch, or the network in torchvision or timm, is not installed, the
table says so. slimnets runs forward as it is exported; its training step, like torch's,
is plain gradient descent.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from slimnets.benchmarking.comparison_table import table
from slimnets.benchmarking.measuring import measure
from slimnets.benchmarking.workload import MODES, Work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--network", default="resnext50_32x4d")
    for name, default in (
        ("batch_size", 16),
        ("image_size", 224),
        ("threads", 2),
        ("turns", 10),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = vars(parser.parse_args())
    turns = arguments.pop("turns")
    works = [
        Work(**arguments, precision=precision, mode=mode)
        for precision in ("float32", "bfloat16")
        for mode in MODES
    ]
    print(table(measure(works, compare=["torch"], turns=turns)))


if __name__ == "__main__":
    main()
