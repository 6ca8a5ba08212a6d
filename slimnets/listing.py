"""Names in messages: the first few, and how many more there are; the nearest one; their
scopes. Tables as text, and in notebooks."""

from __future__ import annotations

import difflib
import html
from collections.abc import Collection, Iterable, Sequence


def listed(names: Sequence[str], most: int) -> str:
    """Returns the first `most` names, with commas between, and the number of others."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def shortened(text: str, most: int = 200) -> str:
    """Returns the beginning of what a file may hold any length of."""
    return text if len(text) <= most else f"{text[:most]} ..."


def one_line(text: object, length: int = 160) -> str:
    """Returns the beginning of a text, as one line without a full stop."""
    return " ".join(str(text).split())[:length].rstrip(". ")


def nearest(
    name: object, known: Iterable[str], most: int = 3, cutoff: float = 0.6
) -> str:
    """Returns the names that are most like one, with commas between; empty for none."""
    return ", ".join(difflib.get_close_matches(str(name), known, most, cutoff))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns a question that names the nearest of what is known; empty for none."""
    near = nearest(name, known, most=1)
    return f" Did you mean {near!r}?" if near else ""


def common_scope(names: Iterable[str]) -> str:
    """Returns the one first scope of all names that have one, with its slash."""
    scopes = {name.partition("/")[0] for name in names if "/" in name}
    return f"{scopes.pop()}/" if len(scopes) == 1 else ""


def with_scopes(name: str) -> list[str]:
    """Returns the scopes that a name lies in, from the outermost on, and the name."""
    parts = name.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]


def table(
    rows: Sequence[Sequence[str]], numbers: Collection[str] = (), format: str = "text"
) -> str:
    """Returns a table as lines of text.

    Args:
        rows: of cells, headings first.
        numbers: headings of the columns that are aligned to the right.
        format: `text` or `markdown`.
    """
    headings = rows[0]
    if format == "markdown":
        alignment = ["---:" if name in numbers else "---" for name in headings]
        lines = (headings, alignment, *rows[1:])
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

    def line(row: Sequence[str]) -> str:
        cells = (
            f"{cell:>{width}}" if heading in numbers else f"{cell:{width}}"
            for cell, width, heading in zip(row, widths, headings, strict=True)
        )
        return "  ".join(cells).rstrip()

    return "\n".join(map(line, rows))


def html_table(caption: str, headings: Sequence[str], rows: Iterable[Sequence]) -> str:
    """Returns a table as HTML, which a notebook shows."""

    def line(tag: str, cells: Iterable) -> str:
        texts = (f"<{tag}>{html.escape(str(cell))}</{tag}>" for cell in cells)
        return f"<tr>{''.join(texts)}</tr>"

    body = "".join(line("td", row) for row in rows)
    head = line("th", headings)
    return f"<table><caption>{html.escape(caption)}</caption>{head}{body}</table>"
