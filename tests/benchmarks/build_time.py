"""Times making networks, in graph code and in TF2, against Keras Applications.

    python -m tests.benchmarks.build_time [--runs=5]

resnet_v2_152 is built in graph code, against making Keras's ResNet152V2; and a Model
of resnet_v2_50 is made and called once, against the same of Keras's ResNet50V2. Each
happens in a process of its own, as a user's first one does, and the two take turns;
`warm` is the same work a second time in that process. Imports are not counted, and
printed separately. Prints medians, their ratio pair by pair, and what machine it was.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
from typing import NamedTuple

_CHILD = """
import time
start = time.perf_counter()
import tensorflow as tf
imported = time.perf_counter()
{import_}
ready = time.perf_counter()
{work}
done = time.perf_counter()
{work}
again = time.perf_counter()
print(ready - imported, done - ready, again - done, tf.__version__)
"""
_CALL = "model(tf.zeros([1, 224, 224, 3]))"


class Comparison(NamedTuple):
    """What slimnets and Keras are timed at.

    Attributes:
        title: what it is.
        slimnets: Python code, after slimnets is imported.
        network: the name of Keras's network.
        keras: Python code, after that is imported.
    """

    title: str
    slimnets: str
    network: str
    keras: str

    def programs(self) -> dict[str, str]:
        """Returns a whole program for each side."""
        import_ = f"from keras.applications import {self.network}"
        return {
            "slimnets": _CHILD.format(
                import_="import slimnets; slimnets.build; slimnets.Model",
                work=self.slimnets,
            ),
            "keras": _CHILD.format(import_=import_, work=self.keras),
        }


COMPARISONS = (
    Comparison(
        "resnet_v2_152 in graph code",
        """
with tf.Graph().as_default():
    images = tf.compat.v1.placeholder(tf.float32, [None, 224, 224, 3])
    slimnets.build("resnet_v2_152", images, num_classes=1000, is_training=True)
""",
        "ResNet152V2",
        "ResNet152V2(weights=None)",
    ),
    Comparison(
        "inception_v3 in graph code",
        """
with tf.Graph().as_default():
    images = tf.compat.v1.placeholder(tf.float32, [None, 299, 299, 3])
    slimnets.build("inception_v3", images, num_classes=1000, is_training=True)
""",
        "InceptionV3",
        "InceptionV3(weights=None)",
    ),
    Comparison(
        "a Model of resnet_v2_50, made and called",
        f'model = slimnets.Model("resnet_v2_50", num_classes=1000); {_CALL}',
        "ResNet50V2",
        f"model = ResNet50V2(weights=None); {_CALL}",
    ),
)


def measure(program: str) -> tuple[list[float], str]:
    """Returns seconds of importing, working and working again, and the version."""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    *seconds, version = result.stdout.split()
    return [float(value) for value in seconds], version


def compare(comparison: Comparison, runs: int) -> str:
    """Times both sides in turns and prints it. Returns TensorFlow's version."""
    results = {name: [] for name in comparison.programs()}
    for _ in range(runs):
        for name, program in comparison.programs().items():
            seconds, version = measure(program)
            results[name].append(seconds)
    print(f"{comparison.title}, against {comparison.network}")
    for name, values in results.items():
        import_, work, warm = map(statistics.median, zip(*values, strict=True))
        print(
            f"  {name:9}{work:.2f} s, warm {warm:.2f} s   import after TensorFlow "
            f"{import_:.3f} s"
        )
    for index, form in ((1, "slimnets / keras"), (2, "            warm")):
        pairs = zip(results["slimnets"], results["keras"], strict=True)
        ratios = [ours[index] / theirs[index] for ours, theirs in pairs]
        low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
        print(f"  {form}: {middle:.2f} (pair by pair {low:.2f} to {high:.2f})")
    return version


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5, help="runs of each")
    runs = parser.parse_args().runs
    for comparison in COMPARISONS:
        version = compare(comparison, runs)
    print(f"TensorFlow {version}, {platform.machine()}, medians of {runs} runs of each")


if __name__ == "__main__":
    main()
