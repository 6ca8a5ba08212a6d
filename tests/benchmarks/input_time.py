"""From JPEG files to augmented batches, beside Keras's pipeline; images a second.

    python tests/benchmarks/input_time.py [--images=256] [--repeats=5] [--size=224]

A folder of JPEGs of photographs' size is made. Each pipeline makes float32 batches from
-1 to 1 of it, and each color change is drawn for each image:

- slimnets with `inception`: a random crop of 5 to 100 % of the area and its own aspect,
  flip, brightness and saturation in HSV;
- slimnets with `tf` and color_jitter: a crop of 8 to 100 %, flip, brightness, contrast
  and saturation towards gray;
- Keras: image_dataset_from_directory at the crop's size over 0.875, RandomCrop (one
  place for the whole batch), RandomFlip and either the colors of the first, all three
  of the second, or brightness and contrast only.

The first two of Keras's change what one of slimnets' changes; the third does less than
either, and is compared with both. All are timed in turn, each from the moment when its
start, which takes compiling and filling its queues, is behind it. Ratios are of medians
of one run. Images per core are by the process's CPU time, which other work on the
machine does not change as it does the clock's.
"""

import argparse
import os
import pathlib
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from slimnets.data import InputConfig, training_batches

HEIGHT, WIDTH = 375, 500
BATCH = 32
# Batches before the clock starts.
FIRST = 8
BRIGHTNESS, CHANGE = 32 / 255, 0.5
OWN = {
    "inception": {"preprocessing_name": "inception"},
    "color_jitter": {"preprocessing_name": "tf", "color_jitter": CHANGE},
}
# Keras's layers, and which of slimnets' pipelines do the same, or more.
KERAS = {
    "brightness, saturation": ("BS", ["inception"]),
    "brightness, contrast, saturation": ("BCS", ["color_jitter"]),
    "brightness, contrast (less work)": ("BC", [*OWN]),
}


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


def ours(root: pathlib.Path, size: int, workers: int | None, **options):
    config = InputConfig(
        dataset_name="folder",
        dataset_dir=str(root),
        dataset_split_name="all",
        train_image_size=size,
        **options,
    )
    config.check_input()
    return limited(training_batches(config, batch_size=BATCH, seed=0), workers)


def kerass(root: pathlib.Path, size: int, workers: int | None, colors: str):
    make = {
        "B": lambda: keras.layers.RandomBrightness(BRIGHTNESS, value_range=(0, 255)),
        "C": lambda: keras.layers.RandomContrast(CHANGE),
        "S": lambda: keras.layers.RandomSaturation(CHANGE, value_range=(0, 255)),
    }
    side = round(size / 0.875)
    batches = keras.utils.image_dataset_from_directory(
        root, image_size=(side, side), batch_size=BATCH, seed=0, verbose=False
    )
    steps = [
        keras.layers.RandomCrop(size, size),
        keras.layers.RandomFlip("horizontal"),
        *(make[color]() for color in colors),
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


def timed(batches: tf.data.Dataset, steps: int) -> tuple[float, float]:
    """Images a second and images per second of CPU time, once it runs."""
    iterator = iter(batches)
    for _ in range(FIRST):
        next(iterator)
    started, used = time.perf_counter(), time.process_time()
    for _ in range(steps):
        next(iterator)
    seconds = time.perf_counter() - started, time.process_time() - used
    return tuple(steps * BATCH / number for number in seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--workers", type=int)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        write_folder(root, arguments.images)
        sizes = [path.stat().st_size for path in root.rglob("*.jpg")]
        print(
            f"{arguments.images} JPEGs of {WIDTH}x{HEIGHT}, "
            f"{np.mean(sizes) / 1024:.0f} KiB each, to {arguments.size} squared"
        )
        common = (root, arguments.size, arguments.workers)
        pipelines = {name: ours(*common, **options) for name, options in OWN.items()}
        for name, (colors, _) in KERAS.items():
            pipelines[name] = kerass(*common, colors)
        rates = {name: [] for name in pipelines}
        for _ in range(arguments.repeats):
            for name, batches in pipelines.items():
                rates[name].append(timed(batches, arguments.images // BATCH))
    medians = {name: np.median(pairs, axis=0) for name, pairs in rates.items()}
    for name, (by_clock, by_core) in medians.items():
        maker = "slimnets" if name in OWN else "keras"
        print(
            f"{maker + ', ' + name:40} {by_clock:7.1f} images/s, "
            f"{by_core:7.1f} images/s per core"
        )
    for name, (_, compared) in KERAS.items():
        for own in compared:
            by_clock, by_core = medians[own] / medians[name]
            print(
                f"slimnets {own} / keras {name}: {by_clock:.2f} by the clock, "
                f"{by_core:.2f} per core"
            )


if __name__ == "__main__":
    main()
