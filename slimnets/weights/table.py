"""The table of public weights, and how its rows are called.

`table.csv` is what the sources publish: TF-Slim's README, keras.applications' own
table of files, torchvision's and timm's; `python -m tests.make_weights_table` writes
it. What a source does not publish is empty there and None here.
"""

from __future__ import annotations

import csv
import dataclasses
import fnmatch
import functools
import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from slimnets.listing import did_you_mean, listed

TABLE = pathlib.Path(__file__).with_name("table.csv")
SOURCES = ("tf-slim", "keras", "torchvision", "timm")
BEST = "best"
# So many names stand in a message.
_SHOWN = 8


@dataclasses.dataclass(frozen=True, repr=False)
class PublicWeights:
    """One file of public weights.

    Attributes:
        source: who publishes it; one of `SOURCES`.
        network: the registered network that it is loaded into.
        tag: tells the weights of one network and source apart; the first row of these
            is the default.
        address: the URL; what stands behind a # is the folder in an archive that holds
            the checkpoint.
        mebibytes: its size, as published; None if it is not.
        checksum: `md5:` or `sha256:` and its digits, or the first of them; `etag` if
            the server tells the sha256 as X-Linked-Etag; empty if it is not published.
        classes: the number of logits.
        labels_offset: how many of these come before the classes.
        preprocessing: a name in `data.preprocessing_names()`.
        image_size: height and width of the images that it was measured with.
        crop_fraction: the share of an image's sides that it was measured with.
        top1, top5: accuracy on ImageNet's validation images in percent, as published.
        licence: as the source says.
        network_options: arguments of the network that these weights need.
    """

    source: str
    network: str
    tag: str
    address: str
    mebibytes: float | None
    checksum: str
    classes: int
    labels_offset: int
    preprocessing: str
    image_size: int
    crop_fraction: float | None
    top1: float | None
    top5: float | None
    licence: str
    network_options: Mapping[str, Any] = dataclasses.field(
        default_factory=dict, hash=False
    )

    @property
    def name(self) -> str:
        """Its whole name: `timm/resnet50.a1_in1k`."""
        return f"{self.source}/{self.network}{self.tag and f'.{self.tag}'}"

    @property
    def metadata(self) -> dict[str, Any]:
        """What stands beside the file; see `checkpoints.metadata`."""
        _, _, inside = self.address.partition("#")
        crop = self.crop_fraction
        return {
            "weights": self.name,
            "model_name": self.network,
            "num_classes": self.classes,
            "labels_offset": self.labels_offset,
            "image_size": self.image_size,
            "input_channels": 3,
            "preprocessing_name": self.preprocessing,
            "network_options": dict(self.network_options),
            **({"eval_crop_fraction": crop} if crop else {}),
            **({"inside_archive": inside} if inside else {}),
        }

    def __str__(self) -> str:
        top1 = "" if self.top1 is None else f", top-1 {self.top1:.1f} %"
        return f"{self.name}: {self.classes} classes{top1}"

    def __repr__(self) -> str:
        return f"<PublicWeights {self}>"


COLUMNS = tuple(field.name for field in dataclasses.fields(PublicWeights))
_NUMBERS = {"classes": int, "labels_offset": int, "image_size": int} | dict.fromkeys(
    ("mebibytes", "crop_fraction", "top1", "top5"), float
)


@functools.cache
def table() -> tuple[PublicWeights, ...]:
    """Every row, in the order of the file."""
    with open(TABLE, encoding="utf-8", newline="") as file:
        return tuple(map(_row, csv.DictReader(file)))


def _row(cells: dict[str, str]) -> PublicWeights:
    values: dict[str, Any] = dict(cells)
    for name, kind in _NUMBERS.items():
        values[name] = kind(cells[name]) if cells[name] else None
    values["network_options"] = json.loads(cells["network_options"] or "{}")
    return PublicWeights(**values)


def list_weights(pattern: str = "*") -> list[PublicWeights]:
    """Returns the public weights whose names match, in the order of the table.

    Args:
        pattern: a shell pattern of a whole name, such as `keras/*`; or a part of one.
    """
    if not set(pattern) & set("*?["):
        pattern = f"*{pattern}*"
    return [row for row in table() if fnmatch.fnmatchcase(row.name, pattern)]


def find_weights(name: str, network: str | None = None) -> PublicWeights:
    """Returns the row that a name stands for.

    Args:
        name: `SOURCE/NETWORK` or `SOURCE/NETWORK.TAG`; with `network` a `SOURCE`, a
            `SOURCE/TAG`, or `best` for the highest published accuracy too.
        network: a registered one, whose weights are wanted.

    Raises:
        ValueError: if there is none, with those that there are.
    """
    rows = [row for row in table() if network in (None, row.network)]
    if network and name == BEST:
        known = [(row.top1, row) for row in rows if row.top1 is not None]
        if known:
            return max(known, key=lambda pair: pair[0])[1]
    for row in rows:
        short = (row.source, f"{row.source}/{row.tag}") if network else ()
        if name in (row.name, f"{row.source}/{row.network}", *short):
            return row
    raise ValueError(_unknown(name, network, rows))


def is_name(text: str) -> bool:
    """Whether a text has the form of a whole name, `SOURCE/NETWORK...`."""
    source, slash, rest = text.partition("/")
    return bool(source in SOURCES and slash and rest and "/" not in rest)


def _unknown(name: str, network: str | None, rows: Sequence[PublicWeights]) -> str:
    if not network:
        near = did_you_mean(name, _names(rows))
        return (
            f"There are no public weights named {name!r}.{near} "
            "`slimnets weights` lists all."
        )
    if not rows:
        return f"weights={name!r}: no public weights of {network} are known."
    names = listed([row.name for row in rows], _SHOWN)
    return (
        f"weights={name!r} is neither a file nor the name of public weights of "
        f"{network}; these are {names}, each by its SOURCE or SOURCE/TAG too, and "
        f"{BEST!r}."
    )


def _names(rows: Iterable[PublicWeights]) -> list[str]:
    return [n for row in rows for n in (row.name, f"{row.source}/{row.network}")]
