"""Measuring a trained head on any photos that are annotated."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from slimnets.data.annotated import IGNORED, Photo
from slimnets.data.datasets import Dataset
from slimnets.heads.rows import DETECTION, SEGMENTATION
from slimnets.tasks.average_precision import DetectionEvaluation, annotation
from slimnets.tasks.classifiers import is_upright
from slimnets.tasks.detection import Detection, evaluate_boxes
from slimnets.tasks.finding import finder_of, found_in
from slimnets.tasks.head_config import (
    COMPOSED,
    DetectionConfig,
    HeadConfig,
    SegmentationConfig,
)
from slimnets.tasks.head_page import Worst, write_head_page
from slimnets.tasks.head_task import HeadTask
from slimnets.tasks.segmentation import (
    Segmentation,
    SegmentationEvaluation,
    evaluate_masks,
)
from slimnets.tasks.windows import with_windows
from slimnets.trained import Trained, open_trained
from slimnets.training.evaluation_data import (
    annotated_for,
    classes_of,
    is_trained_on,
    scope_of,
)
from slimnets.training.training_config import TrainingConfig


class _Kind(NamedTuple):
    """What heads of a task are trained and measured by."""

    task: type[HeadTask]
    config: type[HeadConfig]
    command: str
    evaluate: Callable


_KINDS = {
    DETECTION: _Kind(Detection, DetectionConfig, "train-detector", evaluate_boxes),
    SEGMENTATION: _Kind(
        Segmentation, SegmentationConfig, "train-segmenter", evaluate_masks
    ),
}
_BATCH_SIZE = 8

Found = tuple[int, Photo, Mapping[str, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class HeadMeasure:
    """How well a head does.

    Attributes:
        evaluation: in numbers.
        scope: which of how many photos these are; empty where the dataset has splits.
        results: of a detector, all that it found, as COCO's results have it; else None.
    """

    evaluation: DetectionEvaluation | SegmentationEvaluation
    scope: str = ""
    results: list[dict[str, Any]] | None = None


def evaluate_head(
    trained: Trained,
    *,
    dataset_name: str | None = None,
    dataset_dir: str | None = None,
    split: str | None = None,
    batch_size: int | None = None,
    exif_orientation: bool | None = None,
    max_bad_records: int = 0,
    window_size: int | None = None,
    window_overlap: float | None = None,
    report: str | None = None,
) -> HeadMeasure:
    """Measures what `open_trained` gave, a Model or an export.

    Args:
        trained: of `heads.HEADS`.
        dataset_name: as of `open_annotated`, or `digits` for composed images; None for
            what it was trained on.
        dataset_dir: where it lies; None for where it lay.
        split: None for the one that is held out of what it was trained on, and for all
            of another dataset that has no splits of its own.
        batch_size: photos at a time.
        exif_orientation: whether photos are turned upright; None for as in training.
        max_bad_records: how many photos that cannot be used may be left out.
        window_size, window_overlap: as of `with_windows`.
        report: the file of a page about it; None for none.

    Raises:
        FileNotFoundError: if the dataset is not there.
        ValueError: if dataset and network do not fit, or a name is not known.
    """
    name = dataset_name or trained.metadata.get("dataset_name")
    kind = _KINDS[trained.task]
    if name == COMPOSED:
        given = {
            "dataset_dir": dataset_dir,
            "dataset_split_name": split,
            "exif_orientation": exif_orientation,
            "max_bad_records": max_bad_records or None,
            "window_size": window_size,
            "window_overlap": window_overlap,
        }
        for setting, value in given.items():
            if value is not None:
                raise ValueError(
                    f"{setting}={value} is of no effect with dataset_name={COMPOSED}, "
                    "whose images are composed."
                )
        evaluation = _evaluate_composed(trained, kind)
        if report:
            write_head_page(report, trained, evaluation, "", kind.command, kind.config)
        return HeadMeasure(evaluation)
    dataset = annotated_for(trained, name, dataset_dir)
    split = split or _measuring_split(trained, dataset)
    source = dataset.source(split)
    photos = found_in(
        source,
        with_windows(finder_of(trained), window_size, window_overlap),
        trained.batch_size or batch_size or _BATCH_SIZE,
        trained.channels,
        is_upright(trained, exif_orientation),
        max_bad_records,
    )
    photos = _in_order_of_network(photos, np.array(classes_of(trained, dataset)))
    results: list[dict[str, Any]] | None = None
    if trained.task == DETECTION:
        results = []
        photos = _kept(photos, source.id, _category_ids(trained, dataset), results)
    worst = Worst(trained.label_names)
    if report:
        photos = worst.seen(photos)
    evaluation = kind.evaluate(photos, trained.label_names)
    if report:
        figures = worst.figures(source.name)
        write_head_page(report, trained, evaluation, figures, kind.command, kind.config)
    return HeadMeasure(evaluation, scope_of(trained, dataset, split), results)


@dataclasses.dataclass(frozen=True)
class Change:
    """What an export is worth beside the network that it was made of.

    Attributes:
        before: the network's measures by name, from 0 to 1.
        after: the export's.
        images: on how many test images.
    """

    before: Mapping[str, float]
    after: Mapping[str, float]
    images: int

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        parts = [
            f"{name} {100 * self.after[name]:.2f} % against {100 * value:.2f} %"
            for name, value in self.before.items()
        ]
        return f"{', '.join(parts)} before ({self.images} test images)"


def measure_export(
    trained: Trained,
    path: str,
    dataset_name: str | None = None,
    dataset_dir: str | None = None,
) -> Change:
    """Measures a head, and what it was exported to, on the same photos.

    Args:
        trained: the head.
        path: of the export, which does not know any more where photos lie.
        dataset_name, dataset_dir: as of `evaluate_head`.
    """
    dataset = annotated_for(trained, dataset_name, dataset_dir)
    before, after = (
        evaluate_head(
            each,
            dataset_name=dataset.name,
            dataset_dir=dataset.directory,
            split=_measuring_split(trained, dataset),
        ).evaluation
        for each in (trained, open_trained(path))
    )
    return Change(dict(before.summaries), dict(after.summaries), before.images)


def _measuring_split(trained: Trained, dataset: Dataset) -> str:
    """What is held out of what it was trained on, or all of another dataset."""
    whole = "" if is_trained_on(trained, dataset) else dataset.whole_split
    return whole or dataset.test_split


def _evaluate_composed(trained: Trained, kind: _Kind) -> Any:
    """Measures on composed images as the run was measured."""
    known = trained.metadata.get("config", {})
    if known.get("dataset_name") != COMPOSED:
        raise ValueError(
            f"dataset_name={COMPOSED} is of no use for {trained.path}, which was "
            "trained on other images."
        )
    own, others = (
        {field.name for field in dataclasses.fields(each)}
        for each in (kind.config, TrainingConfig)
    )
    own -= others
    settings = {name: value for name, value in known.items() if name in own}
    config = kind.config(
        model_name=known["model_name"],
        train_dir=known["train_dir"],
        **{**settings, "train_image_size": trained.image_size},
    )
    return kind.task().evaluate(config, trained.network)


def _in_order_of_network(
    photos: Iterable[Found], places: np.ndarray
) -> Iterator[Found]:
    """The photos with the dataset's classes as the network counts them."""
    for index, photo, found in photos:
        objects, mask = photo.objects, photo.mask
        if objects is not None:
            objects = objects._replace(labels=places[objects.labels])
        if mask is not None:
            mask = np.where(mask >= 0, places[np.maximum(mask, 0)], IGNORED)
        yield index, photo._replace(objects=objects, mask=mask), found


def _category_ids(trained: Trained, dataset: Dataset) -> list[int]:
    """The numbers of the network's classes in COCO's files."""
    ids = dataset.category_ids or range(1, dataset.num_classes + 1)
    by_class = dict(zip(classes_of(trained, dataset), ids, strict=True))
    return [by_class.get(label, label + 1) for label in range(trained.num_classes)]


def _kept(
    photos: Iterable[Found], id_of: Any, category_ids: list[int], results: list
) -> Iterator[Found]:
    """The same, of which the boxes that are found go to `results`, too."""
    for index, photo, found in photos:
        for box, label, score in zip(
            found["boxes"], found["classes"], found["scores"], strict=True
        ):
            made = annotation(id_of(index), box, category_ids[label])
            results.append({**made, "score": float(score)})
        yield index, photo, found
