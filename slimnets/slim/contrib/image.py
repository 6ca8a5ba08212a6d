"""`tf.contrib.image`: images rotated, moved and projected.

Source: the public interface of tf.contrib.image of TensorFlow 1.15.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def transform(
    images: Any,
    transforms: Any,
    interpolation: str = "NEAREST",
    output_shape: Any = None,
    name: str | None = None,
) -> tf.Tensor:
    """Projects images.

    Args:
        images: `[batch, height, width, channels]`, `[height, width, channels]` or
            `[height, width]`.
        transforms: `[batch, 8]` or `[8]`: with `a0, a1, a2, b0, b1, b2, c0, c1`, the
            point `(x, y)` of the output is that of the input at
            `((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k)`, `k = c0 x + c1 y + 1`.
        interpolation: `NEAREST` or `BILINEAR`.
        output_shape: height and width of the output; None for those of the input.
        name: of the name scope.

    Returns:
        Images of the same type and rank; what lies outside of the input is 0.

    Raises:
        TypeError: if images are of another rank.
    """
    with tf.name_scope(name or "transform"):
        images = tf.convert_to_tensor(images)
        rank = images.shape.rank
        if rank not in (2, 3, 4):
            raise TypeError(f"Images should have rank between 2 and 4; got {rank}.")
        batch = images[None] if rank == 3 else images
        batch = images[None, :, :, None] if rank == 2 else batch
        flat = tf.convert_to_tensor(transforms, tf.float32)
        flat = flat[None] if flat.shape.rank == 1 else flat
        if output_shape is None:
            output_shape = tf.shape(batch)[1:3]
        out = tf.raw_ops.ImageProjectiveTransformV2(
            images=batch,
            transforms=flat,
            output_shape=output_shape,
            interpolation=interpolation.upper(),
        )
        known = tf.get_static_value(tf.convert_to_tensor(output_shape))
        size = batch.shape[1:3] if known is None else list(known)
        out.set_shape([batch.shape[0], *size, batch.shape[3]])
        if rank == 2:
            return out[0, :, :, 0]
        return out[0] if rank == 3 else out


def rotate(
    images: Any, angles: Any, interpolation: str = "NEAREST", name: str | None = None
) -> tf.Tensor:
    """Rotates images counterclockwise by angles in radians; else as `transform`."""
    with tf.name_scope(name or "rotate"):
        images = tf.convert_to_tensor(images)
        shape = tf.shape(images)
        at = 0 if images.shape.rank in (2, 3) else 1
        size = tf.cast(shape[at : at + 2], tf.float32)
        transforms = angles_to_projective_transforms(angles, size[0], size[1])
        return transform(images, transforms, interpolation)


def translate(
    images: Any,
    translations: Any,
    interpolation: str = "NEAREST",
    name: str | None = None,
) -> tf.Tensor:
    """Moves images by `[dx, dy]`, or one for each image; else as `transform`."""
    with tf.name_scope(name or "translate"):
        transforms = translations_to_projective_transforms(translations)
        return transform(images, transforms, interpolation)


def angles_to_projective_transforms(
    angles: Any, image_height: Any, image_width: Any, name: str | None = None
) -> tf.Tensor:
    """The transforms, `[batch, 8]`, that rotate images about their centre."""
    with tf.name_scope(name or "angles_to_projective_transforms"):
        angles = tf.reshape(tf.convert_to_tensor(angles, tf.float32), [-1])
        x, y = image_width - 1, image_height - 1
        cos, sin, zero = tf.cos(angles), tf.sin(angles), tf.zeros_like(angles)
        moved_x = (x - (cos * x - sin * y)) / 2.0
        moved_y = (y - (sin * x + cos * y)) / 2.0
        return tf.stack([cos, -sin, moved_x, sin, cos, moved_y, zero, zero], axis=1)


def translations_to_projective_transforms(
    translations: Any, name: str | None = None
) -> tf.Tensor:
    """The transforms, `[batch, 8]`, that move images by `[dx, dy]`."""
    with tf.name_scope(name or "translations_to_projective_transforms"):
        moves = tf.reshape(tf.convert_to_tensor(translations, tf.float32), [-1, 2])
        one, zero = tf.ones_like(moves[:, 0]), tf.zeros_like(moves[:, 0])
        rows = [one, zero, -moves[:, 0], zero, one, -moves[:, 1], zero, zero]
        return tf.stack(rows, axis=1)


def compose_transforms(*transforms: Any) -> tf.Tensor:
    """The transform, `[batch, 8]`, that does one after the other."""
    product = None
    for one in transforms:
        flat = tf.reshape(tf.convert_to_tensor(one, tf.float32), [-1, 8])
        matrix = tf.reshape(
            tf.pad(flat, [[0, 0], [0, 1]], constant_values=1), [-1, 3, 3]
        )
        product = matrix if product is None else tf.matmul(product, matrix)
    flat = tf.reshape(product, [-1, 9])
    return (flat / flat[:, 8:])[:, :8]
