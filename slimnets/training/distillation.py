"""A trained network as the teacher of another one.

Sources: Hinton et al., arXiv:1503.02531: the student's probabilities are to be those of
the teacher, both at a temperature; the loss is scaled by its square, so that gradients
keep their size. Zagoruyko & Komodakis, arXiv:1612.03928: so are the places of an image
at which end points are strong, whatever the depths of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from slimnets.end_points import EndPoints
from slimnets.model import Model
from slimnets.trained import CLASSIFICATION, open_trained
from slimnets.training.evaluation_data import classes_of
from slimnets.training.training_config import TrainingConfig

WEIGHT, TEMPERATURE, END_POINTS_WEIGHT = 0.5, 4.0, 1000.0


class Teacher:
    """Gives the logits and end points of a trained network for what a run trains on.

    Args:
        config: names the network, and says what it will see.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it takes other images than the run gives, or has other classes,
            or lacks an end point.
    """

    def __init__(self, config: TrainingConfig):
        trained = open_trained(str(config.teacher))
        trained.check_task(CLASSIFICATION)
        known = trained.metadata.get("preprocessing_name", trained.preprocessing)
        theirs = (known, trained.image_size, trained.channels)
        ours = (config.preprocessing, config.image_size, config.dataset.image_shape[-1])
        names = ("preprocessing_name", "train_image_size", "channels")
        for name, their, our in zip(names, theirs, ours, strict=True):
            if their != our:
                raise ValueError(
                    f"teacher={config.teacher} takes images of {name}={their!r}, but "
                    f"this run gives it {name}={our!r}; both must be the same."
                )
        if trained.batch_size is not None:
            raise ValueError(
                f"teacher={config.teacher} takes {trained.batch_size} images at a "
                "time; give one that takes any number."
            )
        self._network: Any = trained.model
        self._places = classes_of(trained, config.dataset)
        self._names = [theirs for _, theirs in paired(config.teacher_end_points)]
        if self._names and not isinstance(trained.model, Model):
            raise ValueError(
                f"teacher_end_points={self._names[0]!r}: teacher={config.teacher} is "
                "an export, which gives its outputs alone; give a checkpoint."
            )
        if self._names:
            shape = [None, *config.dataset.input_shape(config.image_size)]
            tf.function(self, autograph=False).get_concrete_function(
                tf.TensorSpec(shape)
            )

    def __call__(self, images: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Logits `[batch, classes]` in the order of the dataset's labels, and the
        `attention` of the end points."""
        attentions = []
        if self._names:
            logits, end_points = self._network.with_end_points(images)
            attentions = attentions_of(end_points, self._names)
        else:
            logits = self._network(images, training=False)
        logits = tf.gather(tf.cast(logits, tf.float32), self._places, axis=1)
        return tf.nest.map_structure(tf.stop_gradient, (logits, attentions))


def distillation_loss(
    teacher: tf.Tensor, student: tf.Tensor, temperature: float
) -> tf.Tensor:
    """The divergence of the student from the teacher, `[batch]`; 0 where they agree.

    Args:
        teacher, student: logits `[batch, classes]`.
        temperature: what both are divided by.
    """
    theirs = tf.nn.log_softmax(tf.cast(teacher, tf.float32) / temperature)
    ours = tf.nn.log_softmax(tf.cast(student, tf.float32) / temperature)
    divergence = tf.reduce_sum(tf.exp(theirs) * (theirs - ours), axis=-1)
    return temperature**2 * divergence


def paired(names: Sequence[str] | None) -> list[tuple[str, str]]:
    """The end points of the student and of the teacher, of texts STUDENT=TEACHER; one
    name is that of both."""
    pairs = [text.partition("=") for text in names or ()]
    return [(ours, theirs or ours) for ours, _, theirs in pairs]


def attentions_of(end_points: EndPoints, names: Sequence[str]) -> list[tf.Tensor]:
    """The `attention` of end points.

    Raises:
        ValueError: if one is not there, with the nearest, or has no places.
    """
    found = []
    for name in names:
        try:
            values = end_points[name]
        except KeyError as error:
            raise ValueError(f"teacher_end_points: {error.args[0]}") from error
        if values.shape.rank != 4 or 1 in values.shape[1:3]:
            raise ValueError(
                f"teacher_end_points: {name} of {end_points.scope} has the shape "
                f"{values.shape}, and no places of an image to compare."
            )
        found.append(attention(values))
    return found


def attention(values: tf.Tensor) -> tf.Tensor:
    """How strong each place of an activation is, `[batch, height, width, 1]`: the mean
    of its channels' squares, scaled so that the norm of an image's is 1."""
    squares = tf.reduce_mean(tf.cast(values, tf.float32) ** 2, -1, keepdims=True)
    return tf.math.l2_normalize(squares, axis=[1, 2])


def attention_loss(teacher: tf.Tensor, student: tf.Tensor) -> tf.Tensor:
    """Half the mean square of how far two attentions are apart, `[batch]`.

    That of the teacher is resized to the student's where it has another size.
    """
    if teacher.shape[1:3] != student.shape[1:3]:
        resized = tf.image.resize(teacher, tf.shape(student)[1:3], "area")
        teacher = tf.math.l2_normalize(resized, axis=[1, 2])
    return 0.5 * tf.reduce_mean((student - teacher) ** 2, [1, 2, 3])
