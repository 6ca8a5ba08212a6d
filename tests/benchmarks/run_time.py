"""What `slimnets run` adds to the start of a program, beside plain Python.

    python -m tests.benchmarks.run_time [--runs=5]

The program imports TensorFlow and ends. Both start it in turns, each time in a process
of its own. Prints medians of the processor's and the wall's seconds, and of what
`slimnets run` adds, turn by turn. Where processors are shared, the former count.
"""

from __future__ import annotations

import argparse
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time

PROGRAM = "import tensorflow as tf\n"
COMMANDS = {"python": [], "slimnets run": ["-m", "slimnets", "run"]}


def measure(command: list[str]) -> tuple[float, float]:
    """Returns seconds of the processor, and of the wall."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5, help="turns")
    runs = parser.parse_args().runs
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder) / "program.py"
        program.write_text(PROGRAM)
        for turn in range(runs + 1):
            for name, words in COMMANDS.items():
                measured = measure([sys.executable, *words, str(program)])
                if turn:  # The first reads files into memory.
                    seconds[name].append(measured)
    for name, values in seconds.items():
        used, wall = map(statistics.median, zip(*values, strict=True))
        print(f"{name:13}processor {used:.2f} s, wall {wall:.2f} s")
    pairs = list(zip(seconds["slimnets run"], seconds["python"], strict=True))
    for at, kind in enumerate(("processor", "wall")):
        added = [ours[at] - plain[at] for ours, plain in pairs]
        low, middle, high = min(added), statistics.median(added), max(added)
        print(f"added, {kind}: {middle:.2f} s (turn by turn {low:.2f} to {high:.2f})")
    print(f"Python {platform.python_version()}, {platform.machine()}, {runs} turns")


if __name__ == "__main__":
    main()
