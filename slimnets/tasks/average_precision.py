"""COCO's average precision, as pycocotools measures it."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from slimnets import extras
from slimnets.data.annotated import Objects


class Found(NamedTuple):
    """What a detector has found in an image.

    Attributes:
        boxes: `[found, 4]` in pixels.
        scores: `[found]`.
        classes: `[found]`, from 0 on.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


@dataclasses.dataclass(frozen=True)
class DetectionEvaluation:
    """COCO's average precision, from 0 to 1.

    Attributes:
        ap: over intersections over union from 0.50 to 0.95.
        ap50, ap75: at that one.
        images: how many images were measured.
        further: what else COCO measures, by its names: of small, medium and large
            objects, and recalls; NaN where there are no such objects.
        class_aps: by the names of the classes; NaN for one without objects.
    """

    ap: float
    ap50: float
    ap75: float
    images: int
    further: Mapping[str, float] = dataclasses.field(default_factory=dict)
    class_aps: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def summaries(self) -> dict[str, float]:
        return {"AP": self.ap, "AP50": self.ap50, "AP75": self.ap75}

    @property
    def tables(self) -> dict[str, Mapping[str, float]]:
        """What evaluation prints beside the one line."""
        return {"all": self.further, "AP by class": self.class_aps}

    def __str__(self) -> str:
        numbers = (f"{name} {100 * v:.2f} %" for name, v in self.summaries.items())
        return f"{', '.join(numbers)} ({self.images} test images)"


def coco_tools() -> tuple[Any, Any]:
    """Returns pycocotools' COCO and COCOeval.

    Raises:
        ImportError: without pycocotools.
    """
    extras.require("Average precision needs", "detection", "pycocotools.coco")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    return COCO, COCOeval


# The order of pycocotools' numbers behind AP, AP50 and AP75.
_FURTHER = (
    "AP small", "AP medium", "AP large", "AR 1", "AR 10", "AR 100", "AR small",
    "AR medium", "AR large",
)  # fmt: skip


def average_precision(
    truth: Sequence[Objects],
    found: Sequence[Found],
    label_names: Sequence[str] = (),
) -> DetectionEvaluation:
    """COCO's average precision.

    Args:
        truth: what is in each image.
        found: what is found there.
        label_names: of the classes; empty for their numbers.

    Raises:
        ImportError: without pycocotools.
    """
    coco_class, evaluation_class = coco_tools()
    annotations = [
        {
            **annotation(image, box, label + 1),
            "iscrowd": int(crowd),
            "area": float(area),
        }
        for image, objects in enumerate(truth, start=1)
        for box, label, crowd, area in zip(*objects, strict=True)
    ]
    results = [
        {**annotation(image, box, int(label) + 1), "score": float(score)}
        for image, (boxes, scores, classes) in enumerate(found, start=1)
        for box, score, label in zip(boxes, scores, classes, strict=True)
    ]
    categories = sorted({each["category_id"] for each in annotations})
    names = label_names or list(map(str, range(max(categories, default=0))))
    if not results:
        nothing = dict.fromkeys((names[category - 1] for category in categories), 0.0)
        return DetectionEvaluation(0.0, 0.0, 0.0, len(truth), class_aps=nothing)
    # pycocotools reports on standard output.
    with contextlib.redirect_stdout(io.StringIO()):
        coco = coco_class()
        coco.dataset = {
            "info": {},
            "images": [{"id": image + 1} for image in range(len(truth))],
            "categories": [{"id": category} for category in categories],
            "annotations": [
                {**each, "id": number}
                for number, each in enumerate(annotations, start=1)
            ],
        }
        coco.createIndex()
        evaluation = evaluation_class(coco, coco.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    # It gives -1 where there is nothing to measure.
    stats = np.where(evaluation.stats < 0, np.nan, evaluation.stats).tolist()
    # [thresholds, recalls, classes]: of all sizes, of as many detections as may be.
    precision = evaluation.eval["precision"][..., 0, -1]
    return DetectionEvaluation(
        *(0.0 if np.isnan(value) else value for value in stats[:3]),
        len(truth),
        dict(zip(_FURTHER, stats[3:], strict=True)),
        {
            names[category - 1]: float(precision[..., place].mean())
            for place, category in enumerate(categories)
        },
    )


def annotation(image: int, box: np.ndarray, category: int) -> dict[str, Any]:
    """A box as COCO's files have it."""
    top, left, bottom, right = map(float, box)
    return {
        "image_id": image,
        "category_id": int(category),
        "bbox": [left, top, right - left, bottom - top],
    }
