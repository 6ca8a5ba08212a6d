"""Images that TensorFlow cannot decode, or not rightly, read by Pillow: an extra.

WebP, TIFF, HEIC and AVIF are, and what is rare of GIF and BMP: pictures smaller than
their canvas, palettes, other numbers of bits, runs, OS/2's headers.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from slimnets import extras
from slimnets.data.formats import NAMES, image_format

# A quarter of a GiB in RGB, which is where Pillow begins to warn.
MOST_PIXELS = 2**28 // 3
_PARTS = ("Image", "ImageOps")
_PILLOWS_NAMES = {"HEIC": ["HEIF"], "BMP": ["BMP", "DIB"]}
# Tags of a TIFF, and what tells that its first picture is a camera's preview.
_SUBFILE, _BITS, _PHOTOMETRIC, _DNG = 254, 258, 262, 50706
_CANON = b"CR"


def decode(encoded: bytes, channels: int, exif_orientation: bool = True) -> np.ndarray:
    """Decodes an image, the first picture of several, without its alpha.

    Args:
        encoded: the file.
        channels: 1 or 3.
        exif_orientation: whether EXIF turns it. TIFF and HEIC are always upright: their
            orientation is the format's own.

    Returns:
        What Pillow's `convert("RGB")` or `convert("L")` gives: uint8 `[height, width,
        channels]`; of 16 bits the upper eight.

    Raises:
        ValueError: if it is no image, has more than MOST_PIXELS, cannot be decoded, is
            of a kind that has no colors from 0 to 255, or Pillow is not installed.
    """
    kind = image_format(encoded)
    if kind is None:
        raise ValueError(f"it is no {', '.join(NAMES[:-1])} or {NAMES[-1]}")
    image_module, ops = _pillow(kind)
    try:
        names = _PILLOWS_NAMES.get(kind, [kind.upper()])
        with image_module.open(io.BytesIO(encoded), formats=names) as image:
            _check_size(*image.size)
            _check_kind(kind, image, encoded)
            image.load()
            picture = _of_eight_bits(image)
            picture = ops.exif_transpose(picture) if exif_orientation else picture
            pixels = np.array(picture.convert("RGB" if channels == 3 else "L"))
    except (image_module.DecompressionBombError, image_module.DecompressionBombWarning):
        raise ValueError(
            f"it is of too many pixels; the most allowed are {MOST_PIXELS}"
        ) from None
    except _Refused as error:
        raise ValueError(str(error)) from None
    except Exception as error:  # What Pillow raises for damaged files has many types.
        said = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"it is {kind} that cannot be decoded: {said}") from None
    return pixels.reshape(*pixels.shape[:2], channels)


class _Refused(ValueError):
    """What is told as it is."""


def _pillow(kind: str) -> list[Any]:
    why = f"it is {kind} of a kind that needs"
    try:
        if kind == "HEIC":
            extras.require(why, "images", "pillow_heif").register_heif_opener()
        return [extras.require(why, "images", f"PIL.{part}") for part in _PARTS]
    except ImportError as error:
        raise ValueError(str(error).rstrip(".")) from None


def _check_size(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise _Refused(
            f"it is of {height} x {width} pixels; the most allowed are {MOST_PIXELS}"
        )


def _check_kind(kind: str, image: Any, encoded: bytes) -> None:
    """Refuses what has other values than colors of eight or sixteen bits."""
    if image.mode in ("I", "F") or image.mode.startswith(("I;", "F;")):
        bits = image.tag_v2.get(_BITS, ()) if kind == "TIFF" else ()
        if not image.mode.startswith("I;16") or set(bits) != {16}:
            raise _Refused(f"it is {kind} of mode {image.mode}, whose range is unknown")
    if kind == "TIFF":
        preview = image.tag_v2.get(_SUBFILE, 0) & 1 or _DNG in image.tag_v2
        if preview or encoded[8:10] == _CANON:
            raise _Refused("it is a camera's raw file, of which only a preview is TIFF")


def _of_eight_bits(image: Any) -> Any:
    if not image.mode.startswith("I;16"):
        return image
    pixels = (np.asarray(image) >> 8).astype(np.uint8)
    # Pillow does so itself where there are eight bits.
    inverted = image.tag_v2.get(_PHOTOMETRIC) == 0
    from PIL import Image

    turned = Image.fromarray(255 - pixels if inverted else pixels)
    turned.info.update(image.info)
    return turned
