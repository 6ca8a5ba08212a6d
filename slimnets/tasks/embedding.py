"""Embeddings: many images through a network, to files that can be gone on with.

The images are cut into shards of a fixed size. A shard is written whole or not at
all, and depends on nothing but its own images; so a run that was killed writes, when
it is started again, exactly the files of one that was not.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import os
import sys
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from slimnets.data.image_files import BadImage, ImageFile, digest_of_names, find_images
from slimnets.data.tfrecords import features_in, floats, record_of, texts, wholes
from slimnets.files import drafted, remove_drafts
from slimnets.progress import Count, show_progress
from slimnets.sharding import ONE, check_same, cut, finished
from slimnets.tasks.batching import batches_of, check_bad, good_of
from slimnets.tasks.classifiers import is_upright, open_configured
from slimnets.tasks.config import EmbeddingConfig
from slimnets.trained import Trained

MANIFEST = "features.json"


@dataclasses.dataclass(frozen=True)
class EmbeddingResult:
    """What a run came to.

    Attributes:
        images: how many there are, bad ones included.
        shards: the files.
        written: how many of these this run wrote.
        bad: what was wrong with each image that was left out.
        others: files in the folder that are no images.
    """

    images: int
    shards: list[str]
    written: int
    bad: list[str]
    others: list[str]


def write_embeddings(
    config: EmbeddingConfig,
    *,
    show: bool = True,
    tell: Callable[[str], None] = lambda line: None,
) -> EmbeddingResult:
    """Writes the embeddings of all images, or what of them is still missing.

    An npz shard has `embeddings` float32 `[images, ...]`, `names` and `index`, the
    image's place in the input; a TFRecord shard one tf.train.Example for each image,
    with `embedding`, `shape`, `name` and `index`. A global pool's embedding is a
    vector; any other keeps its shape.

    Args:
        config: what is written.
        show: whether progress goes to standard error.
        tell: gets one line that says what was opened.

    Raises:
        FileNotFoundError: if there are no images or no checkpoint.
        ValueError: if the output holds something else, the checkpoint does not fit, or
            there are more bad images than allowed.
        KeyError: for an end point that the network does not have.
    """
    others: list[str] = []
    images = find_images(config.input, others)
    network = _Network(config, open_configured(config))
    tell(network.trained.source)
    os.makedirs(config.output, exist_ok=True)
    _check_manifest(config, network, images)
    shards = [
        dataclasses.replace(shard, items=(number, shard.items))
        for number, shard in enumerate(cut(images, config.shard_size))
    ]
    paths = [_path(config, number) for number in range(len(shards))]
    missing = [number for number, path in enumerate(paths) if not os.path.exists(path)]
    bad = {
        number: _left_out(
            path, number, shards[number].items[1], config, network.channels
        )
        for number, path in enumerate(paths)
        if number not in {*missing}
    }
    with show_progress("features", 0, len(images), unit="image", show=show) as progress:
        count = Count(progress, sum(shards[number].size for number in bad))
        if config.engine == ONE:  # Which need not open the network again.
            open_work = functools.partial(_Work, config, network, count.add)
        else:
            open_work = functools.partial(_opened, config, network.trained.opening)
        for number, problems in finished(
            shards, missing, open_work, config, progress.say
        ):
            bad[number] = problems
            check_bad(list(itertools.chain(*bad.values())), config.max_bad_records)
            if config.engine != ONE:
                count.add(shards[number].size)
    problems = [problem for number in sorted(bad) for problem in bad[number]]
    check_bad(problems, config.max_bad_records)
    remove_drafts(config.output, {os.path.basename(path) for path in paths})
    return EmbeddingResult(len(images), paths, len(missing), problems, others)


def _path(config: EmbeddingConfig, number: int) -> str:
    return os.path.join(config.output, f"features-{number:05d}.{config.format}")


class _Network:
    """A network with its weights, from images of any size to one end point."""

    def __init__(self, config: EmbeddingConfig, trained: Trained):
        self.trained = trained
        self.model, self.channels = self.trained.network, self.trained.channels
        self.end_point = config.end_point
        self.exif_orientation = is_upright(trained, config.exif_orientation)
        # A wrong end point is known before anything is written.
        size = self.trained.image_size
        self(np.zeros((config.batch_size, size, size, self.channels), np.float32))

    def load(self, image: ImageFile) -> np.ndarray:
        """Decodes and resizes: float32 `[size, size, channels]`."""
        pixels = image.read(self.channels, self.exif_orientation)
        return self.trained.prepare(pixels).numpy()[0]

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        values = self.model.features(batch, (self.end_point,))[self.end_point]
        values = tf.cast(values, tf.float32).numpy()
        if values.ndim == 4 and values.shape[1:3] == (1, 1):
            return values[:, 0, 0]
        return values


def _opened(config: EmbeddingConfig, opening: Callable[[], Trained]) -> _Work:
    """What a worker elsewhere works with."""
    return _Work(config, _Network(config, opening()))


class _Work:
    """Writes shards.

    Args:
        config: what is written where.
        network: of what.
        tell: is told of numbers of images that are done.
    """

    def __init__(
        self,
        config: EmbeddingConfig,
        network: _Network,
        tell: Callable[[int], None] = lambda number: None,
    ):
        self._config, self._network, self._tell = config, network, tell

    def __call__(self, items: tuple[int, Sequence[ImageFile]]) -> list[str]:
        """Writes a shard, unless there are too many bad images in it; what is wrong
        with these."""
        number, images = items
        rows, bad = self._embed(images, number * self._config.shard_size)
        if len(bad) <= self._config.max_bad_records:
            _write(_path(self._config, number), rows)
        return bad

    def _embed(
        self, images: Sequence[ImageFile], start: int
    ) -> tuple[dict[str, np.ndarray], list[str]]:
        """Returns a shard's arrays, and what was wrong with the images left out."""
        values, index = [], []
        bad: list[str] = []
        size = self._config.batch_size

        def load(place: int) -> np.ndarray:
            try:
                return self._network.load(images[place])
            except BadImage as error:
                raise BadImage(_placed(error, start + place)) from None

        for batch in batches_of(range(len(images)), load, size):
            good = good_of(batch, bad, sys.maxsize)
            if len(bad) > self._config.max_bad_records:
                break
            if good:
                loaded = [image for _, image in good]
                # Filled up, so that every batch has one shape and one way to compute.
                filled = np.stack((loaded + loaded[:1] * size)[:size])
                values.append(self._network(filled)[: len(good)])
                index += [start + place for place, _ in good]
            self._tell(len(batch))
        rows = {
            "embeddings": np.concatenate(values) if values else np.zeros((0, 0), "f"),
            "names": np.array([images[i - start].name for i in index], dtype=np.str_),
            "index": np.array(index, np.int64),
        }
        return rows, bad


