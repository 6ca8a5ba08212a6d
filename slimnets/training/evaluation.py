"""How well a network classifies a split of a dataset, exactly: every image once."""

from __future__ import annotations

import os
import time
from typing import Any

import tensorflow as tf

from slimnets.checkpoints import CheckpointReader, load_weights, read_checkpoint
from slimnets.data import (
    BadRecords,
    Dataset,
    InputConfig,
    evaluation_batches,
    get_dataset,
)
from slimnets.data.bad_records import explained_errors
from slimnets.model import Model
from slimnets.training.averages import ENDING
from slimnets.training.measures import Evaluation, count

__all__ = ["Evaluation", "Evaluator", "evaluate", "evaluate_checkpoint"]


class Evaluator:
    """Classifies every image of a split once, as the network does in inference.

    Args:
        model: its logits are `[batch, dataset.num_classes + labels_offset]`.
        data: what to read; a config says the following too, where they are None.
        image_size: height and width of the network's input.
        split: the split; None for the dataset's own choice.
        batch_size: examples at a time; it does not change the result.
        preprocessing: a name; None for the dataset's own.
        crop_fraction: the share of an image's sides that is seen; None for the
            preprocessing's.
        labels_offset: what is added to a label: 1 for a background before the classes.
        loss: that of training: `softmax`, or `sigmoid` for images of several classes.
        max_bad_records: how many examples that cannot be used may be left out; None
            for what a config says, else 0.

    Raises:
        ValueError: for an unknown split or preprocessing.
    """

    def __init__(
        self,
        model: Model,
        data: Dataset | InputConfig,
        *,
        image_size: int | None = None,
        split: str | None = None,
        batch_size: int = 100,
        preprocessing: str | None = None,
        crop_fraction: float | None = None,
        labels_offset: int = 0,
        loss: str = "softmax",
        max_bad_records: int | None = None,
    ):
        config = data if isinstance(data, InputConfig) else None
        dataset = config.dataset if config else data
        if max_bad_records is None:
            max_bad_records = config.max_bad_records if config else 0
        self._names = tuple(dataset.label_names)
        self._split = split or dataset.test_split
        self._bad = BadRecords(max_bad_records)
        self._batches = evaluation_batches(
            data,
            split=self._split,
            batch_size=batch_size,
            image_size=image_size,
            preprocessing=preprocessing,
            crop_fraction=crop_fraction,
            bad_records=self._bad,
        )

        def counts(images: Any, labels: tf.Tensor) -> dict[str, tf.Tensor]:
            logits = model(images, training=False)
            return count(logits, labels, labels_offset, several=loss == "sigmoid")

        # The last batch may be short, which is no reason for another trace.
        images, labels = self._batches.element_spec
        self._count = tf.function(
            counts,
            input_signature=[
                tf.TensorSpec([None, *images.shape[1:]], images.dtype),
                tf.TensorSpec([None, *labels.shape[1:]], labels.dtype),
            ],
        )

    def __call__(self) -> Evaluation:
        """Raises ValueError for more bad records than allowed, or no good ones."""
        started = time.monotonic()
        sums: dict[str, Any] = {}
        self._bad.found.clear()
        with explained_errors():
            for images, labels in self._batches:
                for name, value in self._count(images, labels).items():
                    sums[name] = sums.get(name, 0) + value.numpy()
        if not sums:
            raise ValueError(f"The split {self._split!r} has no examples to measure.")
        return Evaluation.of_counts(
            sums,
            split=self._split,
            seconds=time.monotonic() - started,
            label_names=self._names,
            bad_records=dict(self._bad.found),
        )


def evaluate(model: Model, data: Dataset | InputConfig, **kwargs: Any) -> Evaluation:
    """Classifies every image of a split; arguments as of `Evaluator`."""
    return Evaluator(model, data, **kwargs)()


