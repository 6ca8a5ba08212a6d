"""What a detector or a segmenter finds in many photos, as files.

Boxes become JSON in COCO's form: `images`, `categories`, and `annotations` with a
`score`, of which `pycocotools.coco.COCO` and `loadRes` read the parts. Masks become PNG
of the classes' numbers. Of either there are pictures on request.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any, TextIO

import numpy as np

from slimnets.data.image_files import ImageFile
from slimnets.heads.rows import DETECTION
from slimnets.tasks.average_precision import annotation
from slimnets.tasks.batching import batches_of, good_of
from slimnets.tasks.classifiers import check_effects, is_upright
from slimnets.tasks.config import PredictionConfig
from slimnets.tasks.finding import finder_of
from slimnets.tasks.overlays import (
    SHOWN_SCORE,
    draw_boxes,
    draw_mask,
    mask_picture,
)
from slimnets.tasks.windows import with_windows
from slimnets.trained import Trained

_BATCH_SIZE = 8


class Writer:
    """A head, and where what it finds goes.

    Args:
        trained: of `heads.HEADS`.
        config: says what is written where.

    Raises:
        ValueError: for a setting that has no effect on this head, or none that asks
            for what it finds.
    """

    def __init__(self, trained: Trained, config: PredictionConfig):
        self._trained, self._config = trained, config
        self._is_detector = trained.task == DETECTION
        check_effects(config, trained)
        if not self._is_detector and not (config.masks or config.overlays):
            raise ValueError(
                f"{trained.path} is of {trained.task}: give masks=DIRECTORY, "
                "overlays=DIRECTORY, or both."
            )
        if trained.label_names is None:
            raise ValueError(f"{trained.path} does not tell the names of its classes.")
        self._names = trained.label_names
        # The classes' numbers in COCO's files, if it was trained with such.
        usual = range(1, len(self._names) + 1)
        self._ids = trained.metadata.get("category_ids") or usual
        self._taken: set[str] = set()
        self._find = with_windows(
            finder_of(trained), config.window_size, config.window_overlap
        )
        self._upright = is_upright(trained, config.exif_orientation)

    def write(self, images: Iterable[ImageFile], file: TextIO) -> tuple[int, list[str]]:
        """Writes what is found in images that can be decoded.

        Returns:
            How many these are, and what is wrong with the others.

        Raises:
            ValueError: if there are more of these than allowed.
        """
        trained, config = self._trained, self._config
        size = trained.batch_size or config.batch_size or _BATCH_SIZE
        categories = [
            {"id": number, "name": name}
            for number, name in zip(self._ids, self._names, strict=True)
        ]
        document: dict[str, list] = {
            "images": [], "categories": categories, "annotations": []
        }  # fmt: skip
        bad: list[str] = []

        def load(image: ImageFile) -> tuple[np.ndarray, Any]:
            pixels = image.read(trained.channels, self._upright)
            return pixels, self._find.prepare(pixels)

        number = 0
        for batch in batches_of(images, load, self._find.photos_at_once(size)):
            good = good_of(batch, bad, config.max_bad_records)
            if not good:
                continue
            results = self._find([prepared for _, (_, prepared) in good], size)
            for (image, (pixels, _)), found in zip(good, results, strict=True):
                number += 1
                if self._is_detector:
                    self._boxes(image.name, pixels, found, number, document)
                else:
                    self._mask(image.name, pixels, found["mask"])
        if self._is_detector:
            json.dump(document, file)
            file.write("\n")
        return number, bad

    def _boxes(
        self, name: str, pixels: np.ndarray, found: dict, number: int, document: dict
    ) -> None:
        height, width = pixels.shape[:2]
        document["images"].append(
            {"id": number, "file_name": name, "height": height, "width": width}
        )
        kept = found["scores"] >= self._config.least_score
        found = {key: value[kept] for key, value in found.items()}
        for box, label, score in zip(
            found["boxes"], found["classes"], found["scores"], strict=True
        ):
            made = annotation(number, box, self._ids[label])
            _, _, wide, high = made["bbox"]
            document["annotations"].append(
                {
                    "id": len(document["annotations"]) + 1,
                    **made,
                    "area": wide * high,
                    "iscrowd": 0,
                    "score": float(score),
                }
            )
        if self._config.overlays:
            shown = found["scores"] >= SHOWN_SCORE
            drawn = {key: value[shown] for key, value in found.items()}
            picture = draw_boxes(pixels, label_names=self._names, **drawn)
            picture.save(self._place(self._config.overlays, name))

    def _mask(self, name: str, pixels: np.ndarray, mask: np.ndarray) -> None:
        if self._config.masks:
            picture = mask_picture(mask, len(self._names))
            picture.save(self._place(self._config.masks, name))
        if self._config.overlays:
            picture = draw_mask(pixels, mask, len(self._names))
            picture.save(self._place(self._config.overlays, name))

    def _place(self, folder: str, name: str) -> str:
        """A file for an image in a folder, below which it lies as it did in its own."""
        if os.path.isabs(name) or ".." in name.split("/"):
            name = os.path.basename(name)
        stem = os.path.join(folder, os.path.splitext(name)[0])
        path, other = f"{stem}.png", 1
        while path in self._taken:
            other += 1
            path = f"{stem}-{other}.png"
        self._taken.add(path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path
