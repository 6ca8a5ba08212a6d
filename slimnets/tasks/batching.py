"""Images in batches, read while the ones before are computed."""

from __future__ import annotations

import collections
import concurrent.futures
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from slimnets.data.image_files import BadImage


def batches_of(
    images: Iterable[Any], load: Callable[[Any], Any], size: int
) -> Iterator[list[tuple[Any, Any]]]:
    """Yields batches of images with what they load, or what is wrong with them.

    An image is what `load` takes; what it raises BadImage for is told as text. The next
    two batches are read meanwhile, and no more.
    """

    def safe(image: Any) -> Any:
        try:
            return load(image)
        except BadImage as error:
            return str(error)

    images = iter(images)
    pending: collections.deque = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        while True:
            part = list(itertools.islice(images, size))
            if part:
                pending.append([(image, pool.submit(safe, image)) for image in part])
            if pending and (len(pending) > 2 or not part):
                yield [(image, done.result()) for image, done in pending.popleft()]
            if not part and not pending:
                return


def good_of(
    batch: list[tuple[Any, Any]], bad: list[str], limit: int
) -> list[tuple[Any, Any]]:
    """Those of a batch that could be loaded; what is wrong with the others goes to
    `bad`.

    Raises:
        ValueError: if these are more than `limit`.
    """
    bad += [value for _, value in batch if isinstance(value, str)]
    check_bad(bad, limit)
    return [(image, value) for image, value in batch if not isinstance(value, str)]


def check_bad(bad: Sequence[str], limit: int) -> None:
    """Raises ValueError if more images are bad than may be."""
    if len(bad) > limit:
        raise ValueError(
            f"{len(bad)} bad images, of which max_bad_records={limit} allows no more: "
            f"{bad[-1]}"
        )