def evaluate_checkpoint(
    path: str | os.PathLike,
    *,
    model_name: str | None = None,
    dataset_name: str | None = None,
    dataset_dir: str | None = None,
    split: str | None = None,
    batch_size: int = 100,
    image_size: int | None = None,
    preprocessing: str | None = None,
    crop_fraction: float | None = None,
    averages: bool | None = None,
    max_bad_records: int = 0,
) -> tuple[Evaluation, str]:
    """Evaluates a checkpoint; what is None comes from its metadata.

    Args:
        path: see `checkpoints.read_checkpoint`.
        model_name: a registered network.
        dataset_name: a name that `get_dataset` takes.
        dataset_dir: where a dataset on disk lies.
        split: the split; None for the dataset's own choice.
        batch_size: examples at a time; it does not change the result.
        image_size: height and width of the network's input; without metadata the
            network's default.
        preprocessing: a name; without metadata the dataset's own.
        crop_fraction: see `Evaluator`.
        max_bad_records: how many examples that cannot be used may be left out.
        averages: whether the moving averages of the weights are measured; None for
            yes where the checkpoint has them.

    Returns:
        The evaluation, and the prefix of the checkpoint that was found.

    Raises:
        FileNotFoundError: if there is no checkpoint.
        ValueError: if it cannot be read, does not fit the network, or has no metadata
            and a name is not given.
    """
    reader = read_checkpoint(path)
    if task := reader.metadata.get("task"):
        raise ValueError(
            f"{reader.prefix} is of a run of {task}, not of classification; the "
            "command that trained it measures it again."
        )
    dataset = _dataset(reader, dataset_name, dataset_dir)
    name = _known(model_name, reader, "model_name")
    own = name == reader.metadata.get("model_name")
    offset = reader.metadata.get("labels_offset", 0)
    model = Model(
        name,
        num_classes=dataset.num_classes + offset,
        precision=reader.metadata.get("precision", "float32"),
        **(reader.metadata.get("network_options", {}) if own else {}),
    )
    size = image_size or reader.metadata.get("image_size") or model.default_image_size
    if size is None:
        raise ValueError(f"{model.network_name} has no default image size; give one.")
    model.build([None, *dataset.input_shape(size)])
    load_trained(reader, model, averages)
    evaluation = evaluate(
        model,
        dataset,
        image_size=size,
        split=split,
        batch_size=batch_size,
        preprocessing=preprocessing or reader.metadata.get("preprocessing_name"),
        crop_fraction=crop_fraction,
        labels_offset=offset,
        loss=reader.metadata.get("loss", "softmax"),
        max_bad_records=max_bad_records,
    )
    return evaluation, reader.prefix


def load_trained(
    reader: CheckpointReader, model: Model, averages: bool | None = None
) -> None:
    """Loads a network's weights, or the averages of them.

    Args:
        reader: what to read.
        model: built; all of its variables are filled.
        averages: whether to load averages; None for yes where there are all of them.

    Raises:
        ValueError: if the checkpoint does not fit, or has no averages.
    """
    averaged = {name + ENDING: v for name, v in model.variables_by_name.items()}
    if averages is None:
        averages = all(name in reader for name in averaged)
    if not averages:
        load_weights(reader.prefix, model)
        return
    missing = [name for name in averaged if name not in reader]
    if missing:
        raise ValueError(
            f"{reader.prefix} has no moving averages such as {missing[0]}; "
            "--moving_average_decay of training keeps them."
        )
    for name, variable in averaged.items():
        variable.assign(reader[name])


def _dataset(
    reader: CheckpointReader, name: str | None, directory: str | None
) -> Dataset:
    """The dataset; one of the name that it was trained on lies where it lay."""
    trained_with = reader.metadata.get("config", {})
    name = _known(name, reader, "dataset_name")
    offset = None
    if name == trained_with.get("dataset_name"):
        if not directory and (directory := trained_with.get("dataset_dir")):
            _check_directory(directory, reader.prefix)
        offset = trained_with.get("labels_offset")
    return get_dataset(name, dataset_dir=directory, labels_offset=offset)


def _check_directory(path: str, prefix: str) -> None:
    """Raises FileNotFoundError if what a run was trained on is not there any more."""
    if not os.path.exists(path):
        where = "" if os.path.isabs(path) else f", seen from {os.getcwd()}"
        raise FileNotFoundError(
            f"{prefix} was trained on {path}, which is not there{where}: give "
            "dataset_dir."
        )


def _known(value: Any, reader: CheckpointReader, name: str) -> Any:
    value = value or reader.metadata.get(name)
    if value is None:
        raise ValueError(
            f"{reader.prefix} has no metadata beside it that tells its {name}: "
            f"give {name}."
        )
    return value
