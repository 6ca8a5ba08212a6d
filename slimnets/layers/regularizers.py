"""Weight decay as a loss. Source: tf_slim's `l1_regularizer` and `l2_regularizer`."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf


def l2_regularizer(scale: float, scope: str | None = None) -> Callable:
    """Returns a function that gives `scale * sum(weights ** 2) / 2`, or None for 0.

    Raises:
        ValueError: if `scale` is negative or not a number.
    """
    _check(scale)
    if scale == 0:
        return lambda _: None

    def l2(weights: tf.Variable) -> tf.Tensor:
        with tf.name_scope(scope or "l2_regularizer"):
            return tf.multiply(tf.nn.l2_loss(weights), scale)

    return l2


def l1_regularizer(scale: float, scope: str | None = None) -> Callable:
    """Returns a function that gives `scale * sum(abs(weights))`, or None for 0.

    Raises:
        ValueError: if `scale` is negative or not a number.
    """
    _check(scale)
    if scale == 0:
        return lambda _: None

    def l1(weights: tf.Variable) -> tf.Tensor:
        with tf.name_scope(scope or "l1_regularizer"):
            return tf.multiply(tf.reduce_sum(tf.abs(weights)), scale)

    return l1


def _check(scale: float) -> None:
    if not isinstance(scale, (int, float)) or isinstance(scale, bool) or not scale >= 0:
        raise ValueError(f"scale={scale!r}; allowed is a number of 0 or more.")