def _placed(reason: object, place: int) -> str:
    return f"{reason} (image {place} of the input)"


def _left_out(
    path: str,
    number: int,
    images: Sequence[ImageFile],
    config: EmbeddingConfig,
    channels: int,
) -> list[str]:
    """What is wrong with the images that a finished shard does not have."""
    start, there = number * config.shard_size, set(_index_of(path))
    problems = []
    for i, image in enumerate(images):
        if start + i not in there:
            try:
                image.read(channels)
                reason: object = f"{image.name} could not be read"
            except BadImage as error:
                reason = error
            problems.append(_placed(reason, start + i))
    return problems


def _index_of(path: str) -> list[int]:
    if path.endswith(".npz"):
        with np.load(path) as arrays:
            return arrays["index"].tolist()
    records = map(features_in, tf.data.TFRecordDataset(path).as_numpy_iterator())
    return [features["index"].int64_list.value[0] for features in records]


def _write(path: str, rows: dict[str, np.ndarray]) -> None:
    """Writes a shard, whole or not at all."""
    with drafted(path) as draft:
        if path.endswith(".npz"):
            with open(draft, "wb") as file:
                np.savez(file, **rows)
            return
        with tf.io.TFRecordWriter(draft) as writer:
            for name, index, value in zip(
                rows["names"], rows["index"], rows["embeddings"], strict=True
            ):
                features = {
                    "name": texts(os.fsencode(str(name))),
                    "index": wholes(index),
                    "shape": wholes(*value.shape),
                    "embedding": floats(value.ravel()),
                }
                writer.write(record_of(features))


def _check_manifest(
    config: EmbeddingConfig, network: _Network, images: Sequence[ImageFile]
) -> None:
    """Writes what the shards are of, or raises ValueError if they are of other work."""
    mine = {
        "images": len(images),
        "names_sha256": digest_of_names(images),
        "checkpoint": os.path.basename(network.trained.path),
        "weights_sha256": network.trained.digest,
        "model_name": network.model.network_name,
        "end_point": config.end_point,
        "image_size": network.trained.image_size,
        "preprocessing_name": network.trained.preprocessing,
        "exif_orientation": network.exif_orientation,
        "format": config.format,
        "batch_size": config.batch_size,
        "shard_size": config.shard_size,
    }
    path = os.path.join(config.output, MANIFEST)
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            check_same(config.output, json.load(file), mine, "other features")
        return
    with drafted(path) as draft, open(draft, "w", encoding="utf-8") as file:
        json.dump(mine, file, indent=2, sort_keys=True)
        file.write("\n")
