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

from slimnets.data.annotated import AnnotatedSource
from slimnets.data.bad_records import UNUSABLE, reason
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
        classes: how many of those that can be used each class has, by label; examples
            of several classes count for each, and those with boxes for each of their
            objects.
        bad: why examples cannot be used, by name.
        sizes: height and width of the others, with how many there are of each.
        digests: names of examples by a hash of their bytes.
    """

    number: int
    classes: np.ndarray
    bad: dict[str, str] = dataclasses.field(default_factory=dict)
    sizes: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    digests: dict[bytes, list[str]] = dataclasses.field(
        default_factory=functools.partial(collections.defaultdict, list)
    )

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
    splits, done = _unchecked(dataset), 0
    total = sum(split.number for split in splits.values())
    for name, split in splits.items():
        for seen in _look(dataset, dataset.source(name), range(split.number)):
            split.add(seen)
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
    splits = _unchecked(dataset)
    numbers = {name: split.number for name, split in splits.items()}
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
    for shard, result in zip(shards, results, strict=True):
        for seen in result["seen"]:
            splits[shard.items[0]].add(_Seen(*seen))
    return CheckedDataset(splits)


def _unchecked(dataset: Dataset) -> dict[str, CheckedSplit]:
    """All splits but the one that is all of them, of which nothing was looked at."""
    return {
        name: CheckedSplit(number, np.zeros(dataset.num_classes, np.int64))
        for name, number in dataset.splits.items()
        if name != dataset.whole_split
    }


class _Work:
    """Looks at shards: some indices of a split."""

    def __init__(self, opening: Callable[[], Dataset]):
        self._dataset = opening()

    def __call__(self, items: tuple[str, range]) -> dict[str, Any]:
        split, indices = items
        looked = _look(self._dataset, self._dataset.source(split), indices)
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
    look: Callable[..., _Seen] = _look_at_file
    if isinstance(source, Arrays):
        look = _look_at_array
    elif isinstance(source, AnnotatedSource):
        look = _look_at_photo
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
    except UNUSABLE as error:
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
