"""Everything of a dataset read once: what cannot be used, and what is there twice."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import functools
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets.data.annotated import AnnotatedSource
from slimnets.data.bad_records import reason
from slimnets.data.datasets import Dataset
from slimnets.data.decoding import out_of_range, parsed
from slimnets.data.image_files import BadImage
from slimnets.data.pixel_limit import decode_image
from slimnets.data.sources import Arrays
from slimnets.sharding import ManifestOptions, cut, in_order

# So many examples are on their way at a time.
_AHEAD = 256


@dataclasses.dataclass(frozen=True)
class CheckedSplit:
    """What a split holds.

    Attributes:
        number: of examples.
        bad: why examples cannot be used, by name.
        classes: how many of the others each class has, by label; examples of several
            classes count for each, and those with boxes for each of their objects.
        sizes: height and width of these images, with how many there are of each.
        digests: names of examples by a hash of their bytes.
    """

    number: int
    bad: dict[str, str]
    classes: np.ndarray
    sizes: collections.Counter
    digests: dict[bytes, list[str]]

    @classmethod
    def empty(cls, number: int, num_classes: int) -> CheckedSplit:
        """One of which nothing was looked at yet."""
        classes = np.zeros(num_classes, np.int64)
        digests: dict = collections.defaultdict(list)
        return cls(number, {}, classes, collections.Counter(), digests)

    def add(self, seen: _Seen) -> None:
        """Counts an example."""
        if seen.problem:
            self.bad[seen.name] = seen.problem
            return
        np.add.at(self.classes, list(seen.classes), 1)
        self.sizes[tuple(seen.size)] += 1
        self.digests[bytes.fromhex(seen.digest)].append(seen.name)


@dataclasses.dataclass(frozen=True)
class CheckedDataset:
    """What a dataset holds, by split."""

    splits: dict[str, CheckedSplit]

    @property
    def repeated(self) -> dict[str, list[list[str]]]:
        """Names of examples of the same bytes within a split, by split."""
        return {
            name: [names for names in split.digests.values() if len(names) > 1]
            for name, split in self.splits.items()
        }

    def shared(self, first: str, second: str) -> list[tuple[str, str]]:
        """Pairs of examples of the same bytes that stand in both of two splits."""
        one, two = self.splits[first].digests, self.splits[second].digests
        return [(one[key][0], two[key][0]) for key in one if key in two]

    @property
    def bad(self) -> dict[str, str]:
        """Why examples of any split cannot be used."""
        return {k: v for split in self.splits.values() for k, v in split.bad.items()}


def check_dataset(
    dataset: Dataset, progress: Callable[[int, int], None] = lambda done, total: None
) -> CheckedDataset:
    """Reads and decodes all examples of all splits but the one that is all of them.

    Args:
        dataset: on disk or in memory.
        progress: is told how many examples are done, and of how many.
    """
    sources = {name: dataset.source(name) for name in _checked_splits(dataset)}
    total = sum(source.number for source in sources.values())
    splits, done = {}, 0
    for name, source in sources.items():
        splits[name] = CheckedSplit.empty(source.number, dataset.num_classes)
        for seen in _look(dataset, source, range(source.number)):
            splits[name].add(seen)
            done += 1
            if done % _AHEAD == 0 or done == total:
                progress(done, total)
    return CheckedDataset(splits)


def check_shards(
    opening: Callable[[], Dataset],
    options: ManifestOptions,
    manifest: str = "check-data.manifest",
) -> CheckedDataset:
    """As `check_dataset`, by an engine.

    Args:
        opening: gives the dataset, also in another process, to which it is sent.
        options: who works.
        manifest: where finished shards are noted, if the options do not say.

    Raises:
        ShardsFailed, ImportError, ConnectionError: as `sharding.finished`.
    """
    dataset = opening()
    numbers = {name: dataset.splits[name] for name in _checked_splits(dataset)}
    shards = [
        dataclasses.replace(part, items=(name, part.items))
        for name, number in numbers.items()
        for part in cut(range(number), options.shard_size, what=f"{name} images")
    ]
    results = in_order(
        "check-data",
        shards,
        functools.partial(_Work, opening),
        options,
        {
            "dataset": [dataset.name, dataset.directory, dataset.fingerprint],
            "splits": numbers,
            "exif_orientation": dataset.exif_orientation,
        },
        manifest,
    )
    splits = {
        name: CheckedSplit.empty(number, dataset.num_classes)
        for name, number in numbers.items()
    }
    for shard, result in zip(shards, results, strict=True):
        for seen in result["seen"]:
            splits[shard.items[0]].add(_Seen(*seen))
    return CheckedDataset(splits)


def _checked_splits(dataset: Dataset) -> list[str]:
    return [name for name in dataset.splits if name != dataset.whole_split]


class _Work:
    """Looks at shards: some indices of a split."""

    def __init__(self, opening: Callable[[], Dataset]):
        self._dataset = opening()
        self._source = functools.cache(self._dataset.source)

    def __call__(self, items: tuple[str, range]) -> dict[str, Any]:
        split, indices = items
        looked = _look(self._dataset, self._source(split), indices)
        return {"seen": [dataclasses.astuple(seen) for seen in looked], "bad": []}


@dataclasses.dataclass(frozen=True)
class _Seen:
    """One example: its problem, or its classes, size and digest."""

    name: str
    problem: str = ""
    classes: Sequence[int] = ()
    size: tuple[int, int] = (0, 0)
    digest: str = ""


def _look(dataset: Dataset, source: Any, indices: range) -> Iterator[_Seen]:
    """Looks at examples in threads, a few ahead."""
    look = _look_at_file
    for kind, other in ((Arrays, _look_at_array), (AnnotatedSource, _look_at_photo)):
        look = other if isinstance(source, kind) else look
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(indices), _AHEAD):
            part = indices[start : start + _AHEAD]
            yield from pool.map(lambda index: look(dataset, source, index), part)


def _look_at_array(dataset: Dataset, source: Arrays, index: int) -> _Seen:
    image, label = source.images[index], source.labels[index]
    digest = hashlib.sha256(np.ascontiguousarray(image)).hexdigest()
    name = f"example {index}"
    classes = _classes(label)
    if not all(0 <= c < dataset.num_classes for c in classes):
        return _Seen(name, f"its label {label} is no class")
    return _Seen(name, classes=classes, size=image.shape[:2], digest=digest)


def _look_at_file(dataset: Dataset, source: Any, index: int) -> _Seen:
    name = source.name(index)
    try:
        encoded, label, _ = parsed(source, index)
        classes = _classes(label.numpy())
        if wrong := [c for c in classes if not 0 <= c < source.num_classes]:
            return _Seen(name, out_of_range(source, wrong[0]))
        image = decode_image(
            encoded, dataset.image_shape[-1], exif_orientation=dataset.exif_orientation
        )
    except (OSError, ValueError, tf.errors.OpError) as error:
        return _Seen(name, reason(error))
    digest = hashlib.sha256(encoded.numpy()).hexdigest()
    return _Seen(name, "", classes, tuple(image.shape[:2]), digest)


def _look_at_photo(dataset: Dataset, source: AnnotatedSource, index: int) -> _Seen:
    name = source.name(index)
    try:
        photo = source.load(index, dataset.image_shape[-1], dataset.exif_orientation)
    except BadImage as error:
        return _Seen(name, str(error))
    if photo.mask is None:
        classes = photo.objects.labels
    else:
        classes = np.unique(photo.mask[photo.mask >= 0])
    digest = hashlib.sha256(source.encoded(index).image).hexdigest()
    return _Seen(name, "", classes.tolist(), photo.pixels.shape[:2], digest)


def _classes(label: Any) -> list[int]:
    """The numbers of an example's classes: of one, or of a row of 0 and 1."""
    if np.ndim(label) == 0:
        return [int(label)]
    return np.flatnonzero(np.asarray(label) > 0.5).tolist()
