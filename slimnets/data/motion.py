"""Flips and shifts of images in batches, by whole pixels."""

import tensorflow as tf

# One pixel of a stored 8x8 digit, the width of its empty margin.
SHIFT_FRACTION = 1 / 8
SHIFT_DRAWS = 2


def random_flip(images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """Mirrors the images left to right whose draw `[batch, 1]` is below 0.5."""
    if images.shape[0] == 1:
        image = images[0]
        # Reversing rows of pixels of one image has a kernel of its own.
        return tf.cond(
            draws[0, 0] < 0.5, lambda: tf.reverse(image, [1]), lambda: image
        )[tf.newaxis]
    return tf.where(draws[:, :, None, None] < 0.5, images[:, :, ::-1], images)


def random_shift(images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """Moves each image by its own whole number of pixels; the border repeats.

    Args:
        images: `[batch, size, size, channels]`, static but for the batch.
        draws: `[batch, 2]`, from 0 to 1: downwards and sidewards.
    """
    reach = max(1, round(images.shape[1] * SHIFT_FRACTION))
    return _move(images, _steps(draws, reach))


def pad_and_crop(images: tf.Tensor, draws: tf.Tensor, pixels: int) -> tf.Tensor:
    """Moves each image by up to as many pixels each way; black comes in.

    It is a random crop of the image, padded by `pixels` zeros on each side.

    Args:
        images: `[batch, size, size, channels]`, static but for the batch.
        draws: `[batch, 2]`, from 0 to 1: downwards and sidewards.
        pixels: at most.
    """
    border = [[0, 0], [pixels, pixels], [pixels, pixels], [0, 0]]
    return _move(tf.pad(images, border), pixels + _steps(draws, pixels), images.shape)


def _steps(draws: tf.Tensor, reach: int) -> tf.Tensor:
    """Whole numbers `[2, batch]` from -reach to reach."""
    steps = tf.cast(tf.transpose(draws) * (2 * reach + 1), tf.int32)
    return tf.minimum(steps, 2 * reach) - reach


def _move(images: tf.Tensor, steps: tf.Tensor, shape=None) -> tf.Tensor:
    """Takes what begins at `steps` pixels, clipped to the image."""
    for axis in (1, 2):
        size = (shape or images.shape)[axis]
        index = tf.range(size) + steps[axis - 1][:, tf.newaxis]
        index = tf.clip_by_value(index, 0, images.shape[axis] - 1)
        images = tf.gather(images, index, axis=axis, batch_dims=1)
    return images
