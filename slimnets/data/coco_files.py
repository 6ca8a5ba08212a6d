"""Boxes in COCO's JSON.

    DIR/annotations/instances_train2017.json, DIR/train2017/000000000009.jpg ...
    DIR/train/_annotations.coco.json, DIR/train/1.jpg, DIR/valid/...
    DIR/train.json, DIR/val.json, DIR/images/1.jpg ...
    boxes.json, beside its images

A split is a file; of a single one each tenth image is held out. Where several are of
one folder, those that begin with `instances_` are meant. Images lie where `file_name`
says, from the file's folder, its parent, a folder `images` or one of the split's name.

Source: https://cocodataset.org/#format-data.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from typing import Any

from slimnets.data.annotated import Objects
from slimnets.data.annotated_files import Entry, dataset_of, tell_left_out
from slimnets.data.datasets import Dataset
from slimnets.data.splits import ALL
from slimnets.listing import shortened

_INSTANCES, _ROBOFLOW = "instances_", "_annotations.coco.json"
_BOX = 4
LONGEST_SIDE = 2**31
_LARGEST_AREA = LONGEST_SIDE**2


def open_dataset(name: str, dataset_dir: str) -> Dataset:
    """Reads the annotations of a directory, or of one file; see the module.

    Raises:
        FileNotFoundError: if there is no such file, or an image is nowhere.
        ValueError: if a file is damaged, or files tell of other categories.
    """
    files = _files(dataset_dir)
    read = {split: _File(path) for split, path in files.items()}
    first = next(iter(read.values()))
    for file in read.values():
        if file.categories != first.categories:
            raise ValueError(
                f"{file.path} has other categories than {first.path}: they must be the "
                "same in all splits."
            )
    splits = {split: file.entries() for split, file in read.items()}
    dataset = dataset_of(name, dataset_dir, splits, list(first.categories.values()))
    return dataclasses.replace(dataset, category_ids=tuple(first.categories))


def _files(dataset_dir: str) -> dict[str, str]:
    """The JSON files by split."""
    if os.path.isfile(dataset_dir):
        return {ALL: dataset_dir}
    if not os.path.isdir(dataset_dir):
        raise FileNotFoundError(f"There is no directory or file {dataset_dir}.")
    below = sorted(entry.path for entry in os.scandir(dataset_dir) if entry.is_dir())
    given = {
        os.path.basename(folder): os.path.join(folder, _ROBOFLOW)
        for folder in below
        if os.path.isfile(os.path.join(folder, _ROBOFLOW))
    }
    if given:
        return _whole_if_alone(given)
    for folder in (os.path.join(dataset_dir, "annotations"), dataset_dir):
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        names = [name for name in names if name.endswith(".json")]
        instances = [name for name in names if name.startswith(_INSTANCES)]
        if names:
            paths = [os.path.join(folder, name) for name in instances or names]
            return _whole_if_alone({_split_of(path): path for path in paths})
    raise FileNotFoundError(
        f"{dataset_dir} holds no annotations of COCO, such as "
        "annotations/instances_train.json or train/_annotations.coco.json."
    )


def _split_of(path: str) -> str:
    """The split that a file's name tells: `instances_train2017.json`."""
    return os.path.basename(path).removesuffix(".json").removeprefix(_INSTANCES)


def _whole_if_alone(files: dict[str, str]) -> dict[str, str]:
    return files if len(files) > 1 else {ALL: next(iter(files.values()))}


