"""Encoded images in folders, lists of files and TFRecords, each by its index.

Nothing is read but names and lengths until an image is asked for, so that work on
millions of images can begin, or go on, anywhere.
"""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import os
import pathlib
import posixpath
from collections.abc import Iterable, Iterator

import numpy as np

from slimnets.data.bad_records import UNUSABLE, reason
from slimnets.data.formats import NAMES, SUFFIXES, is_hidden, is_image
from slimnets.data.pixel_limit import decode_image
from slimnets.data.remote_files import find_remote, is_remote, open_file
from slimnets.data.tables import is_table, read_rows
from slimnets.data.text_files import lines_of, read_names
from slimnets.data.tfrecords import features_in, is_record_file, read_span, record_spans


class BadImage(ValueError):
    """An image that cannot be decoded; the message says which, and why."""


@dataclasses.dataclass(frozen=True)
class ImageFile:
    """Where an encoded image lies.

    Attributes:
        name: what it is called: the path in its folder or list, or `file:record`.
        path: the file that holds it.
        offset, length: of its record, in bytes; None for a file of its own.
    """

    name: str
    path: str
    offset: int | None = None
    length: int | None = None

    def read(self, channels: int = 3, exif_orientation: bool = True) -> np.ndarray:
        """Decodes the image: uint8 `[height, width, channels]`.

        Args:
            channels: 1 or 3.
            exif_orientation: whether it is turned upright, as EXIF says.

        Raises:
            BadImage: if it cannot be read or decoded.
        """
        try:
            image = decode_image(
                self._bytes(), channels, exif_orientation=exif_orientation
            )
        except UNUSABLE as error:
            raise BadImage(f"{self.name} is no image: {reason(error)}") from None
        return image.numpy()

    def _bytes(self) -> bytes:
        if self.offset is None:
            with open_file(self.path) as file:
                return file.read()
        features = features_in(read_span(self.path, self.offset, self.length))
        values = features["image/encoded"].bytes_list.value
        if not values:
            raise ValueError("the record has no feature 'image/encoded'")
        return values[0]


def find_images(
    path: str | os.PathLike, left_out: list[str] | None = None
) -> list[ImageFile]:
    """Returns the images at `path`, in an order that does not change.

    Args:
        path: a folder, which is searched with all below it; an image; a text file that
            lists images, one a line, relative to itself or absolute, or a table with a
            column `path`; a TFRecord of
            tf.train.Examples with `image/encoded`; or a glob pattern of images or of
            TFRecords.
        left_out: gets the names of files that are no images, in a folder or among the
            matches of a pattern.

    Instead of paths of this machine these may be addresses; see `remote_files`.

    Raises:
        FileNotFoundError: if there is nothing there, or a listed file is missing.
        ValueError: if there are no images, or a TFRecord is cut short.
    """
    path, left_out = os.fspath(path), [] if left_out is None else left_out
    if is_remote(path):
        images = _at_address(path, left_out)
    elif os.path.isdir(path):
        names, others = find_files(path)
        left_out += others
        images = [ImageFile(name, os.path.join(path, name)) for name in names]
    elif os.path.isfile(path):
        images = _in_file(path)
    else:
        images = _matches(path, left_out)
    if not images:
        among = f" among the {len(left_out)} files" if left_out else ""
        raise ValueError(
            f"There are no images in {path}{among}; an image is {', '.join(NAMES)}."
        )
    return images


def digest_of_names(images: Iterable[ImageFile]) -> str:
    """SHA-256 of what images are called, in their order."""
    names = "\n".join(image.name for image in images)
    return hashlib.sha256(os.fsencode(names)).hexdigest()


def find_files(root: str) -> tuple[list[str], list[str]]:
    """Returns the images below a folder, and all other files but hidden ones.

    Both are paths relative to it with `/`, sorted. Links to folders are followed, but
    not in circles.
    """
    images: list[str] = []
    others: list[str] = []
    seen = set()
    for parent, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for name in names:
            path = os.path.join(parent, name)
            if not is_hidden(name):
                found = images if is_image(path) else others
                found.append(os.path.relpath(path, root).replace(os.sep, "/"))
    return sorted(images), sorted(others)


def _at_address(path: str, left_out: list[str]) -> list[ImageFile]:
    kind, found = find_remote(path)
    names = [name for name in found if not is_hidden(posixpath.basename(name))]
    images = [name for name in names if name.lower().endswith(SUFFIXES)]
    if kind == "folder":
        left_out += sorted({*names} - {*images})
        root = path.rstrip("/")
        return [ImageFile(name, f"{root}/{name}") for name in images]
    if images:
        left_out += sorted({*names} - {*images})
        return [ImageFile(name, name) for name in images]
    if kind == "file" and not is_record_file(path):
        with open_file(path) as file:
            return _of_names(lines_of(file.read(), path), path)
    return [image for name in names for image in _records(name)]


def _in_file(path: str) -> list[ImageFile]:
    if is_image(path):
        return [ImageFile(path, path)]
    return list(_records(path)) if is_record_file(path) else _listed(path)


def _matches(pattern: str, left_out: list[str]) -> list[ImageFile]:
    paths = sorted(glob.glob(pattern))
    if not paths:
        raise FileNotFoundError(f"There is no file or folder {pattern}.")
    images = [ImageFile(path, path) for path in paths if is_image(path)]
    if not images:
        return [image for path in paths for image in _records(path)]
    others = {*paths} - {image.path for image in images}
    left_out += sorted(p for p in others if not is_hidden(os.path.basename(p)))
    return images


def _listed(path: str) -> list[ImageFile]:
    root = pathlib.Path(path).parent
    try:
        names = read_names(path, root)
    except ValueError as error:
        raise ValueError(
            f"{path} is neither an image that can be read ({', '.join(NAMES)}), nor a "
            f"TFRecord, nor a text file that lists images: {error}"
        ) from None
    images = _of_names(names, path)
    for number, image in enumerate(images):
        if not is_remote(image.path) and not os.path.isfile(image.path):
            raise FileNotFoundError(
                f"{path} lists {image.name} ({number + 1} of {len(images)}), which is "
                "not there."
            )
    return images


def _of_names(names: list[str], path: str) -> list[ImageFile]:
    """The images that a list or a table at `path` names."""
    if is_table(names):
        names = [row.path for row in read_rows(names, path)]
    root = posixpath.dirname(path) if is_remote(path) else os.path.dirname(path)
    return [
        ImageFile(name, name if is_remote(name) else os.path.join(root, name))
        for name in names
    ]


def _records(path: str) -> Iterator[ImageFile]:
    base = os.path.basename(path)
    for number, (offset, length) in enumerate(record_spans(path).tolist()):
        yield ImageFile(f"{base}:{number}", path, offset, length)
