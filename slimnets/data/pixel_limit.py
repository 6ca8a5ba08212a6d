"""Decodes encoded images, after a look at the size that their headers tell.

A file of a few kilobytes may hold an image that fills the memory. Its size is read
from its first bytes, and compared with MOST_PIXELS, before anything is decoded. A
JPEG's scans are counted too, each of which may go over all pixels for a few bytes. Of
a GIF only the first picture is decoded: TensorFlow would unpack all of them.

TensorFlow decodes what it decodes rightly, Pillow the rest; both give the same pixels.

Sources: ITU-T T.81 (JPEG), W3C PNG, CompuServe GIF89a, Microsoft's BITMAPINFOHEADER.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets.data import orientation, pillow_files
from slimnets.data.colors import gray
from slimnets.data.gif_pictures import cut_off, first_picture
from slimnets.data.pillow_files import MOST_PIXELS
from slimnets.data.rare_branches import apart

# Progressive JPEGs have about ten scans; these are for the largest, smaller ones may
# have more.
MOST_SCANS = 32
_SCAN_HEADER = 10  # Bytes, at least.
_HEADER = 32
# TensorFlow's default rounds more coarsely: up to 14 of 255 from what Pillow gives.
DCT = "INTEGER_ACCURATE"
_CMYK, _ADOBES_MARK = 4, b"\xff\xee\0\x0eAdobe\0\x64" + bytes(5)
# Of a BMP: the least length of a header with a size of 32 bits and a compression.
_INFO_HEADER = 40


def decode_image(
    encoded: tf.Tensor,
    channels: int,
    *,
    exif_orientation: bool = True,
    python: bool = True,
) -> tf.Tensor:
    """Decodes an image of any of `formats.NAMES`; a GIF's first picture, without alpha.

    Args:
        encoded: a string scalar.
        channels: 1 or 3.
        exif_orientation: whether photos are turned upright, as EXIF says.
        python: whether Pillow, which runs in Python, may decode what TensorFlow does
            not: WebP, TIFF, HEIC, AVIF, BMPs with a palette and the like. A graph that
            is saved must do without it.

    Returns:
        The pixels that Pillow's `convert` gives: uint8 `[height, width, channels]`; of
        samples of 16 bits the upper eight.

    Raises:
        tf.errors.InvalidArgumentError: if it is none of these, cannot be decoded, or
            has more than MOST_PIXELS or MOST_SCANS; in graph code, when it is run,
            where other errors of `tf.errors` may come of Python.
    """
    encoded = tf.convert_to_tensor(encoded)
    return tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: _jpeg(encoded, channels, exif_orientation),
        lambda: decode_no_jpeg(encoded, channels, exif_orientation, python),
    )


def decode_no_jpeg(
    encoded: tf.Tensor, channels: int, exif_orientation: bool, python: bool = True
) -> tf.Tensor:
    """`decode_image` of what is known to be no JPEG."""
    image = _other(encoded, channels, exif_orientation, python)
    return tf.ensure_shape(image, [None, None, channels])


@dataclasses.dataclass(frozen=True)
class Decoding:
    """`decode_image` with its settings, a function of an encoded image."""

    channels: int
    exif_orientation: bool = True

    def __call__(self, encoded: tf.Tensor) -> tf.Tensor:
        upright = self.exif_orientation
        return decode_image(encoded, self.channels, exif_orientation=upright)


def _jpeg(encoded: tf.Tensor, channels: int, exif_orientation: bool) -> tf.Tensor:
    encoded = with_adobes_mark(encoded, jpeg_shape(encoded))
    image = in_channels(tf.io.decode_jpeg(encoded, 3, dct_method=DCT), channels)
    if not exif_orientation:
        return image
    return orientation.turn_upright(image, orientation.jpeg_orientation(encoded))


def jpeg_shape(encoded: tf.Tensor) -> tf.Tensor:
    """Returns height, width and channels of a JPEG that `decode_image` would decode.

    Raises:
        tf.errors.InvalidArgumentError: as `decode_image`.
    """
    shape = tf.io.extract_jpeg_shape(encoded)
    shape = _if_small(shape, shape[0], shape[1])
    pixels = tf.cast(shape[0], tf.int64) * tf.cast(shape[1], tf.int64)
    possible = tf.cast(tf.strings.length(encoded), tf.int64) // _SCAN_HEADER
    most = MOST_SCANS * MOST_PIXELS

    def counted() -> tf.Tensor:
        scans = _count_scans(encoded)
        what = ["it has", scans, "scans, too many for its size"]
        return _if(scans * pixels <= most, what, shape)

    return tf.cond(possible * pixels <= most, lambda: tf.identity(shape), counted)


def with_adobes_mark(encoded: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """A JPEG, in which one of CMYK says that it is inverted, as all that there are.

    TensorFlow, unlike Pillow, would believe one without Adobe's segment that it is not.

    Args:
        encoded: the JPEG.
        shape: what `jpeg_shape` gives.
    """

    return tf.cond(
        shape[2] == _CMYK, lambda: _marked(encoded), lambda: tf.identity(encoded)
    )


@functools.partial(apart, signature=[tf.TensorSpec([], tf.string)])
def _marked(encoded: tf.Tensor) -> tf.Tensor:
    parts = tf.raw_ops.StringSplitV2(input=[encoded], sep=b"Adobe", maxsplit=1)
    rest = tf.strings.substr(encoded, 2, tf.strings.length(encoded) - 2)
    whole = tf.strings.join([b"\xff\xd8", _ADOBES_MARK, rest])
    return tf.where(tf.size(parts.values) > 1, encoded, whole)


def _count_scans(encoded: tf.Tensor) -> tf.Tensor:
    data = tf.io.decode_raw(encoded, tf.uint8)
    # Compressed data never has these two bytes beside each other.
    return tf.math.count_nonzero((data[:-1] == 0xFF) & (data[1:] == 0xDA))


def _if_small(value: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    height, width = tf.cast(height, tf.int64), tf.cast(width, tf.int64)
    fits = height * width <= MOST_PIXELS
    what = ["it is of", height, "x", width, "pixels; the most allowed are", MOST_PIXELS]
    return _if(fits, what, value)


def _if(condition: Any, what: list, value: tf.Tensor) -> tf.Tensor:
    if tf.executing_eagerly():
        tf.debugging.Assert(condition, what)
        return tf.identity(value)
    # As tf.debugging.Assert, but for a branch around it, which would take longer.
    with tf.control_dependencies([tf.raw_ops.Assert(condition=condition, data=what)]):
        return tf.identity(value)


@apart
def _other(
    encoded: tf.Tensor, channels: int, exif_orientation: bool, python: bool
) -> tf.Tensor:
    # Zeros behind a file that is too short are of no format, and of no size.
    start = tf.strings.join([tf.strings.substr(encoded, 0, _HEADER), bytes(_HEADER)])
    known = (
        tf.equal(tf.strings.substr(start, 0, 4), b"\x89PNG"),
        tf.equal(tf.strings.substr(start, 0, 4), b"GIF8"),
        tf.equal(tf.strings.substr(start, 0, 2), b"BM"),
        True,
    )

    def with_pillow() -> tf.Tensor:
        return _pillow(encoded, channels, exif_orientation, python)

    def colors(decode: Callable) -> Callable[[], tf.Tensor]:
        def branch() -> tf.Tensor:
            return decode(encoded, start, exif_orientation, channels, with_pillow)

        return branch

    branches = [*map(colors, (_png, _gif, _bmp)), with_pillow]
    which = tf.argmax(tf.cast(tf.stack(known), tf.int32), output_type=tf.int32)
    return tf.switch_case(which, branches)


def in_channels(image: tf.Tensor, channels: int) -> tf.Tensor:
    """Colors as they are or, with one channel, Pillow's gray of them: uint8."""
    return image if channels == 3 else tf.cast(gray(image), tf.uint8)


