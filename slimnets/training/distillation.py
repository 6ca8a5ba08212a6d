"""A trained network as the teacher of another one.

Source: Hinton et al., arXiv:1503.02531: the student's probabilities are to be those of
the teacher, both at a temperature; the loss is scaled by its square, so that gradients
keep their size.
"""

from __future__ import annotations

import tensorflow as tf

from slimnets.model import Model
from slimnets.trained import CLASSIFICATION, open_trained
from slimnets.training.evaluation_data import classes_of
from slimnets.training.training_config import TrainingConfig

WEIGHT, TEMPERATURE = 0.5, 4.0


class Teacher:
    """Gives the logits of a trained network for what a run trains on.

    Args:
        config: names the network, and says what it will see.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it takes other images than the run gives, or has other classes.
    """

    def __init__(self, config: TrainingConfig):
        trained = open_trained(config.teacher)
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
        self._network = trained.model
        self._is_model = isinstance(trained.model, Model)
        self._places = classes_of(trained, config.dataset)

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Logits `[batch, classes]` in the order of the dataset's labels."""
        if self._is_model:
            logits = self._network(images, training=False)
        else:
            logits = tf.numpy_function(self._outside, [images], tf.float32)
            logits = tf.ensure_shape(logits, [images.shape[0], None])
        logits = tf.gather(tf.cast(logits, tf.float32), self._places, axis=1)
        return tf.stop_gradient(logits)

    def _outside(self, images):
        """What runs an export; it is none of TensorFlow's functions."""
        return tf.cast(self._network(images), tf.float32).numpy()


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
