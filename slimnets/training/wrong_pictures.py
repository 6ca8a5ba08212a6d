"""The images that a network was most wrong about, as small pictures with captions."""

from __future__ import annotations

import base64
import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets.data import Dataset
from slimnets.data.decoding import parsed
from slimnets.data.pixel_limit import Decoding
from slimnets.data.preprocessing import to_pixels
from slimnets.data.sources import Arrays
from slimnets.training.measures import Evaluation
from slimnets.training.scores import softmax

NUMBER = 24
# The longer side of a picture, in pixels; up to half of it an image is as it is.
_SIDE = 128


@dataclasses.dataclass(frozen=True)
class Wrong:
    """An image that was classified wrongly.

    Attributes:
        name: its file, or its number.
        truth, predicted: names of classes.
        likelihood: the probability that the network gave to the truth.
        picture: a `data:` address of the image.
    """

    name: str
    truth: str
    predicted: str
    likelihood: float
    picture: str


def most_wrong(evaluation: Evaluation, number: int = NUMBER) -> list[Wrong]:
    """The wrongly classified images whose truth was least likely to the network.

    Args:
        evaluation: one that has kept the logits; of clouds of points there are none.
        number: how many at most.
    """
    if len(evaluation.dataset.image_shape) != 3:
        return []
    places, likelihoods = _order(evaluation)
    indices = _indices(evaluation)
    names = [row["name"] for row in evaluation.class_rows()]
    several = evaluation.by_class is not None
    found = []
    for place in places[:number]:
        logits, label = evaluation.logits[place], evaluation.labels[place]
        if several:
            predicted, truth = (
                _several(names, row) for row in (logits > 0, label > 0.5)
            )
        else:
            predicted, truth = names[logits.argmax()], names[_class(label)]
        name, picture = _picture(evaluation.dataset, evaluation.split, indices[place])
        found.append(Wrong(name, truth, predicted, likelihoods[place], picture))
    return found


def _order(evaluation: Evaluation) -> tuple[np.ndarray, np.ndarray]:
    """The places of the wrong images, worst first, and all images' likelihoods."""
    logits, labels = evaluation.logits.astype(np.float64), evaluation.labels
    if evaluation.by_class is not None:
        signs = np.where(labels > 0.5, 1.0, -1.0)
        likelihoods = np.exp(-np.logaddexp(0.0, -signs * logits).sum(axis=1))
        wrong = np.any((logits > 0) != (labels > 0.5), axis=1)
    else:
        classes = _class(labels)
        likelihoods = softmax(logits)[np.arange(len(logits)), classes]
        wrong = logits.argmax(axis=1) != classes
    places = np.flatnonzero(wrong)
    return places[np.argsort(likelihoods[places], kind="stable")], likelihoods


def _class(label: np.ndarray) -> np.ndarray:
    """The number of a class, also of soft labels."""
    soft = np.ndim(label) and label.dtype.kind == "f"
    return label.argmax(axis=-1) if soft else label


def _several(names: list[str], which: np.ndarray) -> str:
    return ", ".join(names[i] for i in np.flatnonzero(which)) or "none"


def _indices(evaluation: Evaluation) -> list[int]:
    """Which of the split's examples were classified, in order."""
    source = evaluation.dataset.source(evaluation.split)
    bad = evaluation.bad_records
    return [i for i in range(source.number) if not bad or source.name(i) not in bad]


def _picture(dataset: Dataset, split: str, index: int) -> tuple[str, str]:
    source = dataset.source(split)
    if isinstance(source, Arrays):
        name, image = f"{split} {index}", source.images[index]
        image = to_pixels(image, dataset.value_range)
    else:
        name = source.name(index)
        decode = Decoding(dataset.image_shape[-1], dataset.exif_orientation)
        image = decode(parsed(source, index)[0])
    return name, address_of(image)


def address_of(image: Any, side: int = _SIDE) -> str:
    """A `data:` address of an image `[height, width, channels]`, from 0 to 255.

    A large one is made smaller, to that side, and a JPEG; one of up to half of it is a
    PNG of its own pixels.
    """
    image = tf.cast(image, tf.float32)
    if image.shape[-1] not in (1, 3):
        image = tf.reduce_mean(image, axis=-1, keepdims=True)
    small = max(image.shape[:2]) <= side // 2
    if not small:
        image = tf.image.resize(
            image, [side, side], preserve_aspect_ratio=True, antialias=True
        )
    pixels = tf.cast(tf.clip_by_value(tf.math.rint(image), 0.0, 255.0), tf.uint8)
    encode, kind = (tf.io.encode_png, "png") if small else (tf.io.encode_jpeg, "jpeg")
    content = base64.b64encode(encode(pixels).numpy()).decode()
    return f"data:image/{kind};base64,{content}"
