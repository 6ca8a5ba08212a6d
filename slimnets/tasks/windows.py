"""Large photos in windows that overlap, a few of which are in memory at a time.

Of a mask each window gives what is nearest to its own centre, where it sees the most
around it [1]. Boxes are those of all windows and of the whole photo [2]; what a window
cuts is left to those that see it whole.

Sources: [1] Ronneberger et al., U-Net, arXiv:1505.04597, figure 2; [2] Akyon et al.,
Slicing Aided Hyper Inference, arXiv:2202.06934.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from slimnets.heads.suppression import OVERLAP
from slimnets.tasks.finding import Finder

_OVERLAP = 0.25
# A box that comes as near as this share of the window to a border in the photo is cut.
_MARGIN = 0.01
_AT_ONCE = 8


class _Span(NamedTuple):
    """A window along one axis: what it sees of the photo, and what of it is its own."""

    seen: slice
    own: slice

    @property
    def own_in_window(self) -> slice:
        return slice(self.own.start - self.seen.start, self.own.stop - self.seen.start)


def with_windows(
    finder: Finder, size: int | None, overlap: float | None
) -> Finder | WindowFinder:
    """A finder that sees photos as a whole, or in windows if these have a size.

    Args:
        finder: the same without windows.
        size, overlap: as of `WindowFinder`; None for no windows, and for a quarter.

    Raises:
        ValueError: for a size below 1, an overlap outside of [0, 1), or one without a
            size.
    """
    if overlap is not None and (size is None or not 0 <= overlap < 1):
        reason = "is of no effect without window_size"
        if size is not None:
            reason = "must be in [0, 1)"
        raise ValueError(f"window_overlap={overlap} {reason}.")
    if size is None:
        return finder
    if size < 1:
        raise ValueError(f"window_size={size} must be at least 1.")
    return WindowFinder(finder, size, _OVERLAP if overlap is None else overlap)


class WindowFinder:
    """A head, as a function of photos, which it sees in windows.

    Args:
        finder: the same for photos as a whole.
        size: height and width of the windows, in the photos' pixels.
        overlap: of neighbours, as a share of the size, at least.
    """

    def __init__(self, finder: Finder, size: int, overlap: float):
        self._finder, self._size, self._overlap = finder, size, overlap

    def photos_at_once(self, batch_size: int) -> int:
        """One, because there are enough windows in it."""
        del batch_size
        return 1

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """The photo itself: its windows are prepared as it is their turn."""
        return pixels

    def __call__(
        self, photos: Sequence[np.ndarray], batch_size: int | None = None
    ) -> list[dict[str, np.ndarray]]:
        """Finds what is in photos `[height, width, channels]`; see `Finder`."""
        return [self._in_photo(photo, batch_size or _AT_ONCE) for photo in photos]

    def _in_photo(self, photo: np.ndarray, batch_size: int) -> dict[str, np.ndarray]:
        shape = photo.shape[:2]
        if max(shape) <= self._size:
            return self._in_views([photo], batch_size)[0]
        spans = (_spans(side, self._size, self._overlap) for side in shape)
        windows = list(itertools.product(*spans))
        mask = np.zeros(shape, np.int32)
        boxes: list[dict[str, np.ndarray]] = []
        for start in range(0, len(windows), batch_size):
            part = windows[start : start + batch_size]
            views = [photo[rows.seen, columns.seen] for rows, columns in part]
            for (rows, columns), found in zip(
                part, self._in_views(views, batch_size), strict=True
            ):
                if "mask" in found:
                    own = found["mask"][rows.own_in_window, columns.own_in_window]
                    mask[rows.own, columns.own] = own
                else:
                    boxes.append(self._uncut(found, rows.seen, columns.seen, shape))
        if not boxes:
            return {"mask": mask}
        return _best([*boxes, *self._in_views([photo], batch_size)])

    def _in_views(self, views: Sequence[np.ndarray], batch_size: int) -> list[dict]:
        prepared = [self._finder.prepare(view) for view in views]
        return self._finder(prepared, batch_size)

    def _uncut(
        self,
        found: dict[str, np.ndarray],
        rows: slice,
        columns: slice,
        shape: tuple[int, int],
    ) -> dict[str, np.ndarray]:
        """The boxes that lie whole in a window, in the photo's pixels."""
        margin = max(1.0, _MARGIN * self._size)
        # A border of the photo's own cuts nothing that could be seen elsewhere.
        low = [margin if span.start else -np.inf for span in (rows, columns)]
        high = [
            span.stop - span.start - margin if span.stop < side else np.inf
            for span, side in zip((rows, columns), shape, strict=True)
        ]
        boxes = found["boxes"]
        kept = np.all((boxes[:, :2] >= low) & (boxes[:, 2:] <= high), axis=-1)
        corner = np.array([rows.start, columns.start] * 2, np.float32)
        whole = {**found, "boxes": boxes + corner}
        return {name: value[kept] for name, value in whole.items()}


def _spans(length: int, size: int, overlap: float) -> list[_Span]:
    """Windows evenly over an axis, that overlap by this share or more."""
    if length <= size:
        return [_Span(slice(0, length), slice(0, length))]
    step = max(1, math.floor(size * (1 - overlap)))
    number = math.ceil((length - size) / step) + 1
    starts = np.linspace(0, length - size, number).round().astype(int).tolist()
    middles = [(a + b + size) // 2 for a, b in itertools.pairwise(starts)]
    return [
        _Span(slice(start, start + size), slice(*own))
        for start, own in zip(
            starts, itertools.pairwise([0, *middles, length]), strict=True
        )
    ]


def _best(parts: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """What several views found, each object once, the best first."""
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    chosen = []
    for label in np.unique(found["classes"]):
        (places,) = np.nonzero(found["classes"] == label)
        kept = tf.image.non_max_suppression(
            found["boxes"][places], found["scores"][places], len(places), OVERLAP
        )
        chosen.append(places[kept.numpy()])
    order = np.concatenate(chosen) if chosen else np.zeros(0, int)
    order = order[np.argsort(-found["scores"][order], kind="stable")]
    return {name: value[order] for name, value in found.items()}
