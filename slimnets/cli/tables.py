"""Tables on standard output."""

from collections.abc import Collection, Sequence

from slimnets.listing import aligned


def print_table(
    rows: Sequence[Sequence[str]],
    numbers: Collection[str] = (),
    format: str = "text",
) -> None:
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
    print("\n".join(aligned(rows, numbers)))
