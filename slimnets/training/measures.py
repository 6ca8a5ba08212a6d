"""What is counted of classified images, and the measures that follow from it.

All of it is sums over images, so that memory does not grow with their number.

Source: calibration: Guo et al., arXiv:1706.04599, equation 3.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets.data import Dataset
from slimnets.training.scores import accuracy_interval, average_precisions

TOP = 5
CONFIDENCE_BINS = 15
# By how much accuracies differ that cannot be of the same network and like images.
_FAR = 0.2


# Functions of labels and logits that give `[batch]`, by name.
METRICS: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {}
_METRIC = "metric/"


def register_metric(
    name: str, metric: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
) -> None:
    """Adds a measure of evaluations: the mean over the images, as `test_NAME`.

    Args:
        name: a new one.
        metric: a function of labels, as `count` takes them, and logits that gives a
            number for each image, `[batch]`.

    Raises:
        ValueError: if the name is taken.
    """
    if name in METRICS:
        raise ValueError(f"A metric named {name!r} is already registered.")
    METRICS[name] = metric


def far_below(trained: float | None, measured: float | None) -> str:
    """A hint where a network does much worse in evaluation than in training, or "".

    Args:
        trained: the accuracy of the last batches of training, as they were augmented.
        measured: that of evaluation.
    """
    if trained is None or measured is None:
        return ""
    if measured > trained / 2 or trained - measured < _FAR:
        return ""
    return (
        f"accuracy is {100 * measured:.1f} % in evaluation, but {100 * trained:.1f} % "
        "in training: try recalibrate_batches=20 or a lower batch_norm_decay, for "
        "averages of batch norm that lag behind, or a lower learning_rate; see whether "
        "both splits have the same classes and images alike; or the network has "
        "learned the images by heart."
    )


def count(
    logits: tf.Tensor, labels: tf.Tensor, *, several: bool = False
) -> dict[str, tf.Tensor]:
    """Returns sums over a batch, for `Evaluation.of_counts`.

    Args:
        logits: `[batch, classes]`.
        labels: int `[batch]`, numbers of logits; or float `[batch, classes]`, of which
            those above 1/2 are the image's.
        several: whether an image has any number of classes: those whose logit is
            above 0.
    """
    own = {
        f"{_METRIC}{name}": tf.reduce_sum(tf.cast(metric(labels, logits), tf.float64))
        for name, metric in METRICS.items()
    }
    return {**_count(logits, labels, several), **own}


def _count(logits: tf.Tensor, labels: tf.Tensor, several: bool) -> dict[str, tf.Tensor]:
    classes = logits.shape[-1]
    if several:
        if not labels.dtype.is_floating:
            labels = tf.one_hot(labels, classes)
        return _count_several(logits > 0, labels > 0.5)
    if labels.dtype.is_floating:
        labels = tf.argmax(labels, axis=-1)
    found = tf.argmax(logits, axis=-1)
    correct = tf.equal(found, labels)
    confidence = tf.reduce_max(tf.nn.softmax(tf.cast(logits, tf.float32)), axis=-1)
    # A bin holds the confidences above its lower end.
    bins = tf.cast(tf.math.ceil(confidence * CONFIDENCE_BINS), tf.int32) - 1
    columns = [tf.ones_like(confidence), confidence, tf.cast(correct, tf.float32)]
    counts = {
        "images": tf.shape(labels)[0],
        "correct": tf.math.count_nonzero(correct),
        "confusion": tf.math.confusion_matrix(labels, found, classes, dtype=tf.int64),
        "bins": tf.math.unsorted_segment_sum(
            tf.cast(tf.stack(columns, axis=-1), tf.float64),
            tf.clip_by_value(bins, 0, CONFIDENCE_BINS - 1),
            CONFIDENCE_BINS,
        ),
    }
    if classes > TOP:
        top = tf.cast(tf.math.top_k(logits, TOP).indices, tf.int64)
        among = tf.reduce_any(tf.equal(top, labels[:, tf.newaxis]), axis=-1)
        counts["top5_correct"] = tf.math.count_nonzero(among)
    return counts


def _count_several(found: tf.Tensor, there: tf.Tensor) -> dict[str, tf.Tensor]:
    right = tf.reduce_all(tf.equal(found, there), axis=-1)
    columns = [found & there, found, there]
    by_class = [tf.math.count_nonzero(column, axis=0) for column in columns]
    return {
        "images": tf.shape(found)[0],
        "correct": tf.math.count_nonzero(right),
        "by_class": tf.stack(by_class, axis=-1),
    }


@dataclasses.dataclass
class Sums:
    """What is counted of some of a split's images.

    Attributes:
        counts: the sums of what `count` gives, by name.
        kept: the logits and labels of batches, in order, if they are kept.
        bad: what was wrong with each example that was left out, by name.
    """

    counts: dict[str, Any] = dataclasses.field(default_factory=dict)
    kept: dict[str, list[np.ndarray]] = dataclasses.field(default_factory=dict)
    bad: dict[str, str] = dataclasses.field(default_factory=dict)

    def add(self, other: Sums) -> None:
        """Adds those of the images that come behind."""
        for name, value in other.counts.items():
            self.counts[name] = self.counts.get(name, 0) + value
        for name, parts in other.kept.items():
            self.kept.setdefault(name, []).extend(parts)
        self.bad |= other.bad


@dataclasses.dataclass(frozen=True, repr=False)
class Evaluation:
    """How the examples of a split were classified.

    Attributes:
        correct: the number of examples whose largest logit is that of their label;
            of images of several classes, those for which all of them are right.
        total: the number of examples.
        split: their split's name.
        seconds: how long it took.
        label_names: of the classes, as many as logits but for a background before them.
        top5_correct: the number of examples whose label is among the five largest
            logits; None with up to five classes.
        confusion: int64 `[classes, classes]`: examples by their class and the one
            predicted; None of images of several classes.
        bins: float64 `[15, 3]`: examples, their confidence and their hits, by
            confidence; as confusion.
        by_class: int64 `[classes, 3]` of images of several classes: found rightly,
            found, and there; else None.
        metrics: the means of `METRICS`.
        bad_records: what was wrong with each example that was left out, by name.
        scope: how many of how many images of the dataset these are; empty where it has
            its own splits.
        logits, labels: of every image, in order, if they are kept: `[total, classes]`,
            and numbers of logits `[total]` or rows of 0 and 1.
        dataset: what the examples are of, with these.
        corrupted: accuracies under corruptions of five strengths, by name.
    """

    correct: int
    total: int
    split: str
    seconds: float
    label_names: tuple[str, ...] = ()
    top5_correct: int | None = None
    confusion: np.ndarray | None = None
    bins: np.ndarray | None = None
    by_class: np.ndarray | None = None
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    bad_records: Mapping[str, str] = dataclasses.field(default_factory=dict)
    scope: str = ""
    logits: np.ndarray | None = None
    labels: np.ndarray | None = None
    dataset: Dataset | None = None
    corrupted: Mapping[str, Sequence[float]] = dataclasses.field(default_factory=dict)

    @classmethod
    def of_counts(cls, counts: Mapping[str, Any], **others: Any) -> Evaluation:
        """The evaluation whose counts are sums of those that `count` gave."""
        values = {**counts, "total": counts["images"]}
        images = int(values.pop("images"))
        own = [name for name in values if name.startswith(_METRIC)]
        values["metrics"] = {
            name.removeprefix(_METRIC): float(values.pop(name)) / max(images, 1)
            for name in own
        }
        for name in ("correct", "total", "top5_correct"):
            if name in values:
                values[name] = int(values[name])
        return cls(**values, **others)

    @property
    def accuracy(self) -> float:
        """The share of correct examples, from 0 to 1."""
        return self.correct / self.total

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """Where the accuracy of other such images lies, 19 times of 20."""
        return accuracy_interval(self.correct, self.total)

    @property
    def calibration_error(self) -> float | None:
        """The expected difference of confidence and accuracy, from 0 to 1."""
        if self.bins is None:
            return None
        _, confidence, hits = self.bins.T
        return float(np.abs(confidence - hits).sum() / self.total)

    @property
    def summaries(self) -> dict[str, float]:
        """What the run's summaries show of it."""
        values = {"test_accuracy": self.accuracy}
        if self.top5_correct is not None:
            values["test_top5_accuracy"] = self.top5_correct / self.total
        if (error := self.calibration_error) is not None:
            values["test_calibration_error"] = error
        if self.by_class is not None:
            right, found, there = self.by_class.sum(axis=0)
            values["test_precision"] = float(right / max(found, 1))
            values["test_recall"] = float(right / max(there, 1))
        values |= {f"test_{name}": value for name, value in self.metrics.items()}
        return values

    def class_rows(self) -> list[dict[str, Any]]:
        """For each class its name, how many examples it has and what became of them.

        `recall` is the share of them that were predicted, `precision` the share of
        those predicted that are of the class, `f1` the harmonic mean of both; None
        where there are none to have a share of. `average_precision` is None too where
        logits are not kept.
        """
        if self.by_class is not None:
            right, found, there = self.by_class.T
        else:
            confusion = np.asarray(self.confusion)
            right = np.diag(confusion)
            found, there = confusion.sum(axis=0), confusion.sum(axis=1)
        areas: list[float | None] = [None] * len(right)
        if self.logits is not None:
            areas = average_precisions(self.logits, self.labels)
        names = [*["background"] * (len(right) - len(self.label_names))]
        names += self.label_names
        return [
            {
                "class": index,
                "name": names[index],
                "examples": int(there[index]),
                "correct": int(right[index]),
                "recall": _share(right[index], there[index]),
                "precision": _share(right[index], found[index]),
                "f1": _share(2 * right[index], there[index] + found[index]),
                "average_precision": areas[index],
            }
            for index in range(len(right))
        ]

    def corruption_rows(self) -> list[list[Any]]:
        """A name, five accuracies and their mean for each corruption, and for all."""
        rows = [[name, *found] for name, found in self.corrupted.items()]
        if len(rows) > 1:
            means = np.mean([row[1:] for row in rows], axis=0)
            rows.append(["mean", *means.tolist()])
        return [[*row, float(np.mean(row[1:]))] for row in rows]

    def __repr__(self) -> str:
        return f"<Evaluation: {self}>"

    def __str__(self) -> str:
        scope = f", {self.scope}" if self.scope else ""
        return (
            f"accuracy {100 * self.accuracy:.2f} % "
            f"({self.correct} of {self.total} {self.split} examples{scope})"
        )


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None
