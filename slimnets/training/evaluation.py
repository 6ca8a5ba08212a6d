"""How well a network classifies a split of a dataset, exactly: every image once."""

from __future__ import annotations

import dataclasses
import functools
import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets.data import (
    BadRecords,
    Dataset,
    InputConfig,
    evaluation_batches,
    get_preprocessing,
)
from slimnets.data.bad_records import explained_errors
from slimnets.data.class_names import are_names
from slimnets.data.corruptions import STRENGTHS, Corruption
from slimnets.data.input_config import FALLBACK
from slimnets.model import Model
from slimnets.trained import CLASSIFICATION, Trained, open_trained
from slimnets.training.evaluation_data import (
    check_loss,
    classes_of,
    dataset_for,
    scope_of,
)
from slimnets.training.measures import Evaluation, Sums, count
from slimnets.training.scores import VIEWS, averaged_views, larger

__all__ = ["Evaluation", "Evaluator", "evaluate", "evaluate_checkpoint",
           "evaluate_trained"]  # fmt: skip
# What is not summed over batches, but put one after the other.
_KEPT = ("logits", "labels")


class Evaluator:
    """Classifies every image of a split once, as the network does in inference.

    Args:
        model: its logits are `[batch, classes]`.
        data: what to read; a config says the following too, where they are None.
        image_size: height and width of the network's input.
        split: the split; None for the dataset's own choice.
        batch_size: examples at a time; it does not change the result.
        preprocessing: a name; None for the dataset's own.
        crop_fraction: the share of an image's sides that is seen; None for the
            preprocessing's.
        logits_of_labels: for each label of the dataset, which logit is its class; None
            for the same number.
        logit_names: of the logits; None for the dataset's names of their classes.
        loss: that of training: `softmax`, or `sigmoid` for images of several classes.
        max_bad_records: how many examples that cannot be used may be left out; None
            for what a config says, else 0.
        views: see `scores.averaged_views`; None for the one image.
        keep: whether the evaluation has the logits and labels of every image, and the
            dataset.

    Raises:
        ValueError: for an unknown split, preprocessing or kind of views.
    """

    def __init__(
        self,
        model: Callable,
        data: Dataset | InputConfig,
        *,
        image_size: int | None = None,
        split: str | None = None,
        batch_size: int = 100,
        preprocessing: str | None = None,
        crop_fraction: float | None = None,
        logits_of_labels: Sequence[int] | None = None,
        logit_names: Sequence[str] | None = None,
        loss: str = "softmax",
        max_bad_records: int | None = None,
        views: str | None = None,
        keep: bool = False,
    ):
        config = data if isinstance(data, InputConfig) else None
        dataset = config.dataset if config else data
        if max_bad_records is None:
            max_bad_records = config.max_bad_records if config else 0
        if logits_of_labels is None:
            logits_of_labels = range(dataset.num_classes)
        self._names = logit_names or _names(dataset.label_names, logits_of_labels)
        self._split = split or dataset.test_split
        self._dataset, self._keep = dataset, keep
        self.batch_size = batch_size
        self._bad = BadRecords(max_bad_records)
        infer: Callable = functools.partial(model, training=False)
        if views is not None:
            size = image_size or (config.evaluation_size if config else None)
            if size is None:
                raise ValueError("image_size is missing; only a config has its own.")
            _check_views(views, dataset)
            infer = averaged_views(infer, views, size, loss == "sigmoid")
            if views == "ten_crop":
                if crop_fraction is not None:
                    raise ValueError(
                        f"crop_fraction={crop_fraction} is of no effect with "
                        "views=ten_crop, which crops the whole image."
                    )
                image_size = larger(size)
                own = config.preprocessing if config else dataset.default_preprocessing
                recipe = get_preprocessing(preprocessing or own or FALLBACK)
                crop_fraction = recipe.view.crop_fraction and 1.0
        self._read = functools.partial(
            evaluation_batches,
            data,
            split=self._split,
            batch_size=batch_size,
            image_size=image_size,
            preprocessing=preprocessing,
            crop_fraction=crop_fraction,
            bad_records=self._bad,
        )

        places = tf.constant(list(logits_of_labels), tf.int64)

        def counts(images: Any, labels: tf.Tensor) -> dict[str, tf.Tensor]:
            logits = infer(images)
            labels = _in_order_of_logits(labels, places, logits.shape[-1])
            counted = count(logits, labels, several=loss == "sigmoid")
            kept = {"logits": tf.cast(logits, tf.float32), "labels": labels}
            return {**counted, **(kept if keep else {})}

        # The last batch may be short, which is no reason for another trace.
        self._batches = self._read()
        signature = [
            tf.TensorSpec([None, *spec.shape[1:]], spec.dtype)
            for spec in self._batches.element_spec
        ]
        # An export runs outside of TensorFlow's graphs: in one, on one processor, its
        # own would wait for the only thread, which waits for it.
        self._count = counts
        if not getattr(model, "runs_in_python", False):
            self._count = tf.function(counts, signature, autograph=False)

    @property
    def number(self) -> int:
        """How many examples the split has."""
        return self._dataset.splits[self._split]

    def __call__(self, corruption: Corruption | None = None) -> Evaluation:
        """Raises ValueError for more bad records than allowed, or no good ones.

        Args:
            corruption: what happens to images before; None for nothing.
        """
        started = time.monotonic()
        sums = self.sums(corruption)
        return self.evaluation(sums, time.monotonic() - started)

    def sums(
        self, corruption: Corruption | None = None, indices: range | None = None
    ) -> Sums:
        """Counts the images of some indices, None for all; errors are as of a call."""
        self._bad.found.clear()
        batches = self._batches
        if corruption is not None or indices is not None:
            batches = self._read(corruption=corruption, indices=indices)
        sums = Sums()
        with explained_errors():
            for images, labels in batches:
                counts = {n: v.numpy() for n, v in self._count(images, labels).items()}
                kept = {n: [counts.pop(n)] for n in _KEPT if n in counts}
                sums.add(Sums(counts, kept))
        sums.bad = dict(self._bad.found)
        return sums

    def evaluation(self, sums: Sums, seconds: float) -> Evaluation:
        """What follows of the sums of all images."""
        if not sums.counts:
            raise ValueError(f"The split {self._split!r} has no examples to measure.")
        return Evaluation.of_counts(
            sums.counts,
            split=self._split,
            seconds=seconds,
            label_names=tuple(self._names),
            bad_records=sums.bad,
            dataset=self._dataset if self._keep else None,
            **{name: np.concatenate(parts) for name, parts in sums.kept.items()},
        )


