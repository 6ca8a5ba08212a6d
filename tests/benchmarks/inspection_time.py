"""Times what summaries and pictures take beyond building a network.

    python -m tests.benchmarks.inspection_time [--network=resnet_v2_200] [--runs=3]

Each run is a process of its own, as a user's first one is. Prints medians: building
the graph, reading and writing the summary, and drawing at three depths, matplotlib's
import included in the first; by the clock, and of the processor alone.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys

_CHILD = """
import json, sys, tempfile, time
import tensorflow as tf
from slimnets.inspection import plot_network
from slimnets.inspection.layers import layers_of
from slimnets.inspection.graphs import graph_of
from slimnets.inspection.summary import Summary

def now():
    return time.perf_counter(), time.process_time()

times, last = {"tensorflow": tf.__version__}, now()

def lap(name):
    global last
    ends = now()
    times[name], last = [end - begin for begin, end in zip(last, ends)], ends

name, graph = graph_of(sys.argv[1])
lap("build")
summary = Summary(name, tuple(layers_of(graph)))
summary.text()
lap("summary")
folder = tempfile.mkdtemp()
for title, depth, ending in (
    ("plot of blocks, svg, with matplotlib's import", 1, "svg"),
    ("plot of blocks, png", 1, "png"),
    ("plot of units, svg", 2, "svg"),
    ("plot of all layers, svg", None, "svg"),
    ("plot of all layers, png", None, "png"),
):
    plot_network(summary, f"{folder}/net.{ending}", depth=depth)
    lap(title)
print(json.dumps(times))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--network", default="resnet_v2_200", help="a registered name")
    parser.add_argument("--runs", type=int, default=3, help="processes")
    options = parser.parse_args()
    command = [sys.executable, "-c", _CHILD, options.network]
    results = [
        json.loads(
            subprocess.run(command, capture_output=True, text=True, check=True).stdout
        )
        for _ in range(options.runs)
    ]
    version = results[0].pop("tensorflow")
    print(
        f"{options.network}, TensorFlow {version}, {platform.machine()}, medians of "
        f"{options.runs}"
    )
    print("   wall  processor")
    for title in results[0]:
        wall, processor = (
            statistics.median(result[title][place] for result in results)
            for place in (0, 1)
        )
        print(f"{wall:7.2f} s {processor:7.2f} s  {title}")


if __name__ == "__main__":
    main()
