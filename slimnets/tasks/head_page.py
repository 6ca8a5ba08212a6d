"""A detector's or a segmenter's evaluation as one HTML page, with its worst photos."""

from __future__ import annotations

import heapq
import html
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from slimnets.data.annotated import Objects, Photo
from slimnets.heads.boxes import same_objects
from slimnets.tasks.head_config import HeadConfig
from slimnets.tasks.overlays import SHOWN_SCORE, draw_boxes, draw_mask
from slimnets.trained import Trained
from slimnets.training.report_page import (
    facts,
    plots,
    run_of,
    section,
    table,
    write_html,
)
from slimnets.training.wrong_pictures import address_of

NUMBER = 24
# Longer side of a picture of two photos, in pixels.
_SIDE = 512
_PLOTS = {
    "loss": ("loss", "class_loss", "box_loss"),
    "average precision": ("AP", "AP50", "AP75"),
    "masks": ("mean_iou", "boundary_f"),
    "learning rate": ("learning_rate",),
}


class Worst:
    """The photos of an evaluation that a head was most wrong about.

    Args:
        label_names: of its classes.
        number: how many are kept at most.
    """

    def __init__(self, label_names: tuple[str, ...], number: int = NUMBER):
        self._names, self._number = label_names, number
        self._kept: list[tuple[float, int, str]] = []

    def seen(
        self, photos: Iterable[tuple[int, Photo, Mapping[str, np.ndarray]]]
    ) -> Iterator[tuple[int, Photo, Mapping[str, np.ndarray]]]:
        """The same photos, of which the worst are drawn as they pass."""
        for index, photo, found in photos:
            if photo.objects is None:
                wrong = _of_mask(photo.mask, found["mask"])
            else:
                wrong = _of_boxes(photo.objects, found)
            if len(self._kept) < self._number or wrong > self._kept[0][0]:
                heapq.heappush(self._kept, (wrong, -index, self._drawn(photo, found)))
                if len(self._kept) > self._number:
                    heapq.heappop(self._kept)
            yield index, photo, found

    def figures(self, name: Any) -> str:
        """The pictures as HTML, the worst first; `name` is a function of the index."""
        return "\n".join(
            f'<figure style="width:auto"><img class=photo src="{address}" alt="">'
            f"<figcaption>{html.escape(name(-index))}<br><small>{wrong:.3g} wrong"
            "</small></figcaption></figure>"
            for wrong, index, address in sorted(self._kept, reverse=True)
            if wrong > 0
        )

    def _drawn(self, photo: Any, found: Mapping[str, np.ndarray]) -> str:
        """What is meant, and beside it what is found."""
        if photo.objects is None:
            number = len(self._names)
            masks = np.maximum(photo.mask, 0), found["mask"]
            both = [draw_mask(photo.pixels, mask, number) for mask in masks]
        else:
            boxes, labels = photo.objects[:2]
            shown = found["scores"] >= SHOWN_SCORE
            kept = {name: value[shown] for name, value in found.items()}
            both = [
                draw_boxes(photo.pixels, boxes, labels, None, self._names),
                draw_boxes(photo.pixels, label_names=self._names, **kept),
            ]
        return address_of(np.concatenate(list(map(np.asarray, both)), axis=1), _SIDE)


def _of_mask(mask: Any, found: np.ndarray) -> float:
    """The share of the pixels that are another class."""
    meant = mask >= 0
    wrong = (mask != found) & meant
    return float(wrong.sum() / max(meant.sum(), 1))


def _of_boxes(objects: Objects, found: Mapping[str, np.ndarray]) -> float:
    """How many objects are missed, and how many are found that are none."""
    boxes, labels, crowd, _ = objects
    shown = found["scores"] >= SHOWN_SCORE
    met = same_objects(boxes, labels, found["boxes"][shown], found["classes"][shown])
    missed = ~met.any(1) & ~crowd
    return float(missed.sum() + (~met.any(0)).sum())


def write_head_page(
    path: str,
    trained: Trained,
    evaluation: Any,
    figures: str,
    command: str,
    config_class: type[HeadConfig],
) -> None:
    """Writes the page.

    Args:
        path: the file.
        trained: the head; a run's log is looked for beside it.
        evaluation: a `DetectionEvaluation` or a `SegmentationEvaluation`.
        figures: of `Worst`.
        command, config_class: how such a head is trained.
    """
    run = run_of(trained)
    measures = {**evaluation.summaries, "test images": evaluation.images}
    parts = [
        table(["measure", "value"], _shown(measures)),
        *(
            section(title, table(["", "value"], _shown(values)))
            for title, values in evaluation.tables.items()
        ),
        section("Learning", plots(run, _PLOTS), "plots"),
        section("Most wrong: what is meant, and what is found", figures, "pictures"),
        section("What was run", facts(trained, run, command, config_class)),
    ]
    write_html(path, trained, str(evaluation), parts)


def _shown(values: Mapping[str, float]) -> list[tuple[str, Any]]:
    return [
        (name, "-" if np.isnan(value) else round(value, 4))
        for name, value in values.items()
    ]
