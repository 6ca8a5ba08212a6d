"""How fast a training step is beside Keras's, and how much memory it takes.

    python tests/benchmarks/step_time.py [--image_size=224] [--batch_size=16]
        [--rounds=5] [--steps=2] [--sides=slimnets,keras,recompute]

resnet_v2_50 with Nesterov momentum, L2 loss and batch norm's updates, by slimnets' own
training step, against keras.applications.ResNet50V2 with the same optimizer by
train_on_batch; in float32, and in bfloat16 against mixed_bfloat16. Each side runs in a
process of its own, which takes its steps when the others rest, in turn. Ratios are of
medians of the rounds, by the clock and by processor time, which other work on the
machine disturbs less; memory is the process's peak, without what it has before the
network is built. `recompute` is slimnets' step with --recompute.
"""

import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SIDES = ("slimnets", "keras", "recompute")
KERAS_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
CLASSES = 1000


def make_step(side: str, precision: str, image_size: int, batch_size: int):
    """A function of a number of steps."""
    import numpy as np

    rng = np.random.default_rng(0)
    images = rng.normal(size=[batch_size, image_size, image_size, 3]).astype("f")
    labels = rng.integers(0, CLASSES, batch_size)
    if side == "keras":
        return _keras_step(precision, images, labels)
    return _own_step(precision, images, labels, side == "recompute")


def _keras_step(precision, images, labels):
    import keras

    keras.mixed_precision.set_global_policy(KERAS_POLICIES[precision])
    model = keras.applications.ResNet50V2(
        weights=None, classes=CLASSES, input_shape=images.shape[1:]
    )
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True),
        keras.losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy"],
    )

    def run(number: int) -> None:
        for _ in range(number):
            model.train_on_batch(images, labels)

    return run


def _own_step(precision, images, labels, recompute):
    import tensorflow as tf

    from slimnets.training import TrainingConfig
    from slimnets.training.run import Run
    from slimnets.training.step import make_step_function
    from slimnets.training.task import Classification

    class Repeated(Classification):
        """The same images again and again, with a thousand classes."""

        def make_network(self, config):
            from slimnets.training.task import make_model

            model = make_model(config, config.model_name, num_classes=CLASSES)
            model.build([None, *images.shape[1:]])
            return model

    with tempfile.TemporaryDirectory() as temporary:
        config = TrainingConfig(
            model_name="resnet_v2_50",
            train_dir=temporary,
            batch_size=len(images),
            optimizer="nesterov",
            learning_rate=0.01,
            precision=precision,
            recompute=recompute,
        )
    run = Run(config, Repeated(), tf.distribute.get_strategy())
    step = make_step_function(run.training)
    batches = tf.data.Dataset.from_tensors((images, labels)).repeat()
    iterator = iter(batches)

    def take(number: int) -> None:
        float(step(iterator, tf.constant(number))["loss"])

    return take


def child(arguments: argparse.Namespace, make_step: Callable) -> None:
    """Takes steps whenever a line comes; answers with seconds by the clock and of the
    processor, at the end with MB."""
    if arguments.child in SIDES:  # What is TensorFlow's own memory.
        import keras  # noqa: F401
        import tensorflow as tf

        tf.constant(0)
    before = _peak()
    run = make_step(
        arguments.child, arguments.precision, arguments.image_size, arguments.batch_size
    )
    run(1)
    print("ready", flush=True)
    for line in sys.stdin:
        clocks = time.perf_counter, time.process_time
        started = [clock() for clock in clocks]
        run(int(line))
        print(
            *(clock() - s for clock, s in zip(clocks, started, strict=True)), flush=True
        )
    print(_peak() - before, flush=True)


def _peak() -> float:
    """Of this process, in MB (Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(
    precision: str,
    arguments: argparse.Namespace,
    file: str,
    ratios: Sequence[tuple[str, str]],
) -> None:
    """Prints the ratios of one precision."""
    sides = arguments.sides.split(",")
    options = [f"--image_size={arguments.image_size}",
               f"--batch_size={arguments.batch_size}"]  # fmt: skip
    root = pathlib.Path(__file__).parents[2]
    paths = [str(root), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    children = {
        side: subprocess.Popen(
            [sys.executable, file, f"--child={side}", f"--precision={precision}",
             *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )
        for side in sides
    }  # fmt: skip
    for process in children.values():
        assert process.stdout.readline() == "ready\n"
    seconds: dict[str, list[list[float]]] = {side: [] for side in sides}
    for _ in range(arguments.rounds):
        for side, process in children.items():
            process.stdin.write(f"{arguments.steps}\n")
            process.stdin.flush()
            seconds[side].append([float(t) for t in process.stdout.readline().split()])
    images = arguments.steps * arguments.batch_size
    rates, costs, peaks = {}, {}, {}
    for side, process in children.items():
        process.stdin.close()
        peaks[side] = float(process.stdout.readline())
        process.stdout.close()
        process.wait()
        clock, processor = (
            statistics.median(times) for times in zip(*seconds[side], strict=True)
        )
        rates[side], costs[side] = images / clock, processor / images
        print(
            f"{precision} {side}: {rates[side]:.2f} images/s, {peaks[side]:.0f} MB, "
            f"{costs[side]:.3f} s of processor time for an image",
            flush=True,
        )
    for first, second in ratios:
        if first in rates and second in rates:
            print(
                f"{precision} {first} / {second}: "
                f"speed {rates[first] / rates[second]:.2f} "
                f"({costs[second] / costs[first]:.2f} by processor time), "
                f"memory {peaks[first] / peaks[second]:.2f}",
                flush=True,
            )


def main(
    file: str,
    make_step: Callable,
    sides: Sequence[str],
    ratios: Sequence[tuple[str, str]],
    **defaults: int,
) -> None:
    """Measures, or is a side of that.

    Args:
        file: the script.
        make_step: a function of a side, a precision, an image size and a batch size
            that gives a function of a number of steps.
        sides: what takes turns.
        ratios: which of them are compared.
        **defaults: of the flags.
    """
    parser = argparse.ArgumentParser()
    for name in ("image_size", "batch_size", "rounds", "steps"):
        parser.add_argument(f"--{name}", type=int, default=defaults[name])
    parser.add_argument("--sides", default=",".join(sides))
    parser.add_argument("--precision", choices=KERAS_POLICIES)
    parser.add_argument("--child", choices=sides, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments, make_step)
        return
    chosen = [arguments.precision] if arguments.precision else list(KERAS_POLICIES)
    for precision in chosen:
        measure(precision, arguments, file, ratios)


if __name__ == "__main__":
    ratios = (("slimnets", "keras"), ("recompute", "keras"))
    sizes = {"image_size": 224, "batch_size": 16, "rounds": 5, "steps": 2}
    main(__file__, make_step, SIDES, ratios, **sizes)
