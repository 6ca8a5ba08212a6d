"""How well the boundaries of classes are met in masks, which intersections hardly tell.

Of the pixels on a class's boundary in a mask the share that lies near one in the other
mask is precision or recall, and F1 is of both [1]. What is ignored is filled first with
the classes around it, so that a boundary runs through the middle of it.

Source: [1] Csurka et al., What is a good evaluation measure for semantic segmentation?,
BMVC 2013, section 3.
"""

from __future__ import annotations

import numpy as np

# What is near, as a share of the image's diagonal [1]; a pixel at least.
TOLERANCE = 0.0075
_SIDES = ((0, 1), (1, 0), (0, -1), (-1, 0))


def boundary_f(truth: np.ndarray, found: np.ndarray, number: int) -> np.ndarray:
    """F1 of the boundaries of each class in an image.

    Args:
        truth: `[height, width]`, the classes; negative where none is meant.
        found: the same, everywhere a class.
        number: of classes.

    Returns:
        float64 `[number]`; NaN for a class that has no boundary in either.
    """
    radius = max(1, round(TOLERANCE * float(np.hypot(*truth.shape))))
    filled = _filled(truth, radius)
    scores = np.full(number, np.nan)
    found = np.where(filled >= 0, found, -1)
    disc = _disc(radius)
    for label in np.union1d(np.unique(filled), np.unique(found)):
        if label < 0:
            continue
        meant, seen = (_edge(mask, label) for mask in (filled, found))
        near = [_near(meant, seen, disc), _near(seen, meant, disc)]
        if any(map(len, near)):
            recall, precision = (part.mean() if len(part) else 0.0 for part in near)
            scores[label] = 2 * precision * recall / max(precision + recall, 1e-12)
    return scores


def _shifted(mask: np.ndarray, down: int, right: int) -> np.ndarray:
    """The neighbours on one side; those beyond the border are none."""
    padded = np.pad(mask, 1, constant_values=-1)
    height, width = mask.shape
    return padded[1 + down : 1 + down + height, 1 + right : 1 + right + width]


def _filled(mask: np.ndarray, radius: int) -> np.ndarray:
    """Classes grow into what is ignored, pixel by pixel, as far as is near."""
    for _ in range(radius):
        if mask.min() >= 0:
            break
        around = np.max([_shifted(mask, *side) for side in _SIDES], axis=0)
        mask = np.where(mask < 0, around, mask)
    return mask


def _edge(mask: np.ndarray, label: int) -> np.ndarray:
    """The pixels of a class that have another class beside them."""
    others = [_shifted(mask, *side) for side in _SIDES]
    beside = np.any([(other >= 0) & (other != label) for other in others], axis=0)
    return (mask == label) & beside


def _disc(radius: int) -> np.ndarray:
    """Steps to all pixels within a distance, int `[steps, 2]`."""
    steps = np.mgrid[-radius : radius + 1, -radius : radius + 1].reshape(2, -1).T
    return steps[(steps**2).sum(-1) <= radius**2]


def _near(edge: np.ndarray, other: np.ndarray, disc: np.ndarray) -> np.ndarray:
    """For each pixel of an edge, whether one of another is near: bool `[pixels]`."""
    radius = disc.max()
    padded = np.pad(other, radius)
    places = np.argwhere(edge) + radius
    rows, columns = np.moveaxis(places[:, np.newaxis] + disc, -1, 0)
    return padded[rows, columns].any(-1)
