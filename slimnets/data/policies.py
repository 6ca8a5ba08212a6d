"""AutoAugment and RandAugment: which operations an image goes through, how strongly.

Sources: [1] Cubuk et al., arXiv:1805.09501, tables 7 and 9; [2] Cubuk et al.,
arXiv:1909.13719; [3] timm's rand augment with increasing severity (`inc1`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from slimnets.data import operations as ops

DEFAULT_MAGNITUDE = 9.0


class Range(NamedTuple):
    """The argument of an operation: `start` at the strength 0, `end` at 1."""

    start: float = 0.0
    end: float = 0.0
    # Whether half of the time the argument's distance to `start` is negative.
    two_sided: bool = False


OPERATIONS = {
    function.__name__: function
    for function in (
        ops.auto_contrast,
        ops.equalize,
        ops.invert,
        ops.rotate,
        ops.posterize,
        ops.solarize,
        ops.solarize_add,
        ops.color,
        ops.contrast,
        ops.brightness,
        ops.sharpness,
        ops.shear_x,
        ops.shear_y,
        ops.translate_x,
        ops.translate_y,
    )
}

# RandAugment's: the higher the level, the more it changes [3].
INCREASING = {
    "auto_contrast": Range(),
    "equalize": Range(),
    "invert": Range(),
    "rotate": Range(0.0, 30.0, True),
    "posterize": Range(4.0, 0.0),
    "solarize": Range(256.0, 0.0),
    "solarize_add": Range(0.0, 110.0),
    "color": Range(1.0, 1.9, True),
    "contrast": Range(1.0, 1.9, True),
    "brightness": Range(1.0, 1.9, True),
    "sharpness": Range(1.0, 1.9, True),
    "shear_x": Range(0.0, 0.3, True),
    "shear_y": Range(0.0, 0.3, True),
    "translate_x": Range(0.0, 0.45, True),
    "translate_y": Range(0.0, 0.45, True),
}

# AutoAugment's ranges [1]; its translation is of 150 pixels of 331.
PUBLISHED = {
    **INCREASING,
    "posterize": Range(4.0, 8.0),
    "solarize": Range(0.0, 256.0),
    "color": Range(0.1, 1.9),
    "contrast": Range(0.1, 1.9),
    "brightness": Range(0.1, 1.9),
    "sharpness": Range(0.1, 1.9),
}

# Pairs of operation, probability and strength from 0 to 9 [1].
AUTOAUGMENT = {
    "imagenet": (
        (("posterize", 0.4, 8), ("rotate", 0.6, 9)),
        (("solarize", 0.6, 5), ("auto_contrast", 0.6, 5)),
        (("equalize", 0.8, 8), ("equalize", 0.6, 3)),
        (("posterize", 0.6, 7), ("posterize", 0.6, 6)),
        (("equalize", 0.4, 7), ("solarize", 0.2, 4)),
        (("equalize", 0.4, 4), ("rotate", 0.8, 8)),
        (("solarize", 0.6, 3), ("equalize", 0.6, 7)),
        (("posterize", 0.8, 5), ("equalize", 1.0, 2)),
        (("rotate", 0.2, 3), ("solarize", 0.6, 8)),
        (("equalize", 0.6, 8), ("posterize", 0.4, 6)),
        (("rotate", 0.8, 8), ("color", 0.4, 0)),
        (("rotate", 0.4, 9), ("equalize", 0.6, 2)),
        (("equalize", 0.0, 7), ("equalize", 0.8, 8)),
        (("invert", 0.6, 4), ("equalize", 1.0, 8)),
        (("color", 0.6, 4), ("contrast", 1.0, 8)),
        (("rotate", 0.8, 8), ("color", 1.0, 2)),
        (("color", 0.8, 8), ("solarize", 0.8, 7)),
        (("sharpness", 0.4, 7), ("invert", 0.6, 8)),
        (("shear_x", 0.6, 5), ("equalize", 1.0, 9)),
        (("color", 0.4, 0), ("equalize", 0.6, 3)),
        (("equalize", 0.4, 7), ("solarize", 0.2, 4)),
        (("solarize", 0.6, 5), ("auto_contrast", 0.6, 5)),
        (("invert", 0.6, 4), ("equalize", 1.0, 8)),
        (("color", 0.6, 4), ("contrast", 1.0, 8)),
        (("equalize", 0.8, 8), ("equalize", 0.6, 3)),
    ),
    "cifar10": (
        (("invert", 0.1, 7), ("contrast", 0.2, 6)),
        (("rotate", 0.7, 2), ("translate_x", 0.3, 9)),
        (("sharpness", 0.8, 1), ("sharpness", 0.9, 3)),
        (("shear_y", 0.5, 8), ("translate_y", 0.7, 9)),
        (("auto_contrast", 0.5, 8), ("equalize", 0.9, 2)),
        (("shear_y", 0.2, 7), ("posterize", 0.3, 7)),
        (("color", 0.4, 3), ("brightness", 0.6, 7)),
        (("sharpness", 0.3, 9), ("brightness", 0.7, 9)),
        (("equalize", 0.6, 5), ("equalize", 0.5, 1)),
        (("contrast", 0.6, 7), ("sharpness", 0.6, 5)),
        (("color", 0.7, 7), ("translate_x", 0.5, 8)),
        (("equalize", 0.3, 7), ("auto_contrast", 0.4, 8)),
        (("translate_y", 0.4, 3), ("sharpness", 0.2, 6)),
        (("brightness", 0.9, 6), ("color", 0.2, 8)),
        (("solarize", 0.5, 2), ("invert", 0.0, 3)),
        (("equalize", 0.2, 0), ("auto_contrast", 0.6, 0)),
        (("equalize", 0.2, 8), ("equalize", 0.6, 4)),
        (("color", 0.9, 9), ("equalize", 0.6, 6)),
        (("auto_contrast", 0.8, 4), ("solarize", 0.2, 8)),
        (("brightness", 0.1, 3), ("color", 0.7, 0)),
        (("solarize", 0.4, 5), ("auto_contrast", 0.9, 3)),
        (("translate_y", 0.9, 9), ("translate_y", 0.7, 9)),
        (("auto_contrast", 0.9, 2), ("solarize", 0.8, 3)),
        (("equalize", 0.8, 8), ("invert", 0.1, 3)),
        (("translate_y", 0.7, 9), ("auto_contrast", 0.9, 1)),
    ),
}
AUTOAUGMENT_DRAWS = 5
DRAWS_PER_LAYER = 3


def randaugment_draws(layers: int, stddev: float | None = None) -> int:
    """How many draws an image takes."""
    return (DRAWS_PER_LAYER + bool(stddev)) * layers


def randaugment(
    images: tf.Tensor,
    draws: tf.Tensor,
    layers: int,
    magnitude: float | None = None,
    stddev: float | None = None,
) -> tf.Tensor:
    """Puts each image through `layers` operations, each with the probability 0.5 [3].

    Args:
        images: `[batch, height, width, channels]`, from 0 to 255; they are rounded.
        draws: `[batch, randaugment_draws(layers, stddev)]`, from 0 to 1.
        layers: how many operations.
        magnitude: their strength, 0 to 10; None for 9.
        stddev: by how much each operation's strength is normally distributed around
            it, inside of 0 to 10 [3]; None or 0 for not at all.
    """
    mean = DEFAULT_MAGNITUDE if magnitude is None else magnitude
    arguments = _Arguments(INCREASING)

    def one(image: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        columns = tf.unstack(tf.reshape(draws, [layers, -1]), axis=1)
        choice, chance, side, *spread = columns
        chosen = _index(choice, len(OPERATIONS))
        strength = mean
        if spread:
            strength = tf.clip_by_value(mean + stddev * _normal(spread[0]), 0.0, 10.0)
        values = arguments(chosen, strength / 10.0, side)
        return _apply(image, chosen, values, chance < 0.5)

    return _each(one, images, draws)


def autoaugment(images: tf.Tensor, draws: tf.Tensor, policy: str) -> tf.Tensor:
    """Puts each image through one of the policy's 25 pairs of operations [1].

    Args:
        images: `[batch, height, width, channels]`, from 0 to 255; they are rounded.
        draws: `[batch, AUTOAUGMENT_DRAWS]`, from 0 to 1.
        policy: a key of AUTOAUGMENT.
    """
    pairs, names = AUTOAUGMENT[policy], list(OPERATIONS)
    # [pairs, 2] each: the operation, its probability and its strength.
    table = tf.constant([[names.index(entry[0]) for entry in pair] for pair in pairs])
    chances, levels = (
        tf.constant([[float(entry[i]) for entry in pair] for pair in pairs])
        for i in (1, 2)
    )
    arguments = _Arguments(PUBLISHED)

    def one(image: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        pair = _index(draws[0], len(pairs))
        chance, side = draws[1:3], draws[3:5]
        chosen, level = table[pair], levels[pair] / 9.0
        done = chance < chances[pair]
        return _apply(image, chosen, arguments(chosen, level, side), done)

    return _each(one, images, draws)


class _Arguments:
    """Arguments of operations by their index, strength and a draw for the side."""

    def __init__(self, ranges: dict[str, Range]):
        rows = [ranges[name] for name in OPERATIONS]
        self._start = tf.constant([row.start for row in rows])
        self._reach = tf.constant([row.end - row.start for row in rows])
        self._two_sided = tf.constant([row.two_sided for row in rows])

    def __call__(self, chosen: tf.Tensor, level, side: tf.Tensor) -> tf.Tensor:
        distance = tf.gather(self._reach, chosen) * level
        negative = tf.gather(self._two_sided, chosen) & (side < 0.5)
        distance = tf.where(negative, -distance, distance)
        return tf.gather(self._start, chosen) + distance


def _normal(draws: tf.Tensor) -> tf.Tensor:
    """Turns draws from 0 to 1 into normally distributed ones."""
    least = 1e-7  # Of float32, so that 0 and 1 do not become infinite.
    draws = tf.clip_by_value(draws, least, 1.0 - least)
    return tf.math.ndtri(draws)


def _index(draw: tf.Tensor, number: int) -> tf.Tensor:
    return tf.minimum(tf.cast(draw * number, tf.int32), number - 1)


def _apply(image, chosen, arguments, done) -> tf.Tensor:
    """Puts an image through operations `[number]` one after the other."""
    none = len(OPERATIONS)
    chosen = tf.where(done, chosen, none)

    def step(i: tf.Tensor, image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        branches = [
            lambda operation=operation: operation(image, arguments[i])
            for operation in OPERATIONS.values()
        ]
        changed = tf.switch_case(chosen[i], [*branches, lambda: image])
        return i + 1, tf.ensure_shape(changed, image.shape)

    number = chosen.shape[0]
    return tf.while_loop(lambda i, _: i < number, step, (0, image))[1]


def _each(one: Callable, images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    images = tf.clip_by_value(tf.math.rint(images), 0.0, 255.0)
    if images.shape[0] == 1:
        return one(images[0], draws[0])[tf.newaxis]
    kind = tf.TensorSpec(images.shape[1:], tf.float32)
    return tf.map_fn(lambda pair: one(*pair), (images, draws), fn_output_signature=kind)
