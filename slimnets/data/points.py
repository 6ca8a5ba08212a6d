"""What happens to clouds of points on their way into a network."""

import math

import tensorflow as tf

ROTATION_DRAWS = 3


def first_points(points: tf.Tensor, number: int) -> tf.Tensor:
    """Takes the first `number` points of each cloud; their values stay as they are.

    Args:
        points: `[batch, points, dims]`; the points of a cloud in no order.
        number: how many points the network is to see.

    Raises:
        ValueError: if the clouds have fewer points.
    """
    stored = points.shape[1]
    if number > stored:
        raise ValueError(
            f"image_size={number} asks for more points than the {stored} of a cloud."
        )
    return tf.cast(points[:, :number], tf.float32)


def random_rotation(points: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """Turns each cloud by a rotation of its own, drawn evenly from all there are.

    Args:
        points: `[batch, points, 3]`.
        draws: `[batch, 3]`, from 0 to 1. Shoemake (Graphics Gems III) makes evenly
            distributed quaternions of them.
    """
    share, first, second = tf.unstack(draws, axis=1)
    inner, outer = tf.sqrt(1.0 - share), tf.sqrt(share)
    first, second = 2 * math.pi * first, 2 * math.pi * second
    w, x = outer * tf.cos(second), inner * tf.sin(first)
    y, z = inner * tf.cos(first), outer * tf.sin(second)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    matrices = tf.stack([tf.stack(row, axis=1) for row in rows], axis=1)
    return tf.linalg.matmul(points, matrices, transpose_b=True)
