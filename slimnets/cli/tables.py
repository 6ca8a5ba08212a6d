"""Tables on standard output."""

from collections.abc import Collection, Sequence

Rows = Sequence[Sequence[str]]


def print_table(rows: Rows, numbers: Collection[str], format: str = "text") -> None:
    """Prints a table whose first row has the headings.

    Args:
        rows: of cells.
        numbers: headings of the columns that are aligned to the right.
        format: `text` or `markdown`.
    """
    headings = rows[0]
    if format == "markdown":
        alignment = ["---:" if name in numbers else "---" for name in headings]
        for row in (headings, alignment, *rows[1:]):
            print(f"| {' | '.join(row)} |")
        return
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            f"{cell:>{width}}" if heading in numbers else f"{cell:{width}}"
            for cell, width, heading in zip(row, widths, headings, strict=True)
        ]
        print("  ".join(cells).rstrip())
