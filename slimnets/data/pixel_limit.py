"""Decodes encoded images, after a look at the size that their headers tell.

A file of a few kilobytes may hold an image that fills the memory. Its size is read
from its first bytes, and compared with MOST_PIXELS, before anything is decoded. A
JPEG's scans are counted too, each of which may go over all pixels for a few bytes. Of
a GIF only the first picture is decoded: TensorFlow would unpack all of them.

Sources: ITU-T T.81 (JPEG), W3C PNG, CompuServe GIF89a, Microsoft's BITMAPINFOHEADER.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

# A quarter of a GiB in RGB, which is where Pillow begins to warn.
MOST_PIXELS = 2**28 // 3
# Progressive JPEGs have about ten scans; these are for the largest, smaller ones may
# have more.
MOST_SCANS = 32
_SCAN_HEADER = 10  # Bytes, at least.
_HEADER = 32
# Of a GIF: the header with the screen's description; a picture's description.
_SCREEN, _PICTURE = 13, 10
_EXTENSION, _SEPARATOR = 0x21, 0x2C
# A GIF's pieces have up to 255 bytes, and all but the last nearly always that many.
# Looking for the end of a picture must not take longer than decoding it.
_BYTES_PER_PIECE, _SPARE_PIECES = 32, 1000


def decode_image(encoded: tf.Tensor, channels: int) -> tf.Tensor:
    """Decodes a JPEG, PNG, GIF (its first picture) or BMP.

    Args:
        encoded: a string scalar.
        channels: 1 or 3, or 0 for the image's own.

    Returns:
        What `tf.io.decode_image` does: uint8 `[height, width, channels]`.

    Raises:
        tf.errors.InvalidArgumentError: if it is none of these, cannot be decoded, or
            has more than MOST_PIXELS or MOST_SCANS; in graph code, when it is run.
    """
    encoded = tf.convert_to_tensor(encoded)
    other = _other if tf.executing_eagerly() else _other_in_graph
    checked = tf.cond(
        tf.io.is_jpeg(encoded), lambda: _jpeg(encoded), lambda: other(encoded)
    )
    image = tf.io.decode_image(checked, channels, expand_animations=False)
    return tf.ensure_shape(image, [None, None, channels or None])


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


def _jpeg(encoded: tf.Tensor) -> tf.Tensor:
    with tf.control_dependencies([jpeg_shape(encoded)]):
        return tf.identity(encoded)


def _other(encoded: tf.Tensor) -> tf.Tensor:
    # Zeros behind a file that is too short are of no format, and of no size.
    start = tf.strings.join([tf.strings.substr(encoded, 0, _HEADER), bytes(_HEADER)])
    known = (
        tf.equal(tf.strings.substr(start, 0, 4), b"\x89PNG"),
        tf.equal(tf.strings.substr(start, 0, 4), b"GIF8"),
        tf.equal(tf.strings.substr(start, 0, 2), b"BM"),
        True,
    )
    branches = [
        functools.partial(branch, encoded, start)
        for branch in (_png, _gif, _bmp, _unknown)
    ]
    which = tf.argmax(tf.cast(tf.stack(known), tf.int32), output_type=tf.int32)
    return tf.switch_case(which, branches)


# Kept apart: what is not run of its branches would take time for each JPEG.
_other_in_graph = tf.function(
    _other,
    input_signature=[tf.TensorSpec([], tf.string)],
    autograph=False,
    experimental_attributes={"_noinline": True},
)


def _png(encoded: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    first = tf.equal(tf.strings.substr(start, 12, 4), b"IHDR")
    encoded = _if(first, ["a PNG begins with its header"], encoded)
    width, height = _two(start, 16, tf.int32, little_endian=False)
    return _if_small(encoded, height, width)


def _bmp(encoded: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    width, height = _two(start, 18, tf.int32)
    # It is negative where rows go from top to bottom.
    return _if_small(encoded, tf.abs(tf.cast(height, tf.int64)), width)


def _gif(encoded: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """Cut off after its first picture."""
    width, height = _two(start, 6, tf.uint16)
    place, end = _first_picture(_if_small(encoded, height, width))
    encoded = _if(end > 0, ["there is no picture in it that ends"], encoded)
    width, height = _two(encoded, place + 5, tf.uint16)
    cut = tf.strings.join([tf.strings.substr(encoded, 0, end), b";"])
    return _if_small(cut, height, width)


def _unknown(encoded: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    return _if(False, ["it is no JPEG, PNG, GIF or BMP"], encoded)


def _two(text, place, dtype, little_endian=True) -> list[tf.Tensor]:
    part = tf.strings.substr(text, place, 2 * dtype.size)
    decoded = tf.io.decode_raw(part, dtype, little_endian=little_endian)
    return tf.unstack(tf.ensure_shape(decoded, [2]))


def _first_picture(encoded: tf.Tensor) -> tuple[Any, Any]:
    """Where a GIF's first picture begins and ends; 0 and 0 without one."""
    if tf.executing_eagerly():  # Where TensorFlow's loops would be slow.
        content = encoded.numpy()
        return _find_picture(
            lambda place: content[place] if place < len(content) else 0,
            len(content),
            _loop,
            lambda condition, a, b: a if condition else b,
        )
    data = tf.io.decode_raw(encoded, tf.uint8)
    length = tf.size(data)

    def byte(place: tf.Tensor) -> tf.Tensor:
        value = tf.cast(data[tf.minimum(place, length - 1)], tf.int32)
        return tf.where(place < length, value, 0)

    return _find_picture(byte, length, tf.while_loop, tf.where)


def _loop(condition: Callable, body: Callable, variables: Sequence) -> Sequence:
    """`tf.while_loop` in Python."""
    while condition(*variables):
        variables = body(*variables)
    return variables


def _find_picture(
    byte: Callable, length: Any, loop: Callable, where: Callable
) -> tuple[Any, Any]:
    """As `_first_picture`, in Python or in a graph.

    Args:
        byte: gives the byte at a place; 0 behind the end.
        length: the number of bytes.
        loop: see `tf.while_loop`.
        where: see `tf.where`.
    """
    most = length // _BYTES_PER_PIECE + _SPARE_PIECES

    def after_table(place, flags):
        """Where the colors end that lie at `place`, if there are any."""
        return place + where(flags >= 128, 6 * 2 ** (flags % 8), 0)

    def after_pieces(place, steps):
        return loop(
            lambda place, steps: (byte(place) > 0) & (steps < most),
            lambda place, steps: (place + 1 + byte(place), steps + 1),
            [place, steps],
        )

    def after_extension(place, steps):
        place, steps = after_pieces(place + 2, steps + 1)
        return place + 1, steps

    place, steps = loop(
        lambda place, steps: (byte(place) == _EXTENSION) & (steps < most),
        after_extension,
        [after_table(_SCREEN, byte(10)), 0],
    )
    pieces = after_table(place + _PICTURE, byte(place + 9)) + 1
    end, steps = after_pieces(pieces, steps)
    good = (byte(place) == _SEPARATOR) & (end < length) & (steps < most)
    return where(good, place, 0), where(good, end + 1, 0)
