"""Photos as they were seen: the orientation that EXIF tells, in graphs too.

A camera stores what its sensor saw, and in EXIF's tag 274 how to turn it. JPEGs have
EXIF in a segment of their header, PNGs in a chunk `eXIf`.

Sources: CIPA DC-008 (EXIF), where the eight values are drawn; Adobe's TIFF 6.0.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from slimnets.data.rare_branches import apart

_IN_JPEG, _IN_PNG = b"Exif\0\0", b"eXIf"
# What a JPEG without other metadata begins with; a table follows behind 20 bytes.
_PLAIN, _TABLE, _PLAIN_BYTES = b"\xff\xd8\xff\xe0\0\x10", b"\xff\xdb", 20
_TAG, _LONG, _ENTRY = 274, 4, 12
_MOST_BYTES = 2**16
# Which values mirror left to right, turn upside down and, before both, transpose.
_MIRRORED, _FLIPPED, _TRANSPOSED = (2, 3, 6, 7), (3, 4, 7, 8), 5
_STRING = tf.TensorSpec([], tf.string)
_WHOLE = tf.TensorSpec([], tf.int32)
_IMAGE = tf.TensorSpec([None, None, None], tf.uint8)


def trained_upright(metadata: Mapping[str, Any]) -> bool:
    """Whether a run turned its photos upright; true where its metadata do not say.

    Those of an export say it themselves.
    """
    config = metadata.get("config", {})
    return metadata.get("exif_orientation", config.get("exif_orientation", True))


def jpeg_orientation(encoded: tf.Tensor) -> tf.Tensor:
    """A JPEG's orientation: int32, 1 (upright) to 8.

    Metadata stand before the first table. Of no more than twenty bytes it must be a
    JPEG that has been looked at.
    """
    start = tf.strings.substr(encoded, 0, len(_PLAIN))
    table = tf.strings.substr(encoded, _PLAIN_BYTES, len(_TABLE))
    none = tf.equal(start, _PLAIN) & tf.equal(table, _TABLE)
    return tf.cond(
        none, lambda: tf.constant(1), lambda: _behind(encoded, tf.constant(_IN_JPEG))
    )


def png_orientation(encoded: tf.Tensor) -> tf.Tensor:
    """A PNG's orientation: int32, 1 (upright) to 8."""
    return _behind(encoded, tf.constant(_IN_PNG))


@functools.partial(apart, signature=[_STRING, _STRING])
def _behind(encoded: tf.Tensor, mark: tf.Tensor) -> tf.Tensor:
    """What EXIF behind a mark says; 1 without any."""
    parts = tf.raw_ops.StringSplitV2(input=[encoded], sep=mark, maxsplit=1).values
    return tf.cond(tf.size(parts) > 1, lambda: _read(parts[1]), lambda: tf.constant(1))


def _read(exif: tf.Tensor) -> tf.Tensor:
    """The orientation in EXIF, which is a TIFF of which only the tags are used."""
    data = tf.strings.join([tf.strings.substr(exif, 0, _MOST_BYTES), bytes(_ENTRY)])
    data = tf.cast(tf.io.decode_raw(data, tf.uint8), tf.int64)
    big = data[0] == ord("M")

    def number(digits: tf.Tensor, size: int) -> tf.Tensor:
        """Of bytes `[..., size]` in the file's order."""
        ordered = tf.where(big, digits, digits[..., ::-1])
        powers = tf.constant([256**i for i in reversed(range(size))], tf.int64)
        return tf.reduce_sum(ordered * powers, -1)

    place = number(data[4:8], 4)
    # Zeros, where it lies outside.
    count = number(tf.concat([data[place : place + 2], [0, 0]], 0)[:2], 2)
    entries = data[place + 2 :]
    known = tf.minimum(count, tf.size(entries, tf.int64) // _ENTRY)
    entries = tf.reshape(entries[: known * _ENTRY], [-1, _ENTRY])
    short, long = number(entries[:, 8:10], 2), number(entries[:, 8:12], 4)
    values = tf.where(number(entries[:, 2:4], 2) == _LONG, long, short)
    tags = number(entries[:, 0:2], 2)
    found = tf.concat([tf.boolean_mask(values, tags == _TAG), [1]], 0)[0]
    whole = number(data[2:4], 2) == 42
    right = whole & (data[0] == data[1]) & (found >= 1) & (found <= 8)
    return tf.where(right, tf.cast(found, tf.int32), 1)


def turned_size(
    height: tf.Tensor, width: tf.Tensor, orientation: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Height and width of an image once it is upright."""
    swapped = orientation >= _TRANSPOSED
    return tf.where(swapped, width, height), tf.where(swapped, height, width)


def turn_upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turns an image, uint8 `[height, width, channels]`, as its orientation says."""
    turned = tf.cond(
        orientation == 1,
        lambda: tf.identity(image),
        lambda: _turned(image, orientation),
    )
    return tf.ensure_shape(turned, [None, None, image.shape[-1]])


@functools.partial(apart, signature=[_IMAGE, _WHOLE])
def _turned(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    swapped = orientation >= _TRANSPOSED
    axes = tf.where(swapped, [1, 0, 2], [0, 1, 2])
    image = tf.transpose(image, axes)
    for axis, values in ((1, _MIRRORED), (0, _FLIPPED)):
        reverse = _among(orientation, values)
        image = tf.where(reverse, tf.reverse(image, [axis]), image)
    return image


def stored_window(
    window: tf.Tensor, height: tf.Tensor, width: tf.Tensor, orientation: tf.Tensor
) -> tf.Tensor:
    """Where a window of the upright image lies in the stored one.

    Args:
        window: int32 `[4]`: top, left, height and width.
        height, width: of the upright image.
        orientation: the image's.
    """
    top, left, high, wide = tf.unstack(window)
    left = tf.where(_among(orientation, _MIRRORED), width - left - wide, left)
    top = tf.where(_among(orientation, _FLIPPED), height - top - high, top)
    swapped = tf.stack([left, top, wide, high])
    return tf.where(
        orientation >= _TRANSPOSED, swapped, tf.stack([top, left, high, wide])
    )


def _among(orientation: tf.Tensor, values: tuple[int, ...]) -> tf.Tensor:
    return tf.reduce_any(orientation == tf.constant(values))
