"""Text that users write, with whatever program: in UTF-8, or an error that helps."""

from __future__ import annotations

import codecs
import os
import pathlib

# The longer ones first: UTF-32 begins as UTF-16 does.
_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def read_lines(path: str | os.PathLike) -> list[str]:
    """Reads the lines of a text file that are not empty, without spaces around them.

    Lines end as on any system. A mark of UTF-8 at the start is no part of the text.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not in UTF-8; the message names what it seems to be.
    """
    return lines_of(pathlib.Path(path).read_bytes(), path)


def lines_of(content: bytes, where: str | os.PathLike) -> list[str]:
    """The lines of a text file's content, as of `read_lines`; `where` it lies is for
    the message."""
    found = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    if found is None and b"\0" in content:
        found = "UTF-16, or no text at all"
    if found:
        raise ValueError(f"{where} is no text in UTF-8, but {found}; save it as UTF-8.")
    try:
        return _lines(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise ValueError(
            f"{where} is no text in UTF-8: line {line} has the byte 0x{byte:02X}, as "
            "in Windows-1252, Latin-1 or another encoding of its own; save it as UTF-8."
        ) from None


def read_names(path: str | os.PathLike, root: pathlib.Path) -> list[str]:
    """Reads names of files, one a line, as of `read_lines`.

    Names that are not UTF-8 are taken as they are, if all files of such names are
    there.

    Args:
        path: the text file.
        root: what names are relative to.

    Raises:
        FileNotFoundError, ValueError: as `read_lines`.
    """
    try:
        return read_lines(path)
    except ValueError:
        text = pathlib.Path(path).read_bytes().decode("utf-8", "surrogateescape")
        names = _lines(text.removeprefix("\ufeff"))
        if "\0" in text or not all(os.path.isfile(root / name) for name in names):
            raise
        return names


def _lines(text: str) -> list[str]:
    # Not splitlines, which ends lines at characters that names may have.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [line.strip() for line in lines if line.strip()]
