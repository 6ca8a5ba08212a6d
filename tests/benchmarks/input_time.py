"""From JPEG files to augmented batches, beside Keras's pipeline; images a second.

    python tests/benchmarks/input_time.py [--images=256] [--repeats=5] [--size=224]

A folder of JPEGs of photographs' size is made. slimnets reads it with `inception`'s
random crop, flip, brightness and saturation; Keras with image_dataset_from_directory at
the crop's size over 0.875, its RandomCrop, RandomFlip and either RandomBrightness and
RandomSaturation (the same changes) or RandomBrightness and RandomContrast (cheaper). A
pass over all images of each is timed in turn; ratios are of medians of one run. Images
per core are by the process's CPU time, which other work on the machine does not change
as it does the clock's.
"""

import argparse
import os
import pathlib
import statistics
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from slimnets.data import InputConfig, training_batches

HEIGHT, WIDTH = 375, 500
BATCH = 32


def write_folder(root: pathlib.Path, number: int) -> None:
    """Writes JPEGs with the detail, and so the size in bytes, of photographs."""
    rng = np.random.default_rng(0)
    for index in range(number):
        image = np.zeros((HEIGHT, WIDTH, 3), np.float32)
        for cells, weight in ((4, 0.4), (16, 0.2), (64, 0.1), (180, 0.1), (500, 0.2)):
            detail = rng.uniform(0, 255, (cells * 3 // 4, cells, 3))
            image += weight * tf.image.resize(detail, [HEIGHT, WIDTH]).numpy()
        folder = root / f"class_{index % 4}"
        folder.mkdir(parents=True, exist_ok=True)
        encoded = tf.io.encode_jpeg(image.astype(np.uint8), quality=90)
        (folder / f"{index:05}.jpg").write_bytes(encoded.numpy())


def ours(root: pathlib.Path, size: int, workers: int | None) -> tf.data.Dataset:
    config = InputConfig(
        dataset_name="folder",
        dataset_dir=str(root),
        dataset_split_name="all",
        train_image_size=size,
        preprocessing_name="inception",
    )
    config.check_input()
    return limited(training_batches(config, batch_size=BATCH, seed=0), workers)


def kerass(root, size, workers, colors: list) -> tf.data.Dataset:
    side = round(size / 0.875)
    batches = keras.utils.image_dataset_from_directory(
        root, image_size=(side, side), batch_size=BATCH, seed=0, verbose=False
    )
    steps = [
        keras.layers.RandomCrop(size, size),
        keras.layers.RandomFlip("horizontal"),
        *colors,
        keras.layers.Rescaling(1 / 127.5, offset=-1),
    ]

    def change(images, labels):
        for step in steps:
            images = step(images, training=True)
        return images, labels

    batches = batches.repeat().map(change, num_parallel_calls=tf.data.AUTOTUNE)
    return limited(batches.prefetch(tf.data.AUTOTUNE), workers)


def limited(batches: tf.data.Dataset, workers: int | None) -> tf.data.Dataset:
    options = tf.data.Options()
    if workers:
        options.threading.private_threadpool_size = workers
    return batches.with_options(options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--workers", type=int)
    arguments = parser.parse_args()
    brightness = {"factor": 32 / 255, "value_range": (0, 255)}
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        write_folder(root, arguments.images)
        sizes = [path.stat().st_size for path in root.rglob("*.jpg")]
        print(
            f"{arguments.images} JPEGs of {WIDTH}x{HEIGHT}, "
            f"{np.mean(sizes) / 1024:.0f} KiB each, to {arguments.size} squared"
        )
        options = (root, arguments.size, arguments.workers)
        pipelines = {
            "slimnets": ours(*options),
            "keras, brightness and saturation": kerass(
                *options,
                [
                    keras.layers.RandomBrightness(**brightness),
                    keras.layers.RandomSaturation(0.5, value_range=(0, 255)),
                ],
            ),
            "keras, brightness and contrast": kerass(
                *options,
                [
                    keras.layers.RandomBrightness(**brightness),
                    keras.layers.RandomContrast(0.5),
                ],
            ),
        }
        steps = arguments.images // BATCH
        passes = {name: batches.take(steps) for name, batches in pipelines.items()}
        clock = {name: [] for name in passes}
        cores = {name: [] for name in passes}
        for repeat in range(arguments.repeats + 1):
            for name, batches in passes.items():
                started, used = time.perf_counter(), time.process_time()
                for _ in batches:
                    pass
                seconds = time.perf_counter() - started, time.process_time() - used
                if repeat:
                    clock[name].append(steps * BATCH / seconds[0])
                    cores[name].append(steps * BATCH / seconds[1])
    own = {
        kind: statistics.median(table["slimnets"])
        for kind, table in (("clock", clock), ("core", cores))
    }
    for name in pipelines:
        by_clock, by_core = (statistics.median(table[name]) for table in (clock, cores))
        print(
            f"{name:34} {by_clock:7.1f} images/s, {by_core:7.1f} images/s per core; "
            f"slimnets / this: {own['clock'] / by_clock:.2f} by the clock, "
            f"{own['core'] / by_core:.2f} per core"
        )


if __name__ == "__main__":
    main()
