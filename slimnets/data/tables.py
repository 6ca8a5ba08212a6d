"""The rows of a list of images: CSV, or text with tabs, whose first line names columns.

`slimnets.data.lists` says what is in them.
"""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Sequence

PATH, LABEL, SPLIT = "path", "label", "split"
SEPARATOR = ";"


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of a list.

    Attributes:
        path: of an image.
        labels: the names of its classes.
        split: empty where the list has no such column.
    """

    path: str
    labels: tuple[str, ...] = ()
    split: str = ""


def is_table(lines: Sequence[str]) -> bool:
    """Whether lines are those of such a list, by the first of them."""
    return bool(lines) and PATH in columns_of(lines[0])


def read_rows(lines: Sequence[str], where: str) -> list[Row]:
    """The rows below a first line that names the columns.

    Args:
        lines: of the file.
        where: its name, for messages.

    Raises:
        ValueError: if it names no path, or a line has not as many columns.
    """
    columns = columns_of(lines[0]) if lines else []
    if PATH not in columns:
        raise ValueError(
            f"{where} does not begin with a line that names its columns, such as "
            "path,label."
        )
    table = list(csv.reader(lines[1:], delimiter=_delimiter(lines[0])))
    rows = []
    for number, parts in enumerate(table, start=2):
        if len(parts) != len(columns):
            raise ValueError(
                f"{where}: line {number} has {len(parts)} columns, but the first line "
                f"names {len(columns)}: {', '.join(columns)}."
            )
        row = dict(zip(columns, map(str.strip, parts), strict=True))
        labels = (name.strip() for name in row.get(LABEL, "").split(SEPARATOR))
        named = tuple(dict.fromkeys(name for name in labels if name))
        rows.append(Row(row[PATH], named, row.get(SPLIT, "")))
    return rows


def columns_of(line: str) -> list[str]:
    """The names of the columns in a list's first line."""
    parts = next(csv.reader([line], delimiter=_delimiter(line)))
    return [part.strip().lower() for part in parts]


def _delimiter(line: str) -> str:
    return "\t" if "\t" in line else ","
