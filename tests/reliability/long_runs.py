"""Memory, open files and traces over many steps, or many networks made.

    python -m tests.reliability.long_runs steps|models|functions COUNT

`functions` is TensorFlow alone: a tf.function of as many convolutions as the network
has, for what TensorFlow itself keeps of each. Prints as JSON, of what comes after the
first quarter: by how many KB the resident memory grows with each step, network or
function (by a fitted line), how many more files are open at the end, and how often the
network was traced again.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from slimnets import Model
from slimnets.factory import register_network
from slimnets.training import TrainingConfig, train
from slimnets.training.run import Run
from tests.training.runs import dropping

NETWORK = "resnet_v2_cifar_20"
PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024


class Samples:
    """What the process uses, once for each step or network."""

    def __init__(self) -> None:
        self.counts: list[int] = []
        self.kilobytes: list[float] = []
        self.files: list[int] = []
        self.traces: list[int] = []

    def take(self, count: int, traces: int) -> None:
        gc.collect()
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[1])
        self.counts.append(count)
        self.kilobytes.append(pages * PAGE_KB)
        self.files.append(len(os.listdir("/proc/self/fd")))
        self.traces.append(traces)

    def summary(self) -> dict[str, float]:
        warm = len(self.counts) // 4
        slope = np.polyfit(self.counts[warm:], self.kilobytes[warm:], 1)[0]
        return {
            "count": self.counts[-1],
            "kilobytes_each": round(float(slope), 3),
            "megabytes": round(self.kilobytes[-1] / 1024),
            "more_files": self.files[-1] - self.files[warm],
            "traces": self.traces[-1] - self.traces[warm],
        }


def steps(count: int) -> dict[str, float]:
    """Trains for so many steps, with logs, checkpoints and evaluations."""
    register_network(dropping)
    samples, agree = Samples(), Run.agree

    def sampled(run: Run, numbers: list[float]) -> list[float]:
        samples.take(int(run.optimizer.iterations), run.model.trace_count)
        return agree(run, numbers)

    with tempfile.TemporaryDirectory() as train_dir:
        config = TrainingConfig(
            model_name="dropping", train_dir=train_dir, max_number_of_steps=count,
            batch_size=32, moving_average_decay=0.98, mixup_alpha=0.2,
            save_interval_steps=100, eval_interval_steps=200, keep_best=True,
            log_every_n_steps=10,
        )  # fmt: skip
        with mock.patch.object(Run, "agree", sampled):
            train(config, show=False)
    return samples.summary()


def models(count: int) -> dict[str, float]:
    """Makes and drops so many networks."""
    samples = Samples()
    for number in range(count):
        model = Model(NETWORK, num_classes=10)
        model.build([None, 8, 8, 1])
        again = model.trace_count - 1
        del model
        samples.take(number, again)
    return samples.summary()


def functions(count: int) -> dict[str, float]:
    """Makes and drops so many tf.functions with variables, without slimnets."""
    samples = Samples()
    for number in range(count):
        kernels = [tf.Variable(tf.zeros([3, 3, 16, 16])) for _ in range(20)]

        def network(images, kernels=kernels):
            for kernel in kernels:
                images = tf.nn.relu(tf.nn.conv2d(images, kernel, 1, "SAME"))
            return images

        function = tf.function(network)
        function.get_concrete_function(tf.TensorSpec([None, 8, 8, 16]))
        del kernels, network, function
        samples.take(number, 0)
    return samples.summary()


KINDS = {"steps": steps, "models": models, "functions": functions}

if __name__ == "__main__":
    print(json.dumps(KINDS[sys.argv[1]](int(sys.argv[2]))))
