"""Times building resnet_v2_152 in graph code against Keras's ResNet152V2.

    python -m tests.benchmarks.build_time [--runs=5]

Each build happens in a process of its own, as a user's first one does, and the two
take turns. Imports are not counted, and printed separately. Prints medians, their
ratio, and what machine it was.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys

_CHILD = """
import time
start = time.perf_counter()
import tensorflow as tf
imported = time.perf_counter()
{import_}
ready = time.perf_counter()
{build}
built = time.perf_counter()
print(imported - start, ready - imported, built - ready, tf.__version__)
"""
_SLIMNETS = _CHILD.format(
    import_="import slimnets; slimnets.build",
    build="""
with tf.Graph().as_default():
    images = tf.compat.v1.placeholder(tf.float32, [None, 224, 224, 3])
    slimnets.build("resnet_v2_152", images, num_classes=1000, is_training=True)
""",
)
_KERAS = _CHILD.format(
    import_="from keras.applications import ResNet152V2",
    build="ResNet152V2(weights=None)",
)


def measure(program: str) -> tuple[float, float, str]:
    """Returns the seconds of importing and of building, and TensorFlow's version."""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    _, import_, build, version = result.stdout.split()
    return float(import_), float(build), version


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5, help="builds of each")
    runs = parser.parse_args().runs
    programs = {"slimnets": _SLIMNETS, "keras": _KERAS}
    results = {name: [] for name in programs}
    ratios = []
    for _ in range(runs):
        for name, program in programs.items():
            results[name].append(measure(program))
        ratios.append(results["slimnets"][-1][1] / results["keras"][-1][1])
    version = results["slimnets"][0][2]
    print(f"TensorFlow {version}, {platform.machine()}, {runs} builds of each, medians")
    for name, values in results.items():
        import_, build = (statistics.median(v[i] for v in values) for i in (0, 1))
        print(f"{name:9} build {build:.2f} s   import after TensorFlow {import_:.3f} s")
    low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
    print(f"slimnets / keras: {middle:.2f} (pair by pair {low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
