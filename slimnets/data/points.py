"""What happens to clouds of points on their way into a network."""

import tensorflow as tf


def first_points(
    points: tf.Tensor, number: int, value_range: tuple[float, float]
) -> tf.Tensor:
    """Takes the first `number` points of each cloud; their values stay as they are.

    Args:
        points: `[batch, points, dims]`; the points of a cloud in no order.
        number: how many points the network is to see.
        value_range: not used.

    Raises:
        ValueError: if the clouds have fewer points.
    """
    del value_range
    stored = points.shape[1]
    if number > stored:
        raise ValueError(
            f"image_size={number} asks for more points than the {stored} of a cloud."
        )
    return tf.cast(points[:, :number], tf.float32)


def random_rotation(points: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Turns each cloud by a rotation of its own, drawn evenly from all there are.

    Args:
        points: `[batch, points, 3]`.
        seed: int `[2]`; the same seed gives the same rotations.
    """
    quaternions = tf.random.stateless_normal([tf.shape(points)[0], 4], seed)
    w, x, y, z = tf.unstack(tf.math.l2_normalize(quaternions, axis=1), axis=1)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    matrices = tf.stack([tf.stack(row, axis=1) for row in rows], axis=1)
    return tf.linalg.matmul(points, matrices, transpose_b=True)
