"""Losses of classification, one value per example."""

import tensorflow as tf


def softmax_cross_entropy(
    labels: tf.Tensor, logits: tf.Tensor, label_smoothing: float = 0.0
) -> tf.Tensor:
    """Cross entropy of softmax(logits) with labels, `[batch]`, in float32.

    Args:
        labels: int `[batch]`, from 0 to classes - 1.
        logits: `[batch, classes]`.
        label_smoothing: the share of every label's weight that is spread evenly over
            all classes (Szegedy et al., arXiv:1512.00567, section 7).

    Raises:
        ValueError: for a label_smoothing outside of [0, 1).
    """
    if not 0.0 <= label_smoothing < 1.0:
        raise ValueError(f"label_smoothing={label_smoothing} must be in [0, 1).")
    logits = tf.cast(logits, tf.float32)
    sparse = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    if not label_smoothing:
        return sparse
    even = -tf.reduce_mean(tf.nn.log_softmax(logits), axis=-1)
    return (1.0 - label_smoothing) * sparse + label_smoothing * even
