"""Clouds of points on the surfaces of five solids, made by procedure.

Spheres, boxes, cylinders, cones and tori of random proportions are sampled evenly
over their surface, turned at random, scaled into the unit ball and jittered. All
follows from a seed.
"""

import functools
from collections.abc import Callable

import numpy as np

from slimnets.data.datasets import Dataset, register_dataset

# Standard deviation of the noise on every coordinate, in radii of the unit ball.
JITTER = 0.02
POINTS = 512
SPLITS = {"train": 4000, "test": 1000}
_SEEDS = {"train": 1, "test": 2}


def sphere(rng: np.random.Generator, number: int, points: int) -> np.ndarray:
    """Spheres: `[number, points, 3]`, as of all the other solids."""
    directions = rng.normal(size=(number, points, 3))
    return directions / np.linalg.norm(directions, axis=-1, keepdims=True)


def box(rng: np.random.Generator, number: int, points: int) -> np.ndarray:
    """Boxes whose sides differ by a factor of 2.5 at most."""
    half = rng.uniform(0.4, 1.0, (number, 1, 3))
    inside = rng.uniform(-1.0, 1.0, (number, points, 3)) * half
    # The faces across an axis have the area of the two other sides' product.
    axis = _chosen(rng, np.prod(half, axis=-1, keepdims=True) / half, points)
    side = rng.choice([-1.0, 1.0], (number, points, 1)) * half
    return np.where(np.arange(3) == axis[..., np.newaxis], side, inside)


def cylinder(rng: np.random.Generator, number: int, points: int) -> np.ndarray:
    """Cylinders as high as 1 to 3 radii, closed at both ends."""
    half = rng.uniform(0.5, 1.5, (number, 1))
    lateral, end = 4 * np.pi * half, np.full_like(half, np.pi)
    part = _chosen(rng, np.stack([lateral, end, end], axis=-1), points)
    radius = np.where(part == 0, 1.0, np.sqrt(rng.uniform(size=part.shape)))
    height = rng.uniform(-1.0, 1.0, part.shape) * half
    height = np.where(part == 0, height, np.where(part == 1, half, -half))
    return _around_axis(rng, radius, height)


def cone(rng: np.random.Generator, number: int, points: int) -> np.ndarray:
    """Cones as high as 1 to 2.5 radii of their base, which is closed."""
    height = rng.uniform(1.0, 2.5, (number, 1))
    lateral, base = np.pi * np.sqrt(1.0 + height**2), np.full_like(height, np.pi)
    part = _chosen(rng, np.stack([lateral, base], axis=-1), points)
    # The area within a distance of the tip, or of the base's centre, is its square.
    radius = np.sqrt(rng.uniform(size=part.shape))
    above = np.where(part == 0, (1.0 - radius) * height, 0.0)
    return _around_axis(rng, radius, above - height / 2)


def torus(rng: np.random.Generator, number: int, points: int) -> np.ndarray:
    """Tori whose tube is 0.2 to 0.5 radii of the ring thick."""
    tube = rng.uniform(0.2, 0.5, (number, 1))
    area = rng.uniform(0.0, 2 * np.pi, (number, points))
    # The area up to an angle around the tube is angle + tube * sin(angle).
    angle = area.copy()
    for _ in range(20):
        angle -= (angle + tube * np.sin(angle) - area) / (1.0 + tube * np.cos(angle))
    return _around_axis(rng, 1.0 + tube * np.cos(angle), tube * np.sin(angle))


SOLIDS: dict[str, Callable[[np.random.Generator, int, int], np.ndarray]] = {
    "sphere": sphere,
    "box": box,
    "cylinder": cylinder,
    "cone": cone,
    "torus": torus,
}


def make_shapes(
    number: int, points: int = POINTS, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Makes clouds float32 `[number, points, 3]` and labels uint8 `[number]`.

    The labels follow each other in turn, in the order of SOLIDS.

    Raises:
        ValueError: for fewer than one cloud or point.
    """
    if number < 1 or points < 1:
        raise ValueError(f"number={number}, points={points}; both must be at least 1.")
    labels = np.arange(number) % len(SOLIDS)
    clouds = np.empty((number, points, 3), np.float32)
    for label, solid in enumerate(SOLIDS.values()):
        rng = np.random.default_rng([seed, label])
        chosen = labels == label
        made = solid(rng, np.count_nonzero(chosen), points)
        made = made @ _rotations(rng, len(made))
        made /= np.linalg.norm(made, axis=-1).max(axis=1)[:, np.newaxis, np.newaxis]
        clouds[chosen] = made + rng.normal(scale=JITTER, size=made.shape)
    return clouds, labels.astype(np.uint8)


def _chosen(rng: np.random.Generator, areas: np.ndarray, points: int) -> np.ndarray:
    """For each point the index of a face, as likely as it is large.

    `areas` is `[number, 1, faces]`; the result `[number, points]`.
    """
    bounds = np.cumsum(areas, axis=-1) / np.sum(areas, axis=-1, keepdims=True)
    draws = rng.uniform(size=(len(areas), points, 1))
    return np.count_nonzero(draws >= bounds[..., :-1], axis=-1)


def _around_axis(
    rng: np.random.Generator, radius: np.ndarray, height: np.ndarray
) -> np.ndarray:
    turn = rng.uniform(0.0, 2 * np.pi, radius.shape)
    return np.stack([radius * np.cos(turn), radius * np.sin(turn), height], axis=-1)


def _rotations(rng: np.random.Generator, number: int) -> np.ndarray:
    """Rotations drawn evenly from all there are: `[number, 3, 3]`."""
    orthogonal, triangular = np.linalg.qr(rng.normal(size=(number, 3, 3)))
    # Even over all orthogonal matrices only with these signs (Mezzadri 2007) ...
    diagonal = np.diagonal(triangular, axis1=1, axis2=2)
    orthogonal = orthogonal * np.where(diagonal < 0, -1.0, 1.0)[:, np.newaxis]
    # ... and a rotation once a reflection is taken back.
    return orthogonal * np.linalg.det(orthogonal)[:, np.newaxis, np.newaxis]


@functools.cache
def _load_split(split: str) -> tuple[np.ndarray, np.ndarray]:
    return make_shapes(SPLITS[split], POINTS, _SEEDS[split])


SHAPES = register_dataset(
    Dataset(
        name="shapes",
        image_shape=(POINTS, 3),
        value_range=(-1, 1),
        label_names=tuple(SOLIDS),
        splits=SPLITS,
        default_preprocessing="rotate_points",
        loader=_load_split,
    )
)
