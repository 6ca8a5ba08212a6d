"""Weight decay as a loss. Source: tf_slim's `l1_regularizer` and `l2_regularizer`."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf


def l2_regularizer(scale: float, scope: str | None = None) -> Callable:
    """Returns a function that gives `scale * sum(weights ** 2) / 2`, or None for 0.

    Raises:
        ValueError: if `scale` is negative or not a number.
    """
    return _scaled(tf.nn.l2_loss, scale, scope or "l2_regularizer")


def l1_regularizer(scale: float, scope: str | None = None) -> Callable:
    """Returns a function that gives `scale * sum(abs(weights))`, or None for 0.

    Raises:
        ValueError: if `scale` is negative or not a number.
    """
    return _scaled(lambda w: tf.reduce_sum(tf.abs(w)), scale, scope or "l1_regularizer")


def _scaled(loss: Callable, scale: float, scope: str) -> Callable:
    if not isinstance(scale, (int, float)) or isinstance(scale, bool) or not scale >= 0:
        raise ValueError(f"scale={scale!r}; allowed is a number of 0 or more.")

    def regularizer(weights: tf.Variable) -> tf.Tensor | None:
        if scale == 0:
            return None
        with tf.name_scope(scope):
            return tf.multiply(loss(weights), scale)

    return regularizer
