"""Exact accuracy of a network on a split of a dataset."""

import dataclasses
import os
import time
from typing import Any

import tensorflow as tf

from slimnets.checkpoints import CheckpointReader, load_weights, read_checkpoint
from slimnets.data import Dataset, evaluation_batches, get_dataset
from slimnets.model import Model


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """How many of the examples of a split were classified correctly.

    Attributes:
        correct: the number of examples whose largest logit is that of their label.
        total: the number of examples.
        split: their split's name.
        seconds: how long it took.
    """

    correct: int
    total: int
    split: str
    seconds: float

    @property
    def accuracy(self) -> float:
        """The share of correct examples, from 0 to 1."""
        return self.correct / self.total

    @property
    def summaries(self) -> dict[str, float]:
        """What the run's summaries show of it."""
        return {"test_accuracy": self.accuracy}

    def __str__(self) -> str:
        return (
            f"accuracy {100 * self.accuracy:.2f} % "
            f"({self.correct} of {self.total} {self.split} examples)"
        )


def evaluate(
    model: Model,
    dataset: Dataset,
    *,
    image_size: int,
    split: str | None = None,
    batch_size: int = 100,
    preprocessing: str | None = None,
    labels_offset: int = 0,
) -> Evaluation:
    """Classifies every image of the split once, as the network does in inference.

    Args:
        model: its logits are `[batch, dataset.num_classes + labels_offset]`.
        dataset: what to read.
        image_size: height and width of the network's input.
        split: the split; None for the dataset's own choice.
        batch_size: examples at a time; it does not change the result.
        preprocessing: a name; None for the dataset's own.
        labels_offset: what is added to a label: 1 for a background before the classes.

    Raises:
        ValueError: for an unknown split or preprocessing.
    """
    split = split or dataset.test_split

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, *dataset.input_shape(image_size)], tf.float32),
            tf.TensorSpec([None], tf.int64),
        ]
    )
    def count_correct(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        found = tf.argmax(model(images, training=False), axis=-1)
        return tf.math.count_nonzero(tf.equal(found, labels + labels_offset))

    started = time.monotonic()
    correct = total = 0
    for images, labels in evaluation_batches(
        dataset,
        split=split,
        batch_size=batch_size,
        image_size=image_size,
        preprocessing=preprocessing,
    ):
        correct += int(count_correct(images, labels))
        total += int(labels.shape[0])
    return Evaluation(correct, total, split, time.monotonic() - started)


def evaluate_checkpoint(
    path: str | os.PathLike,
    *,
    model_name: str | None = None,
    dataset_name: str | None = None,
    split: str | None = None,
    batch_size: int = 100,
    image_size: int | None = None,
    preprocessing: str | None = None,
) -> tuple[Evaluation, str]:
    """Evaluates a checkpoint; what is None comes from its metadata.

    Args:
        path: see `checkpoints.read_checkpoint`.
        model_name: a registered network.
        dataset_name: a registered dataset.
        split: the split; None for the dataset's own choice.
        batch_size: examples at a time; it does not change the result.
        image_size: height and width of the network's input; without metadata the
            network's default.
        preprocessing: a name; without metadata the dataset's own.

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
    dataset = get_dataset(_known(dataset_name, reader, "dataset_name"))
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
    load_weights(reader.prefix, model)
    evaluation = evaluate(
        model,
        dataset,
        image_size=size,
        split=split,
        batch_size=batch_size,
        preprocessing=preprocessing or reader.metadata.get("preprocessing_name"),
        labels_offset=offset,
    )
    return evaluation, reader.prefix


def _known(value: Any, reader: CheckpointReader, name: str) -> Any:
    value = value or reader.metadata.get(name)
    if value is None:
        raise ValueError(
            f"{reader.prefix} has no metadata beside it that tells its {name}: "
            f"give {name}."
        )
    return value
