"""Pictures of what was found: boxes with names, masks in colours over their photo.

They are drawn by Pillow, an extra.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from slimnets import extras

# A picture with everything that might be an object would show nothing.
SHOWN_SCORE = 0.3
# How much of a mask's colour is seen over the photo.
_SHARE = 0.5
_BITS = 8
# Height of names in pixels, and the sum of a colour beneath which they are white.
_LEAST_TEXT, _BRIGHT = 10, 380


def palette(number: int) -> np.ndarray:
    """Colours of classes, uint8 `[number, 3]`, as Pascal VOC's masks have them."""
    labels = np.arange(number)
    colours = np.zeros((number, 3), np.uint8)
    for bit in range(_BITS):
        for channel in range(3):
            part = (labels >> (3 * bit + channel)) & 1
            colours[:, channel] |= (part << (_BITS - 1 - bit)).astype(np.uint8)
    return colours


def draw_boxes(
    pixels: np.ndarray,
    boxes: np.ndarray,
    classes: Sequence[int],
    scores: Sequence[float] | None,
    label_names: Sequence[str],
) -> Any:
    """Draws boxes with names and scores on a photo, the best on top.

    Args:
        pixels: uint8 `[height, width, channels]`.
        boxes: `[found, 4]` in pixels.
        classes, scores: of each, the best first; no scores of what is meant.
        label_names: of the classes.

    Returns:
        A picture of Pillow's.

    Raises:
        ImportError: without Pillow.
    """
    image_module, drawing, fonts = _pillow()
    picture = image_module.fromarray(_in_colours(pixels))
    pen = drawing.Draw(picture)
    font = fonts.load_default(max(_LEAST_TEXT, max(pixels.shape[:2]) // 50))
    # The first colour is the background's.
    colours = palette(len(label_names) + 1)[1:]
    wide = max(1, max(pixels.shape[:2]) // 150)
    for i in reversed(range(len(boxes))):
        top, left, bottom, right = boxes[i].tolist()
        colour = tuple(colours[classes[i]].tolist())
        # Pillow counts the last pixel in.
        corners = (left, top, max(left, right - 1), max(top, bottom - 1))
        pen.rectangle(corners, outline=colour, width=wide)
        text = label_names[classes[i]]
        if scores is not None:
            text += f" {100 * scores[i]:.0f} %"
        # Above the box, or in it where there is no room.
        *_, lower = pen.textbbox((0, 0), text, font=font)
        corner = (left, top - lower if top >= lower else top)
        pen.rectangle(pen.textbbox(corner, text, font=font), fill=colour)
        ink = "black" if sum(colour) > _BRIGHT else "white"
        pen.text(corner, text, fill=ink, font=font)
    return picture


def draw_mask(pixels: np.ndarray, mask: np.ndarray, number: int) -> Any:
    """Lays a mask over a photo in its classes' colours, but for the class 0.

    Args:
        pixels: uint8 `[height, width, channels]`.
        mask: int32 `[height, width]`.
        number: of classes.
    """
    image_module, *_ = _pillow()
    image = _in_colours(pixels)
    mixed = (1 - _SHARE) * image + _SHARE * palette(number)[mask]
    drawn = np.where(mask[..., np.newaxis] > 0, mixed, image)
    return image_module.fromarray(drawn.astype(np.uint8))


def mask_picture(mask: np.ndarray, number: int) -> Any:
    """A mask as a picture of classes' numbers with a palette; in gray, without one, of
    more classes than a palette holds."""
    image_module, *_ = _pillow()
    if number > 2**_BITS:
        return image_module.fromarray(mask.astype(np.uint16))
    picture = image_module.fromarray(mask.astype(np.uint8))
    picture.putpalette(palette(2**_BITS).ravel().tolist())
    return picture


def _in_colours(pixels: np.ndarray) -> np.ndarray:
    return np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels


def _pillow() -> list[Any]:
    parts = ("Image", "ImageDraw", "ImageFont")
    return [extras.require("Pictures need", "images", f"PIL.{part}") for part in parts]
