"""How long loading takes beside reading the bytes and assigning them; peak memory.

    python tests/benchmarks/load_time.py [--network=resnet152] [--repeats=5]

Each file is read and assigned in turn by `load_weights` and by the least code that can
do it: all bytes of the file into memory, then each variable assigned from an array of
its size. Ratios are of medians of one run. Memory is measured in a process of its own
for each file: how much loading raises the process's peak, in multiples of the file.
"""

import argparse
import gc
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

import slimnets
from slimnets.checkpoints import convert_weights, load_weights, save_weights
from slimnets.checkpoints.networks import variable_specs

MEGABYTE = 2**20


def build(name: str) -> slimnets.Model:
    model = slimnets.Model(name, num_classes=1000)
    model.build([None, 64, 64, 3])
    return model


def read_and_assign(files: list[pathlib.Path], model: slimnets.Model) -> None:
    """The least that loading must do."""
    data = [np.frombuffer(path.read_bytes(), np.uint8) for path in files]
    largest = max(data, key=len)
    position = 0
    for variable in model.variables:
        size = variable.shape.num_elements() * 4
        # Aligned, so that nothing but the copying is measured.
        start = min(position, len(largest) - size) // 64 * 64
        value = largest[start : start + size].view(np.float32)
        variable.assign(value.reshape(variable.shape))
        position = start + size


def measure(path: str, files: list[pathlib.Path], model, repeats: int) -> None:
    seconds: dict[str, list[float]] = {"load": [], "bytes": []}
    for _ in range(repeats + 1):
        for name, work in (
            ("bytes", lambda: read_and_assign(files, model)),
            ("load", lambda: load_weights(path, model)),
        ):
            started = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - started)
    # The first turn warms the file cache.
    load, least = (statistics.median(seconds[name][1:]) for name in ("load", "bytes"))
    size = sum(file.stat().st_size for file in files) / MEGABYTE
    print(
        f"{files[0].name}: {size:.0f} MB, load {load:.3f} s, bytes and assign "
        f"{least:.3f} s, ratio {load / least:.2f}",
        flush=True,
    )


def memory(path: str, name: str) -> None:
    """Prints by how many MB loading raises this process's peak (Linux)."""
    specs = variable_specs(slimnets.network_info(name).network, 1000)
    variables = {n: tf.Variable(tf.ones(s.shape)) for n, s in specs.items()}
    # Code that is loaded when it first runs is no cost of a file's size.
    with tempfile.TemporaryDirectory() as temporary:
        small = {"w": tf.Variable([1.0])}
        load_weights(save_weights(f"{temporary}/small", small), small)
    gc.collect()
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # The peak starts anew.
    before = status("VmRSS")
    load_weights(path, variables, network=name)
    print(status("VmHWM") - before)


def status(field: str) -> float:
    """A figure of this process's memory, in MB."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(x.split()[1]) for x in lines if x.startswith(field)) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="resnet152")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--memory", help="of one file, in this process")
    arguments = parser.parse_args()
    if arguments.memory:
        memory(arguments.memory, arguments.network)
        return
    model = build(arguments.network)
    largest = max(v.shape.num_elements() for v in model.variables) * 4 / MEGABYTE
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(temporary)
        prefix = model.save(str(directory / "model.ckpt"))
        tensors = directory / "model.safetensors"
        convert_weights(prefix, tensors)
        for path, files in (
            (str(tensors), [tensors]),
            (prefix, [directory / "model.ckpt.data-00000-of-00001"]),
        ):
            measure(path, files, model, arguments.repeats)
            command = [sys.executable, __file__, f"--memory={path}"]
            raised = subprocess.run(
                [*command, f"--network={arguments.network}"],
                check=True, capture_output=True, text=True,
            )  # fmt: skip
            size = files[0].stat().st_size / MEGABYTE
            print(
                f"  peak memory raised by {float(raised.stdout.split()[-1]):.0f} MB; "
                f"file {size:.0f} MB, largest tensor {largest:.0f} MB"
            )


if __name__ == "__main__":
    tf.get_logger().setLevel("ERROR")
    main()