def _png(encoded, start, exif_orientation, channels, with_pillow) -> tf.Tensor:
    first = tf.equal(tf.strings.substr(start, 12, 4), b"IHDR")
    encoded = _if(first, ["a PNG begins with its header"], encoded)
    width, height = _two(start, 16, tf.int32, little_endian=False)
    encoded = _if_small(encoded, height, width)
    image = in_channels(tf.io.decode_png(encoded, 3), channels)
    if not exif_orientation:
        return image
    return orientation.turn_upright(image, orientation.png_orientation(encoded))


def _bmp(encoded, start, exif_orientation, channels, with_pillow) -> tf.Tensor:
    (length,) = _numbers(start, 14, tf.int32, 1)
    _, bits = _two(start, 26, tf.uint16)
    (compression,) = _numbers(start, 30, tf.int32, 1)
    plain = (
        (length >= _INFO_HEADER) & (compression == 0) & ((bits == 24) | (bits == 32))
    )

    def colors() -> tf.Tensor:
        width, height = _two(start, 18, tf.int32)
        # It is negative where rows go from top to bottom.
        small = _if_small(encoded, tf.abs(tf.cast(height, tf.int64)), width)
        image = tf.io.decode_image(small, 3, expand_animations=False)
        return in_channels(tf.ensure_shape(image, [None, None, 3]), channels)

    return tf.cond(plain, colors, with_pillow)


def _gif(encoded, start, exif_orientation, channels, with_pillow) -> tf.Tensor:
    """Only its first picture; Pillow puts it on its canvas if that is larger."""
    width, height = _two(start, 6, tf.uint16)
    place, end = first_picture(_if_small(encoded, height, width))
    encoded = _if(end > 0, ["there is no picture in it that ends"], encoded)
    left, top, wide, high = _numbers(encoded, place + 1, tf.uint16, 4)
    encoded = _if_small(encoded, high, wide)
    whole = (left == 0) & (top == 0) & (wide == width) & (high == height)

    def colors() -> tf.Tensor:
        cut = cut_off(encoded, place, end)
        image = tf.io.decode_image(cut, 3, expand_animations=False)
        return in_channels(tf.ensure_shape(image, [None, None, 3]), channels)

    return tf.cond(whole, colors, with_pillow)


def _pillow(
    encoded: tf.Tensor, channels: int, exif_orientation: bool, python: bool
) -> tf.Tensor:
    decode = functools.partial(
        pillow_files.decode, channels=channels, exif_orientation=exif_orientation
    )
    if tf.executing_eagerly():
        try:
            return tf.constant(decode(encoded.numpy()))
        except ValueError as error:
            raise tf.errors.InvalidArgumentError(None, None, str(error)) from None
    if python:
        image = tf.numpy_function(decode, [encoded], tf.uint8, stateful=False)
        return tf.ensure_shape(image, [None, None, channels])
    what = "it is no image that TensorFlow decodes: no JPEG, PNG, GIF whose first "
    what += "picture fills it, or BMP of 24 or 32 bits a pixel"
    return _if(False, [what], tf.zeros([1, 1, channels], tf.uint8))


def _two(text, place, dtype, little_endian=True) -> list[tf.Tensor]:
    return _numbers(text, place, dtype, 2, little_endian)


def _numbers(text, place, dtype, count, little_endian=True) -> list[tf.Tensor]:
    part = tf.strings.substr(text, place, count * dtype.size)
    decoded = tf.io.decode_raw(part, dtype, little_endian=little_endian)
    return tf.unstack(tf.ensure_shape(decoded, [count]))
