"""Losses of classification, one value per example.

Labels are either class numbers, int `[batch]`, or weights of classes, float `[batch,
classes]`: what mixup and cutmix give, or several classes of one image.
"""

from collections.abc import Callable

import tensorflow as tf

# Of focal loss: how much less a loss counts that is small already.
FOCAL_GAMMA = 2.0


def softmax_cross_entropy(
    labels: tf.Tensor, logits: tf.Tensor, label_smoothing: float = 0.0
) -> tf.Tensor:
    """Cross entropy of softmax(logits) with labels, `[batch]`, in float32.

    Args:
        labels: int `[batch]`, from 0 to classes - 1, or float `[batch, classes]`, of
            which each row's sum is 1.
        logits: `[batch, classes]`.
        label_smoothing: the share of every label's weight that is spread evenly over
            all classes (Szegedy et al., arXiv:1512.00567, section 7).

    Raises:
        ValueError: for a label_smoothing outside of [0, 1).
    """
    _check_smoothing(label_smoothing)
    logits = tf.cast(logits, tf.float32)
    labels = tf.convert_to_tensor(labels)
    if labels.dtype.is_floating:
        hard = tf.nn.softmax_cross_entropy_with_logits(
            tf.cast(labels, tf.float32), logits
        )
    else:
        hard = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    if not label_smoothing:
        return hard
    even = -tf.reduce_mean(tf.nn.log_softmax(logits), axis=-1)
    return (1.0 - label_smoothing) * hard + label_smoothing * even


def sigmoid_cross_entropy(
    labels: tf.Tensor, logits: tf.Tensor, label_smoothing: float = 0.0
) -> tf.Tensor:
    """The sum over classes of binary cross entropies, `[batch]`, in float32.

    Args:
        labels: as above; each class on its own, so rows may have any sum.
        logits: `[batch, classes]`.
        label_smoothing: pulls every label from 0 or 1 towards 1 / 2 by this share.

    Raises:
        ValueError: for a label_smoothing outside of [0, 1).
    """
    _check_smoothing(label_smoothing)
    logits = tf.cast(logits, tf.float32)
    targets = shares_of_classes(labels, logits.shape[-1])
    targets = targets * (1.0 - label_smoothing) + 0.5 * label_smoothing
    losses = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)
    return tf.reduce_sum(losses, axis=-1)


def focal_cross_entropy(
    labels: tf.Tensor,
    logits: tf.Tensor,
    label_smoothing: float = 0.0,
    gamma: float = FOCAL_GAMMA,
) -> tf.Tensor:
    """Cross entropy of softmax(logits), less of what is known well, `[batch]`.

    The term of a class with probability p is scaled by `(1 - p) ** gamma` (Lin et al.,
    arXiv:1708.02002, equation 4); with gamma 0 it is `softmax_cross_entropy`.

    Args:
        labels: as above.
        logits: `[batch, classes]`.
        label_smoothing: as above.
        gamma: how much less.

    Raises:
        ValueError: for a label_smoothing outside of [0, 1).
    """
    _check_smoothing(label_smoothing)
    log_p = tf.nn.log_softmax(tf.cast(logits, tf.float32))
    targets = shares_of_classes(labels, logits.shape[-1])
    even = 1.0 / logits.shape[-1]
    targets = targets * (1.0 - label_smoothing) + even * label_smoothing
    # 1 - p, whose power has a gradient at p = 1 too.
    rest = tf.maximum(-tf.math.expm1(log_p), 1e-7)
    return -tf.reduce_sum(targets * tf.pow(rest, gamma) * log_p, axis=-1)


# By the name that --loss takes.
LOSSES: dict[str, Callable[..., tf.Tensor]] = {
    "softmax": softmax_cross_entropy,
    "sigmoid": sigmoid_cross_entropy,
    "focal": focal_cross_entropy,
}


def register_loss(name: str, loss: Callable[..., tf.Tensor]) -> None:
    """Adds a loss under a name that `--loss` takes.

    Args:
        name: a new one.
        loss: a function of labels, logits and label_smoothing that gives `[batch]`, as
            those above.

    Raises:
        ValueError: if the name is taken.
    """
    if name in LOSSES:
        raise ValueError(f"A loss named {name!r} is already registered.")
    LOSSES[name] = loss


def shares_of_classes(labels: tf.Tensor, num_classes: int) -> tf.Tensor:
    """Labels of either kind as float32 `[batch, classes]`."""
    labels = tf.convert_to_tensor(labels)
    if labels.dtype.is_floating:
        return tf.cast(labels, tf.float32)
    return tf.one_hot(labels, num_classes)


def hits(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The weight that a label gives to the class of the largest logit, `[batch]`.

    For class numbers this is 1 where they are met, else 0.
    """
    weights = shares_of_classes(labels, logits.shape[-1])
    return tf.gather(weights, tf.argmax(logits, axis=-1), batch_dims=1)


def _check_smoothing(label_smoothing: float) -> None:
    if not 0.0 <= label_smoothing < 1.0:
        raise ValueError(f"label_smoothing={label_smoothing} must be in [0, 1).")
