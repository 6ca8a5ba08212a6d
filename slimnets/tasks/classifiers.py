"""What predicts: a network of images with its classes, in a checkpoint or exported."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from slimnets import export
from slimnets.checkpoints import read_checkpoint
from slimnets.data.image_files import ImageFile
from slimnets.data.labels import Prediction, decode_predictions, labels_beside
from slimnets.data.preprocessing import get_preprocessing
from slimnets.export.frozen import IMAGES, LOGITS
from slimnets.inspection.observe import Observed
from slimnets.tasks.config import PredictionConfig
from slimnets.training.evaluation import load_trained

_BATCH_SIZE = 32


class Classifier:
    """Decodes images and finds their classes.

    Args:
        path: where the network lies.
        metadata: what is known of it, which tells the classes and the loss.
        input_shape: `[batch, size, size, channels]`, None for a free batch.
        preprocessing: how images become its input, by name.
        logits: the network, a function of such a batch.
        config: says how many classes and images at a time.

    Attributes:
        batch_size: images at a time.

    Raises:
        ValueError: if it takes no square images, or has no classes, or another batch
            size than the config's.
    """

    def __init__(
        self,
        path: str,
        metadata: dict,
        input_shape: list[int | None],
        preprocessing: str,
        logits: Callable[[np.ndarray], np.ndarray],
        config: PredictionConfig,
    ):
        classes = metadata.get("num_classes")
        if not classes:
            raise ValueError(f"{path} has no classes to predict.")
        if len(input_shape) != 4 or not input_shape[1] == input_shape[2] is not None:
            raise ValueError(f"{path} takes {input_shape}, and not square images.")
        batch, self._size, _, self._channels = input_shape
        if batch and config.batch_size not in (None, batch):
            raise ValueError(
                f"batch_size={config.batch_size}, but {path} takes {batch} images at "
                "a time."
            )
        self.batch_size = batch or config.batch_size or _BATCH_SIZE
        self._recipe = get_preprocessing(preprocessing)
        self._logits, self._top = logits, config.top
        self._several = metadata.get("loss") == "sigmoid"
        self._labels = labels_beside(path, metadata) or tuple(map(str, range(classes)))

    def load(self, image: ImageFile) -> np.ndarray:
        """Decodes and resizes: float32 `[size, size, channels]`."""
        pixels = image.read(self._channels)[np.newaxis]
        return self._recipe.prepare(pixels, self._size, (0, 255)).numpy()[0]

    def predict(self, images: list[np.ndarray]) -> list[list[Prediction]]:
        """The best classes of up to batch_size images, best first."""
        # Filled up, so that every batch has one shape and one way to compute.
        filled = (images + [images[0]] * self.batch_size)[: self.batch_size]
        logits = self._logits(np.stack(filled))[: len(images)]
        scores = tf.sigmoid(logits) if self._several else tf.nn.softmax(logits)
        return decode_predictions(scores, self._top, self._labels)


def get_classifier(config: PredictionConfig) -> Classifier:
    """Returns the network of a checkpoint, with averages if it has any, or an export.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it does not fit, or what is None is not known.
        ImportError: if a package that runs it is not installed.
    """
    if config.exported_path:
        return _exported(config)
    source = Observed(
        config.checkpoint_path,
        config.model_name,
        config.eval_image_size,
        config.preprocessing_name,
    )
    reader = read_checkpoint(config.checkpoint_path)
    load_trained(reader, source.model)
    return Classifier(
        source.prefix,
        {**reader.metadata, "num_classes": source.model.num_classes},
        [None, source.size, source.size, source.channels],
        source.preprocessing,
        lambda images: source.model(images, training=False),
        config,
    )


def _exported(config: PredictionConfig) -> Classifier:
    network = export.load(config.exported_path)
    known = network.metadata
    preprocessing = config.preprocessing_name or known.get("preprocessing_name")
    if "inputs" not in known:
        raise ValueError(
            f"{network.path} has no metadata beside it that tell its classes: "
            f"{network.path}.json, which `slimnets export` writes."
        )
    if network.input_names != [IMAGES]:
        raise ValueError(
            f"{network.path} takes {', '.join(network.input_names)}, and not {IMAGES} "
            "alone."
        )
    if not preprocessing:
        raise ValueError(
            f"The metadata of {network.path} do not tell its preprocessing: give "
            "preprocessing_name."
        )
    return Classifier(
        network.path,
        known,
        known["inputs"][IMAGES],
        preprocessing,
        lambda images: network(images)[LOGITS],
        config,
    )