def evaluate(model: Model, data: Dataset | InputConfig, **kwargs: Any) -> Evaluation:
    """Classifies every image of a split; arguments as of `Evaluator`."""
    return Evaluator(model, data, **kwargs)()


def evaluate_checkpoint(
    path: str | os.PathLike,
    *,
    model_name: str | None = None,
    image_size: int | None = None,
    preprocessing: str | None = None,
    averages: bool | None = None,
    rename: Iterable[tuple[str, str]] = (),
    exclude: Iterable[str] = (),
    **kwargs: Any,
) -> tuple[Evaluation, str]:
    """Evaluates a checkpoint; what is None comes from its metadata.

    Args:
        path: see `open_trained`, as for what is not listed here.
        **kwargs: see `evaluate_trained`.

    Returns:
        The evaluation, and the prefix of the checkpoint that was found.

    Raises:
        FileNotFoundError: if there is no checkpoint.
        ValueError: if it cannot be read, does not fit the network or the dataset, or
            has no metadata and a name is not given.
    """
    trained = open_trained(
        path,
        averages=averages,
        model_name=model_name,
        image_size=image_size,
        preprocessing=preprocessing,
        precision=None,
        rename=rename,
        exclude=exclude,
    )
    evaluation = evaluate_trained(trained, preprocessing=preprocessing, **kwargs)
    return evaluation, trained.path


