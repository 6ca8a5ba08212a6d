"""Where a GIF's first picture lies: of the others nothing is unpacked.

Source: CompuServe GIF89a.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

# The header with the screen's description; a picture's description.
_SCREEN, _PICTURE = 13, 10
_EXTENSION, _SEPARATOR = 0x21, 0x2C
# A GIF's pieces have up to 255 bytes, and all but the last nearly always that many.
# Looking for the end of a picture must not take longer than decoding it.
_BYTES_PER_PIECE, _SPARE_PIECES = 32, 1000


def cut_off(encoded: tf.Tensor, place: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
    """A GIF of the one picture between two places, without what makes it transparent.

    Transparency is an extension before the picture; TensorFlow would make it black.
    """
    flags = tf.io.decode_raw(tf.strings.substr(encoded, 10, 1), tf.uint8)[0]
    table = _after_table(_SCREEN, tf.cast(flags, tf.int32), tf.where)
    parts = [(0, table), (place, end - place)]
    kept = [tf.strings.substr(encoded, start, length) for start, length in parts]
    return tf.strings.join([*kept, b";"])


def first_picture(encoded: tf.Tensor) -> tuple[Any, Any]:
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
    """As `first_picture`, in Python or in a graph.

    Args:
        byte: gives the byte at a place; 0 behind the end.
        length: the number of bytes.
        loop: see `tf.while_loop`.
        where: see `tf.where`.
    """
    most = length // _BYTES_PER_PIECE + _SPARE_PIECES

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
        [_after_table(_SCREEN, byte(10), where), 0],
    )
    pieces = _after_table(place + _PICTURE, byte(place + 9), where) + 1
    end, steps = after_pieces(pieces, steps)
    good = (byte(place) == _SEPARATOR) & (end < length) & (steps < most)
    return where(good, place, 0), where(good, end + 1, 0)


def _after_table(place: Any, flags: Any, where: Callable) -> Any:
    """Where the colors end that lie at `place`, if there are any."""
    return place + where(flags >= 128, 6 * 2 ** (flags % 8), 0)
