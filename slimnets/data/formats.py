"""Formats of images, told by a file's first bytes and never by its name.

Sources: ITU-T T.81 (JPEG), W3C PNG, CompuServe GIF89a, Microsoft's BITMAPINFOHEADER,
RFC 9649 (WebP), Adobe's TIFF 6.0, ISO/IEC 23008-12 (HEIF, of which HEIC and AVIF are).
"""

from __future__ import annotations

import os
import re

# So many bytes tell a format.
START = 32
NAMES = ("JPEG", "PNG", "GIF", "BMP", "WebP", "TIFF", "HEIC", "AVIF")
# Files of these endings count as images, damaged ones too; others are looked into.
SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff",
    ".heic", ".heif", ".avif",
)  # fmt: skip
_PATTERNS = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG",
    "GIF": rb"GIF8",
    # Two letters may begin a text too; the fifteenth byte is the length of a header.
    "BMP": rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0",
    "WebP": rb"RIFF.{4}WEBP",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "AVIF": rb".{4}ftypavi[fs]",
    "HEIC": rb".{4}ftyp(he[iv][a-z]|mif1|msf1)",
}
_COMPILED = {name: re.compile(p, re.DOTALL) for name, p in _PATTERNS.items()}
# What systems put beside a user's files.
_NOT_THE_USERS = frozenset(
    {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "$recycle.bin",
     "system volume information", "lost+found"}
)  # fmt: skip


def image_format(start: bytes) -> str | None:
    """The format of what begins with so many bytes, one of NAMES; None of no image."""
    return next((n for n, p in _COMPILED.items() if p.match(start)), None)


def is_image(path: str | os.PathLike) -> bool:
    """Whether a file counts as an image: by its ending, or else by its first bytes.

    What is no file, a pipe for example, is none; it is not opened.
    """
    if not os.path.isfile(path):
        return False
    if os.fspath(path).lower().endswith(SUFFIXES):
        return True
    try:
        with open(path, "rb") as file:
            return image_format(file.read(START)) is not None
    except OSError:
        return False


def is_hidden(name: str) -> bool:
    """Whether a file's or folder's name is one that no user gave it, or hides it."""
    return name.startswith(".") or name.lower() in _NOT_THE_USERS