def evaluate_trained(
    trained: Trained, *, corruptions: Sequence[str] = (), **settings: Any
) -> Evaluation:
    """Evaluates what `open_trained` gave.

    Args:
        trained: the network.
        corruptions: names of what may have happened to images, each of which is
            measured too; see `slimnets.data.corruptions`.
        **settings: see `evaluator_of`.

    Raises:
        FileNotFoundError: if the dataset is not there.
        ValueError: if dataset and network do not fit, or a name is not known.
    """
    evaluator, scope = evaluator_of(trained, **settings)
    return dataclasses.replace(
        evaluator(),
        scope=scope,
        corrupted={
            name: [evaluator(Corruption(name, s)).accuracy for s in STRENGTHS]
            for name in corruptions
        },
    )


def evaluator_of(
    trained: Trained,
    *,
    dataset_name: str | None = None,
    dataset_dir: str | None = None,
    split: str | None = None,
    batch_size: int = 100,
    preprocessing: str | None = None,
    crop_fraction: float | None = None,
    exif_orientation: bool | None = None,
    max_bad_records: int = 0,
    views: str | None = None,
    keep: bool = False,
    **of_records: Any,
) -> tuple[Evaluator, str]:
    """What evaluates a network that `open_trained` gave.

    Args:
        trained: the network.
        dataset_name: a name that `get_dataset` takes; None for what it was trained on.
        dataset_dir: where a dataset on disk lies; None for where it lay.
        split: the split; None for the one that is held out of what it was trained on,
            and for all of another dataset that has no splits of its own.
        batch_size: examples at a time; it does not change the result.
        preprocessing: a name; None for what it was trained with.
        crop_fraction: see `Evaluator`.
        exif_orientation: whether photos are turned upright, as EXIF says; None for as
            in training.
        max_bad_records: how many examples that cannot be used may be left out.
        views, keep: see `Evaluator`.
        **of_records: labels_offset and the other arguments of `get_dataset` for record
            files; None for those of training.

    Returns:
        It, and which of how many images it measures; see `scope_of`.

    Raises:
        FileNotFoundError, ValueError: as `evaluate_trained`.
    """
    trained.check_task(CLASSIFICATION)
    dataset, whole = dataset_for(trained, dataset_name, dataset_dir, **of_records)
    if exif_orientation is not None:
        dataset = dataclasses.replace(dataset, exif_orientation=exif_orientation)
    split = split or whole or dataset.test_split
    loss = trained.metadata.get("loss", "softmax")
    check_loss(loss, dataset, split, f"{trained.path} was trained with it")
    if crop_fraction is None and preprocessing is None and views != "ten_crop":
        crop_fraction = trained.crop_fraction
    evaluator = Evaluator(
        trained.model,
        dataset,
        image_size=trained.image_size,
        split=split,
        batch_size=batch_size,
        preprocessing=preprocessing
        or trained.metadata.get("preprocessing_name")
        or dataset.default_preprocessing
        or trained.preprocessing,
        crop_fraction=crop_fraction,
        logits_of_labels=classes_of(trained, dataset),
        logit_names=trained.label_names if are_names(trained.label_names) else None,
        loss=loss,
        max_bad_records=max_bad_records,
        views=views,
        keep=keep,
    )
    return evaluator, scope_of(trained, dataset, split)


def _names(label_names: Sequence[str], places: Sequence[int]) -> tuple[str, ...]:
    """Names of logits, of which those that come before the classes are left out."""
    by_place = dict(zip(places, label_names, strict=True))
    return tuple(by_place[place] for place in sorted(by_place))


def _check_views(views: str, dataset: Dataset) -> None:
    if views not in VIEWS:
        raise ValueError(f"views={views!r} is not one of {', '.join(VIEWS)}.")
    if len(dataset.image_shape) != 3:
        raise ValueError(f"views={views!r} is for images; {dataset.name} has none.")


def _in_order_of_logits(labels: tf.Tensor, places: tf.Tensor, number: int) -> tf.Tensor:
    """Labels as numbers of logits; those of several classes as `[batch, number]`."""
    if not labels.dtype.is_floating:
        return tf.gather(places, labels)
    return tf.matmul(labels, tf.one_hot(places, number, dtype=labels.dtype))