class _File:
    """What a file says, checked.

    Attributes:
        path: of the file.
        categories: names by their numbers, in the order of these.
    """

    def __init__(self, path: str):
        self.path = path
        try:
            with open(path, encoding="utf-8") as file:
                document = json.load(file)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} is no JSON: {error}") from None
        if not isinstance(document, dict):
            raise ValueError(f"{path} is not COCO's: it is no object of lists.")
        lists = {}
        for key in ("images", "categories", "annotations"):
            lists[key] = document.get(key)
            if not isinstance(lists[key], list):
                raise ValueError(f"{path} is not COCO's: it has no list of {key}.")
        named = {
            self._number(each, "id", f"category {i}"): self._text(
                each, "name", f"category {i}"
            )
            for i, each in enumerate(lists["categories"])
        }
        self.categories = dict(sorted(named.items()))
        if not named or len(set(named.values())) < len(lists["categories"]):
            raise ValueError(
                f"{path} is damaged: its categories must have names, each another."
            )
        self._images = lists["images"]
        self._annotations = lists["annotations"]

    def entries(self) -> list[Entry]:
        """The images with what is in them, in the file's order."""
        images = self._sizes_by_image()
        found = self._objects_by_image(images)
        root = self._root([name for name, *_ in images.values()])
        return [
            Entry(os.path.join(root, name), number, size, _objects(found[number]))
            for number, (name, size) in images.items()
        ]

    def _sizes_by_image(self) -> dict[int, tuple[str, tuple[int, int]]]:
        """The file, height and width of every image by its number."""
        images: dict[int, tuple[str, tuple[int, int]]] = {}
        for i, image in enumerate(self._images):
            where = f"image {i}"
            number = self._number(image, "id", where)
            if number in images:
                raise self._damaged(f"{where} has the id {number} of another one")
            height, width = (self._number(image, k, where) for k in ("height", "width"))
            if not 1 <= min(height, width) <= max(height, width) < LONGEST_SIDE:
                raise self._damaged(f"{where} is {height} x {width} pixels")
            images[number] = self._text(image, "file_name", where), (height, width)
        return images

    def _objects_by_image(
        self, images: dict[int, tuple[str, tuple[int, int]]]
    ) -> dict[int, list[tuple]]:
        """Box, label, whether it is a crowd, and area of every object of an image."""
        found: dict[int, list[tuple]] = {number: [] for number in images}
        labels = {number: label for label, number in enumerate(self.categories)}
        problems: list[str] = []
        for i, annotation in enumerate(self._annotations):
            where = f"annotation {i}"
            image = self._number(annotation, "image_id", where)
            category = self._number(annotation, "category_id", where)
            if image not in images:
                raise self._damaged(f"{where} is of the image {image}, which is none")
            if category not in labels:
                raise self._damaged(
                    f"{where} is of the category {category}, which is none"
                )
            name, size = images[image]
            box = self._box(annotation, where)
            inside = clipped(box, *size)
            if inside is None:
                problems.append(f"{where}, {box} in {name}")
                continue
            area = annotation.get("area")
            if not _is_finite(area) or not 0 < area < _LARGEST_AREA:
                area = _area(inside)
            crowd = bool(annotation.get("iscrowd"))
            found[image].append((inside, labels[category], crowd, area))
        tell_left_out("boxes that lie outside or are empty", self.path, problems)
        return found

    def _root(self, names: list[str]) -> str:
        """The folder from which the first image is where its name says."""
        split = _split_of(self.path)
        here = os.path.dirname(os.path.abspath(self.path))
        bases = list(dict.fromkeys([here, os.path.dirname(here)]))
        parts = ("", "images", split, os.path.join("images", split))
        folders = [os.path.join(base, part) for base in bases for part in parts]
        for folder in folders:
            if names and os.path.isfile(os.path.join(folder, names[0])):
                return folder
        raise FileNotFoundError(
            f"{self.path} tells of {len(names)} images, such as "
            f"{shortened(names[0]) if names else 'none'}, which is in none of "
            f"{', '.join(dict.fromkeys(map(os.path.normpath, folders)))}."
        )

    def _damaged(self, what: str) -> ValueError:
        return ValueError(f"{self.path} is damaged: {what}.")

    def _value(self, record: Any, key: str, where: str) -> Any:
        if not isinstance(record, dict):
            raise self._damaged(f"{where} is no object")
        if key not in record:
            raise self._damaged(f"{where} has no {key}")
        return record[key]

    def _number(self, record: Any, key: str, where: str) -> int:
        value = self._value(record, key, where)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._damaged(
                f"{key} of {where} is {shortened(repr(value))}, and no whole number"
            )
        return value

    def _text(self, record: Any, key: str, where: str) -> str:
        value = self._value(record, key, where)
        if not isinstance(value, str) or not value or "\0" in value:
            raise self._damaged(
                f"{key} of {where} is {shortened(repr(value))}, and no text"
            )
        return value

    def _box(self, record: Any, where: str) -> list[float]:
        value = self._value(record, "bbox", where)
        fits = isinstance(value, list) and len(value) == _BOX
        if not fits or not all(map(_is_finite, value)):
            raise self._damaged(
                f"bbox of {where} is {shortened(repr(value))}, and not four numbers"
            )
        left, top, width, height = map(float, value)
        return [top, left, top + height, left + width]


def _objects(rows: list[tuple]) -> Objects:
    """Of rows of a box, a label, whether it is a crowd, and an area."""
    return Objects.of(*zip(*rows, strict=True)) if rows else Objects.of((), ())


def clipped(box: list[float], height: int, width: int) -> list[float] | None:
    """The part of a box that is in an image; None if there is none."""
    top, left = max(box[0], 0.0), max(box[1], 0.0)
    bottom, right = min(box[2], float(height)), min(box[3], float(width))
    return [top, left, bottom, right] if bottom > top and right > left else None


def _is_finite(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # A whole number beyond all floats.
        return False


def _area(box: list[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
