"""What predicts: a network of images with its classes, in a checkpoint or exported."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from slimnets.checkpoints.matching import rename_pairs
from slimnets.data.image_files import ImageFile
from slimnets.data.labels import Prediction, decode_predictions
from slimnets.heads.rows import DETECTION, SEGMENTATION
from slimnets.tasks.config import EmbeddingConfig, PredictionConfig
from slimnets.trained import CLASSIFICATION, Trained, open_trained

_BATCH_SIZE = 32
# Settings of predictions by the tasks whose networks take no notice of them.
_WITHOUT_EFFECT = {
    CLASSIFICATION: ("overlays", "masks", "least_score", "window_size"),
    DETECTION: ("top", "format", "masks"),
    SEGMENTATION: ("top", "format", "output", "least_score"),
}


class Classifier:
    """Decodes images and finds their classes.

    Args:
        trained: the network.
        config: says how many classes and images at a time.

    Attributes:
        batch_size: images at a time.

    Raises:
        ValueError: if it has no classes, or another batch size than the config's.
    """

    def __init__(self, trained: Trained, config: PredictionConfig):
        trained.check_task(CLASSIFICATION)
        check_effects(config, trained)
        classes, batch = trained.num_classes, trained.batch_size
        if not classes:
            raise ValueError(f"{trained.path} has no classes to predict.")
        if batch and config.batch_size not in (None, batch):
            raise ValueError(
                f"batch_size={config.batch_size}, but {trained.path} takes {batch} "
                "images at a time."
            )
        self.batch_size = batch or config.batch_size or _BATCH_SIZE
        self._trained, self._top = trained, config.top
        self._temperature = trained.metadata.get("temperature", 1.0)
        self._several = trained.metadata.get("loss") == "sigmoid"
        self._labels = trained.label_names or tuple(map(str, range(classes)))
        self._upright = is_upright(trained, config.exif_orientation)

    def load(self, image: ImageFile) -> np.ndarray:
        """Decodes and resizes: float32 `[size, size, channels]`."""
        pixels = image.read(self._trained.channels, self._upright)
        return self._trained.prepare(pixels).numpy()[0]

    def predict(self, images: list[np.ndarray]) -> list[list[Prediction]]:
        """The best classes of up to batch_size images, best first."""
        # Filled up, so that every batch has one shape and one way to compute.
        filled = (images + [images[0]] * self.batch_size)[: self.batch_size]
        logits = self._trained.model(np.stack(filled))[: len(images)]
        logits = logits / self._temperature
        scores = tf.sigmoid(logits) if self._several else tf.nn.softmax(logits)
        return decode_predictions(scores, self._top, self._labels)


def open_configured(config: PredictionConfig | EmbeddingConfig) -> Trained:
    """Opens the network that a config names; see `open_trained`."""
    return open_trained(
        getattr(config, "exported_path", None) or config.checkpoint_path,
        averages=config.averages,
        model_name=config.model_name,
        image_size=config.eval_image_size,
        preprocessing=config.preprocessing_name,
        rename=rename_pairs(config.rename or ()),
        exclude=config.exclude or (),
    )


def is_upright(trained: Trained, wanted: bool | None) -> bool:
    """Whether photos are turned upright: as is wanted, or else as in training."""
    return trained.exif_orientation if wanted is None else wanted


def check_effects(config: PredictionConfig, trained: Trained) -> None:
    """Raises ValueError for a setting that has no effect on what a network finds."""
    for name in _WITHOUT_EFFECT[trained.task]:
        if getattr(config, name) != getattr(PredictionConfig, name):
            raise ValueError(
                f"{name}={getattr(config, name)!r} is of no effect with "
                f"{trained.path}, which is of {trained.task}."
            )


def get_classifier(config: PredictionConfig) -> Classifier:
    """Returns the classifier of a config; errors are as of `open_trained`."""
    return Classifier(open_configured(config), config)
