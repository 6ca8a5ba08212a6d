"""What stands in a record of an image, with its boxes or its mask.

Boxes are written as the Object Detection API has them, masks as DeepLab, both as
`annotated_records` reads them.
"""

from __future__ import annotations

import os

import numpy as np
import tensorflow as tf

from slimnets.data.annotated import AnnotatedSource
from slimnets.data.datasets import Dataset
from slimnets.data.formats import START, image_format
from slimnets.data.tfrecords import floats, texts, wholes

LABEL_MAP = "label_map.pbtxt"


def image_features(
    encoded: bytes, name: str, height: int, width: int
) -> dict[str, tf.train.Feature]:
    """Those of the image itself."""
    return {
        "image/encoded": texts(encoded),
        "image/format": texts(image_format(encoded[:START]).lower().encode()),
        "image/filename": texts(os.fsencode(name)),
        "image/height": wholes(height),
        "image/width": wholes(width),
    }


def features_of(
    dataset: Dataset, source: AnnotatedSource, index: int
) -> dict[str, tf.train.Feature]:
    """Those of a photo and of its boxes or its mask.

    Raises:
        ValueError, OSError: for a photo that cannot be used.
    """
    photo = source.load(index, exif_orientation=dataset.exif_orientation)
    encoded = source.encoded(index)
    height, width = photo.pixels.shape[:2]
    features = image_features(encoded.image, source.name(index), height, width)
    if encoded.mask is not None:
        return {
            **features,
            "image/segmentation/class/encoded": texts(encoded.mask),
            "image/segmentation/class/format": texts(b"png"),
        }
    boxes, labels, crowd, _ = photo.objects
    shares = boxes.astype(np.float64) / [height, width, height, width]
    sides = zip(("ymin", "xmin", "ymax", "xmax"), shares.T, strict=True)
    ids = _ids(dataset)
    return {
        **features,
        "image/source_id": texts(str(source.id(index)).encode()),
        **{f"image/object/bbox/{side}": floats(v) for side, v in sides},
        "image/object/class/label": wholes(*(ids[label] for label in labels)),
        "image/object/class/text": texts(
            *(dataset.label_names[label].encode() for label in labels)
        ),
        "image/object/is_crowd": wholes(*crowd),
    }


def write_label_map(folder: str, dataset: Dataset) -> None:
    """Writes the names of the classes as the Object Detection API reads them."""
    items = [
        f"item {{\n  id: {number}\n  name: {_quoted(name)}\n}}\n"
        for number, name in zip(_ids(dataset), dataset.label_names, strict=True)
    ]
    with open(os.path.join(folder, LABEL_MAP), "w", encoding="utf-8") as file:
        file.write("".join(items))


def _ids(dataset: Dataset) -> tuple[int, ...]:
    return dataset.category_ids or tuple(range(1, dataset.num_classes + 1))


def _quoted(name: str) -> str:
    return f'"{name}"' if '"' not in name else f"'{name}'"
