"""From the command to the first step and to the first accuracy, beside Keras.

    python -m tests.benchmarks.start_time [--runs=5]

`slimnets train` takes one step of resnet_v2_cifar_20 on digits and evaluates; a script
of Keras does the same with a network of the same layers on numbers of the same shapes.
They take turns, each in a process of its own. Prints medians of the wall's seconds to
each, of the processor's in all, and the same of a process that only imports TensorFlow.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

KERAS = """
import keras, numpy

def unit(x, depth, stride, first):
    y = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    last = 4 * depth
    if first:
        x = keras.layers.Conv2D(last, 1, strides=stride)(y)
    y = keras.layers.Conv2D(depth, 1, use_bias=False)(y)
    y = keras.layers.ReLU()(keras.layers.BatchNormalization()(y))
    y = keras.layers.Conv2D(depth, 3, strides=stride, padding="same", use_bias=False)(y)
    y = keras.layers.ReLU()(keras.layers.BatchNormalization()(y))
    return x + keras.layers.Conv2D(last, 1)(y)

inputs = x = keras.Input([16, 16, 1])
x = keras.layers.Conv2D(16, 3, padding="same", use_bias=False)(x)
for depth, stride in ((16, 1), (32, 2), (64, 2)):
    x = unit(x, depth, stride, True)
    x = unit(x, depth, 1, False)
x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
x = keras.layers.GlobalAveragePooling2D()(x)
model = keras.Model(inputs, keras.layers.Dense(10)(x))
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.SGD(0.1, 0.9, True), loss, metrics=["accuracy"])
images = numpy.random.rand(1437, 16, 16, 1).astype("float32")
labels = numpy.random.randint(0, 10, 1437)
model.fit(images[:64], labels[:64], batch_size=64, verbose=0)
print("step 1 of 1", flush=True)
print("accuracy", model.evaluate(images[:360], labels[:360], batch_size=64, verbose=0))
"""
# How the lines of both begin.
MARKS = (".*step 1 of 1", "accuracy ")
TRAIN = (
    "--flagfile=configs/digits_resnet.flags --max_number_of_steps=1 "
    "--log_every_n_steps=1 --train_dir="
)


def measure(command: list[str]) -> tuple[float, float, float]:
    """Returns the wall's seconds to the first step and to the accuracy, and the
    processor's in all."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    seen = {}
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=environment,
    ) as process:  # fmt: skip
        for line in process.stdout:
            for mark in MARKS:
                if re.match(mark, line):
                    seen.setdefault(mark, time.perf_counter() - start)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} failed.")
    whole = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    step, accuracy = (seen.get(mark, whole) for mark in MARKS)
    return step, accuracy, used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5, help="turns")
    runs = parser.parse_args().runs
    subjects = ("slimnets", "Keras", "import tensorflow")
    seconds: dict[str, list[tuple[float, float, float]]] = {n: [] for n in subjects}
    for turn in range(runs + 1):
        with tempfile.TemporaryDirectory() as folder:
            words = ["-m", "slimnets", "train", *(TRAIN + folder + "/run").split()]
            programs = (words, ["-c", KERAS], ["-c", "import tensorflow"])
            for name, arguments in zip(subjects, programs, strict=True):
                measured = measure([sys.executable, *arguments])
                if turn:  # The first reads files into memory.
                    seconds[name].append(measured)
    for name, values in seconds.items():
        step, accuracy, used = map(statistics.median, zip(*values, strict=True))
        print(
            f"{name:18}first step {step:.2f} s, accuracy {accuracy:.2f} s, "
            f"processor {used:.2f} s"
        )
    print(f"Python {platform.python_version()}, {platform.machine()}, {runs} turns")


if __name__ == "__main__":
    main()
