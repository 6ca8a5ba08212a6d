"""Measures that need the scores of every image, or chance: beside `measures`.

Sources: bootstrap: Efron, Annals of Statistics 7, 1979; temperature: Guo et al.,
arXiv:1706.04599, section 4.2; ten crops: Krizhevsky et al., 2012, section 4.1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

VIEWS = ("flip", "ten_crop")
# What a crop of ten_crop is of the side of the image.
CROP = 0.875
_LEVEL, _RESAMPLES = 0.95, 10_000
_TEMPERATURES = (0.05, 20.0)
_ROUNDS = 60
_SMALLEST = 1e-12


def accuracy_interval(correct: int, total: int, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of an accuracy by bootstrap over the images.

    How many of `total` images drawn from these with replacement are correct is
    binomial, so that no image need be drawn.
    """
    draws = np.random.default_rng(seed).binomial(total, correct / total, _RESAMPLES)
    tail = (1 - _LEVEL) / 2
    low, high = np.quantile(draws / total, [tail, 1 - tail])
    return float(low), float(high)


def average_precision(scores: np.ndarray, there: np.ndarray) -> float | None:
    """The area under precision over recall, as steps; None where nothing is there.

    Args:
        scores: `[images]`, of a class.
        there: bool `[images]`, whether they are of the class.
    """
    if not there.any():
        return None
    order = np.argsort(-scores, kind="stable")
    scores, there = scores[order], there[order]
    # Images of one score are found together.
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    right = np.cumsum(there)[last]
    precision, recall = right / (last + 1), right / right[-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def average_precisions(logits: np.ndarray, labels: np.ndarray) -> list[float | None]:
    """That of every class.

    Args:
        logits: `[images, classes]`; they are compared as probabilities of softmax, or
            as they are where images have several classes.
        labels: `[images]`, or `[images, classes]` of 0 and 1.
    """
    several = labels.ndim == 2
    scores = logits if several else softmax(logits)
    there = labels > 0.5 if several else labels[:, None] == np.arange(logits.shape[1])
    return [average_precision(s, t) for s, t in zip(scores.T, there.T, strict=True)]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities `[images, classes]`, in float64."""
    exponents = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The divisor of logits under which labels are most likely, from 0.05 to 20.

    The loss is convex in the inverse, among which this is a golden-section search.

    Args:
        logits: `[images, classes]`.
        labels: int `[images]`.
    """

    def loss(inverse: float) -> float:
        likelihood = softmax(inverse * logits)[np.arange(len(labels)), labels]
        return -float(np.mean(np.log(np.maximum(likelihood, _SMALLEST))))

    golden = (np.sqrt(5) - 1) / 2
    low, high = 1 / _TEMPERATURES[1], 1 / _TEMPERATURES[0]
    for _ in range(_ROUNDS):
        left, right = high - golden * (high - low), low + golden * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return float(2 / (low + high))


def averaged_views(
    model: Callable, views: str, size: int, several: bool
) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function of images that gives logits of the mean probabilities of views.

    Args:
        model: a function of images `[batch, size, size, channels]`.
        views: `flip`, for an image and its mirror image; or `ten_crop`, for five crops
            of a larger image and their mirror images.
        size: of the model's input.
        several: whether an image has any number of classes.
    """

    def logits(images: tf.Tensor) -> tf.Tensor:
        crops = [images] if views == "flip" else _five(images, size)
        every = [view for crop in crops for view in (crop, crop[:, :, ::-1])]
        probability = tf.sigmoid if several else tf.nn.softmax
        shares = [probability(tf.cast(model(view), tf.float32)) for view in every]
        mean = tf.clip_by_value(tf.add_n(shares) / len(shares), _SMALLEST, 1.0)
        if not several:
            return tf.math.log(mean)
        return tf.math.log(mean) - tf.math.log(tf.maximum(1.0 - mean, _SMALLEST))

    return logits


def larger(size: int) -> int:
    """The side of the images of which ten_crop takes crops of `size`."""
    return round(size / CROP)


def _five(images: tf.Tensor, size: int) -> list[tf.Tensor]:
    end = images.shape[1] - size
    places = [(0, 0), (0, end), (end, 0), (end, end), (end // 2, end // 2)]
    return [images[:, top : top + size, left : left + size] for top, left in places]
