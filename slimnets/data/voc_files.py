"""Boxes in Pascal VOC's XML, as LabelImg and many others write them.

    DIR/Annotations/1.xml, DIR/JPEGImages/1.jpg, DIR/ImageSets/Main/train.txt ...
    DIR/train/1.xml, DIR/train/1.jpg, DIR/valid/...

Without lists of the splits, or folders that are these, each tenth image is held out.
The classes are those in `classes.txt` or, without it, the names that there are, in
alphabetical order. VOC counts pixels from 1, and the last one is in the box.

Source: Everingham et al., The PASCAL Visual Object Classes Challenge, development kit,
section 4.
"""

from __future__ import annotations

import concurrent.futures
import math
import os
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from slimnets.data.annotated import Objects
from slimnets.data.annotated_files import (
    Entry,
    by_lists,
    by_stem,
    classes_in,
    dataset_of,
    photos_of,
    split_folders,
    tell_left_out,
)
from slimnets.data.coco_files import LONGEST_SIDE, clipped
from slimnets.data.datasets import Dataset
from slimnets.listing import listed, shortened

_READERS, _SHOWN = 16, 30
_CORNERS = ("ymin", "xmin", "ymax", "xmax")


def open_dataset(name: str, dataset_dir: str) -> Dataset:
    """Reads the annotations of a directory; see the module.

    Raises:
        FileNotFoundError: if it is not there or holds no such files, or an image is
            missing.
        ValueError: if a file is damaged, or has a class that `classes.txt` has not.
    """
    read: dict[str, list[_File]] = {}
    for split, folder in split_folders(dataset_dir).items():
        read |= by_lists(_read(folder), split, folder, "Main")
    every = {file.path: file for files in read.values() for file in files}
    found = sorted({label for file in every.values() for label in file.names})
    names = classes_in(dataset_dir) or tuple(found)
    if others := [label for label in found if label not in names]:
        raise ValueError(
            f"{dataset_dir} has boxes of {shortened(repr(others[0]))}, which is not "
            f"among the classes of its list: {listed(names, _SHOWN)}."
        )
    if not names:
        raise ValueError(f"{dataset_dir} has no boxes.")
    labels = {label: number for number, label in enumerate(names)}
    numbers: dict[str, int] = {}
    splits = {
        split: [
            file.entry(numbers.setdefault(file.path, len(numbers) + 1), labels)
            for file in files
        ]
        for split, files in read.items()
    }
    problems = [problem for file in every.values() for problem in file.problems]
    tell_left_out("boxes that lie outside or are empty", dataset_dir, problems)
    return dataset_of(name, dataset_dir, splits, names)


def _read(folder: str) -> dict[str, _File]:
    """The annotations of a folder by their names without endings."""
    annotations, images = (
        os.path.join(folder, below) if os.path.isdir(os.path.join(folder, below))
        else folder for below in ("Annotations", "JPEGImages")
    )  # fmt: skip
    files = by_stem(annotations, lambda path: path.lower().endswith(".xml"))
    if not files:
        raise FileNotFoundError(f"{annotations} holds no annotations, *.xml.")
    photos = photos_of(files, images)
    with concurrent.futures.ThreadPoolExecutor(_READERS) as pool:
        read = pool.map(_File, files.values(), photos)
        return dict(zip(files, read, strict=True))


class _File:
    """What a file says, checked.

    Attributes:
        path, image: of the file and of its image.
        names: of the classes of its boxes.
        problems: the boxes that are left out.
    """

    def __init__(self, path: str, image: str):
        self.path, self.image = path, image
        self.names: list[str] = []
        self.problems: list[str] = []
        self._boxes: list[list[float]] = []
        self._crowd: list[bool] = []
        try:
            root = ElementTree.parse(path).getroot()
        # Beside its own errors, for codes and encodings that are none.
        except (ElementTree.ParseError, ValueError, LookupError) as error:
            raise ValueError(f"{path} is no XML: {error}") from None
        if root.tag != "annotation":
            tag = shortened(repr(root.tag))
            raise self._damaged(f"it is of {tag}, and not of an annotation")
        self._size = self._size_of(root)
        for i, element in enumerate(root.findall("object")):
            self._add(element, f"object {i}")

    def entry(self, number: int, labels: Mapping[str, int]) -> Entry:
        """The image with what is in it, its classes by number."""
        objects = Objects.of(
            self._boxes, [labels[name] for name in self.names], self._crowd
        )
        return Entry(self.image, number, self._size, objects)

    def _size_of(self, root: Any) -> tuple[int, int] | None:
        """Height and width; some tools write none, or zeros."""
        size = root.find("size")
        if size is None:
            return None
        height, width = (
            int(self._number(size, k, "size")) for k in ("height", "width")
        )
        return (height, width) if height > 0 and width > 0 else None

    def _add(self, element: Any, where: str) -> None:
        name = (element.findtext("name") or "").strip()
        if not name:
            raise self._damaged(f"{where} has no name")
        corners = element.find("bndbox")
        if corners is None:
            raise self._damaged(f"{where} has no bndbox")
        top, left, bottom, right = (
            self._number(corners, key, where) for key in _CORNERS
        )
        box = [top - 1.0, left - 1.0, bottom, right]
        height, width = self._size or (math.inf, math.inf)
        inside = clipped(box, height, width)
        if inside is None:
            self.problems.append(f"{where}, {box} in {self.path}")
            return
        self._boxes.append(inside)
        self.names.append(name)
        self._crowd.append((element.findtext("difficult") or "").strip() == "1")

    def _number(self, element: Any, key: str, where: str) -> float:
        text = element.findtext(key)
        try:
            value = float(text or "")
        except ValueError:
            value = math.nan
        if not abs(value) < LONGEST_SIDE:
            shown = shortened(repr(text))
            raise self._damaged(f"{key} of {where} is {shown}, and no number of pixels")
        return value

    def _damaged(self, what: str) -> ValueError:
        return ValueError(f"{self.path} is damaged: {what}.")
