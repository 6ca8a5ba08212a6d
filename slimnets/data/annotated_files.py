"""Annotated photos in files of their own, as folders, splits and lists have them."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import absl.logging

from slimnets.data.annotated import IGNORE_LABEL, AnnotatedSource, EncodedPhoto, Objects
from slimnets.data.datasets import Dataset, photo_dataset
from slimnets.data.formats import is_hidden, is_image
from slimnets.data.labels import read_labels
from slimnets.data.splits import ALL, MEASURING, TRAIN, held_out, split_off
from slimnets.data.text_files import read_lines
from slimnets.listing import listed, shortened

# Where the names of classes may stand.
_NAMES = ("classes.txt", "labels.txt")
_SHOWN = 4

_T = TypeVar("_T")


class Entry(NamedTuple):
    """A photo in a file, and its annotation.

    Attributes:
        path: of the image.
        id: its number.
        size: height and width that the annotation tells of; None if it tells none.
        objects: what is in it; None of masks.
        mask: the file of its mask; None of boxes.
    """

    path: str
    id: int
    size: tuple[int, int] | None = None
    objects: Objects | None = None
    mask: str | None = None


class AnnotatedFiles(AnnotatedSource):
    """Photos in files."""

    def __init__(self, entries: Sequence[Entry], num_classes: int, ignore_label: int):
        self.number, self.num_classes = len(entries), num_classes
        self.ignore_label = ignore_label
        self._entries = entries

    def name(self, index: int) -> str:
        return self._entries[index].path

    def id(self, index: int) -> int:
        return self._entries[index].id

    def encoded(self, index: int) -> EncodedPhoto:
        entry = self._entries[index]
        mask = pathlib.Path(entry.mask).read_bytes() if entry.mask else None
        image = pathlib.Path(entry.path).read_bytes()
        return EncodedPhoto(image, entry.size, entry.objects, mask)


def dataset_of(
    name: str,
    dataset_dir: str,
    splits: Mapping[str, Sequence[Entry]],
    label_names: Sequence[str],
    ignore_label: int = IGNORE_LABEL,
) -> Dataset:
    """A dataset of such photos; of a single split `all`, each tenth is held out.

    Raises:
        ValueError: if a split has no photos.
    """
    found = {split: list(entries) for split, entries in splits.items()}
    if empty := [split for split, entries in found.items() if not entries]:
        raise ValueError(f"{dataset_dir} has no annotated images in {empty[0]!r}.")
    whole = ALL if list(found) == [ALL] else ""
    if whole:
        parts = split_off(held_out(len(found[ALL])))
        found = {
            split: [found[ALL][i] for i in indices] for split, indices in parts.items()
        }
    return photo_dataset(
        name,
        dataset_dir,
        label_names,
        {split: len(entries) for split, entries in found.items()},
        lambda split: AnnotatedFiles(found[split], len(label_names), ignore_label),
        whole_split=whole,
    )


def classes_in(folder: str) -> tuple[str, ...] | None:
    """The names in a file `classes.txt` or `labels.txt` of a folder; None without."""
    for name in _NAMES:
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return read_labels(path)
    return None


def split_folders(dataset_dir: str) -> dict[str, str]:
    """Folders by split: those below that have such names, else the one of `all`.

    Raises:
        FileNotFoundError: if there is no such folder.
    """
    if not os.path.isdir(dataset_dir):
        raise FileNotFoundError(f"There is no directory {dataset_dir}.")
    below = {name: os.path.join(dataset_dir, name) for name in (TRAIN, *MEASURING)}
    found = {name: path for name, path in below.items() if os.path.isdir(path)}
    return found if TRAIN in found else {ALL: dataset_dir}


def image_sets(folder: str) -> dict[str, list[str]]:
    """Pascal VOC's lists of photos by split; empty without such a folder.

    A list of a class, whose lines have a second column, is none of a split.
    """
    found: dict[str, list[str]] = {}
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    for name in names:
        split, ending = os.path.splitext(name)
        if ending == ".txt" and not is_hidden(name):
            lines = read_lines(os.path.join(folder, name))
            if lines and not any(len(line.split()) > 1 for line in lines):
                found[split] = lines
    return found


def by_lists(
    annotations: Mapping[str, _T], split: str, folder: str, lists: str
) -> dict[str, list[_T]]:
    """A split's annotations, or those of Pascal VOC's lists if it is all there is.

    Args:
        annotations: by their files' names without endings.
        split: of `split_folders`.
        folder: where it lies.
        lists: the folder of the lists, in that.

    Raises:
        FileNotFoundError: if a list names what has no annotation.
    """
    sets = image_sets(os.path.join(folder, "ImageSets", lists)) if split == ALL else {}
    for own, stems in sets.items():
        if missing := [stem for stem in stems if stem not in annotations]:
            raise FileNotFoundError(
                f"{folder}: the list of {own!r} names {shortened(missing[0])}, which "
                "has no annotation."
            )
    if not sets:
        return {split: list(annotations.values())}
    return {own: [annotations[stem] for stem in stems] for own, stems in sets.items()}


def photos_of(annotations: Mapping[str, str], folder: str) -> list[str]:
    """The photos of the same names in a folder.

    Args:
        annotations: files by their names without endings.
        folder: of the photos.

    Raises:
        FileNotFoundError: if one is missing.
    """
    photos = by_stem(folder, is_image)
    if missing := [stem for stem in annotations if stem not in photos]:
        raise FileNotFoundError(
            f"{folder} has no image for {len(missing)} of {len(annotations)} "
            f"annotations, such as {annotations[missing[0]]}."
        )
    return [photos[stem] for stem in annotations]


def by_stem(folder: str, is_wanted: Callable[[str], bool]) -> dict[str, str]:
    """The files of a folder by their names without endings, in order."""
    names = sorted(name for name in os.listdir(folder) if not is_hidden(name))
    wanted = [name for name in names if is_wanted(os.path.join(folder, name))]
    return {os.path.splitext(name)[0]: os.path.join(folder, name) for name in wanted}


def tell_left_out(what: str, where: str, problems: Sequence[str]) -> None:
    """Warns of annotations that are left out."""
    if problems:
        absl.logging.warning(
            "%s: left out %d %s: %s.",
            where,
            len(problems),
            what,
            listed(problems, _SHOWN),
        )
