"""What part of an image becomes the network's input: fixed in evaluation, else random.

Pixels are float32 from 0 to 255. Random choices are functions of numbers drawn evenly
from 0 to 1, so that they are the same wherever they are made.

Sources: [1] research/slim's inception_preprocessing and vgg_preprocessing;
[2] torchvision's Resize, CenterCrop and RandomResizedCrop.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import tensorflow as tf

from slimnets.data import orientation
from slimnets.data.pixel_limit import (
    DCT,
    decode_no_jpeg,
    in_channels,
    jpeg_shape,
    with_adobes_mark,
)
from slimnets.data.rare_branches import apart

# height, width, boxes and draws of one image -> top, left, height, width of the crop.
Window = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
_ATTEMPTS = 10
# What stands beside a photo that does not fill its place: a gray of no tendency.
FILL = 127.5
WINDOW_DRAWS = 2 * _ATTEMPTS + 2


@dataclasses.dataclass(frozen=True)
class View:
    """What evaluation sees of an image.

    Attributes:
        crop_fraction: the share of the sides that is seen; None for the whole image,
            stretched to the network's input.
        crop_first: whether the central part is cut out and then stretched [1,
            inception], instead of cut out of the image after its shorter side was
            resized to the input's size over crop_fraction [1, vgg; 2].
        kernel: `legacy`, bilinear as `tf.compat.v1.image.resize_bilinear` [1];
            `bilinear` or `bicubic`, with antialias, as PIL [2]; `plain`, bilinear as
            `tf.image.resize`.
    """

    crop_fraction: float | None = None
    crop_first: bool = False
    kernel: str = "plain"

    def __call__(self, images: tf.Tensor, size: int) -> tf.Tensor:
        """Makes `[batch, size, size, channels]` of `[batch, height, width, channels]`.

        An image that is of this size already stays as it is, unless it is cropped.
        """
        if self.crop_fraction is None:
            return resize(images, size, size, self.kernel)
        height, width = _sides(images)
        if self.crop_first:
            top, left = (_inset(side, self.crop_fraction) for side in (height, width))
            images = images[:, top : height - top, left : width - left]
            return resize(images, size, size, self.kernel)
        short = math.floor(size / self.crop_fraction + 1e-6)
        height, width = (
            _scaled(side, short, tf.minimum(height, width), self.kernel)
            for side in (height, width)
        )
        images = resize(images, height, width, self.kernel)
        top, left = (_centred(side - size, self.kernel) for side in (height, width))
        images = images[:, top : top + size, left : left + size]
        return tf.ensure_shape(images, [images.shape[0], size, size, images.shape[3]])


@dataclasses.dataclass(frozen=True)
class Letterbox(View):
    """The whole image, its sides' ratio kept, in the top left of the input.

    What remains is `FILL`. So boxes and masks are those of the image but for a factor.
    """

    def __call__(self, images: tf.Tensor, size: int) -> tf.Tensor:
        """As of `View`."""
        height, width = fitted(*_sides(images), size, tf.maximum)
        images = tf.image.resize(images, [height, width], antialias=True)
        rest = [[0, 0], [0, size - height], [0, size - width], [0, 0]]
        images = tf.pad(images, rest, constant_values=FILL)
        return tf.ensure_shape(images, [images.shape[0], size, size, images.shape[3]])


def fitted(height: int, width: int, size: int, largest: Callable = max) -> tuple:
    """Height and width of an image in a `Letterbox` of that size.

    Args:
        height, width: of the image; integers, or tensors of such with their `largest`.
        size: of the input.
        largest: a function of two of them.
    """
    longer = largest(height, width)
    return tuple(
        largest((2 * side * size + longer) // (2 * longer), 1)
        for side in (height, width)
    )


def _sides(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.shape(images)[1], tf.shape(images)[2]


def _inset(side: tf.Tensor, fraction: float) -> tf.Tensor:
    """What `tf.image.central_crop` leaves out before the middle."""
    side = tf.cast(side, tf.float64)
    return tf.cast((side - side * fraction) / 2, tf.int32)


def _scaled(side: tf.Tensor, short: int, shortest: tf.Tensor, kernel: str) -> tf.Tensor:
    exact = tf.cast(side * short, tf.float64) / tf.cast(shortest, tf.float64)
    # torchvision truncates the longer side; research/slim rounds it.
    return tf.cast(tf.math.rint(exact) if kernel == "legacy" else exact, tf.int32)


def _centred(margin: tf.Tensor, kernel: str) -> tf.Tensor:
    half = tf.cast(margin, tf.float64) / 2
    return tf.cast(half if kernel == "legacy" else tf.math.rint(half), tf.int32)


def resize(images: tf.Tensor, height, width, kernel: str = "plain") -> tf.Tensor:
    """Resizes `[batch, height, width, channels]`; see `View.kernel`."""
    if images.shape[1:3] == (height, width):
        return tf.cast(images, tf.float32)
    if kernel == "legacy":
        return tf.raw_ops.ResizeBilinear(images=images, size=[height, width])
    if kernel == "plain":
        return tf.image.resize(images, [height, width])
    resized = tf.image.resize(images, [height, width], method=kernel, antialias=True)
    return tf.clip_by_value(resized, 0.0, 255.0)


def random_area_window(least_area: float, aspect: float) -> Window:
    """RandomResizedCrop of torchvision [2]: ten attempts, then a central crop.

    Args:
        least_area: smallest share of the area; 1 is the largest.
        aspect: the ratio of width to height is from 1 / aspect to aspect, its logarithm
            drawn evenly.
    """

    def window(height, width, boxes, draws):
        del boxes
        high, wide = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
        areas = high * wide * (least_area + (1.0 - least_area) * draws[:_ATTEMPTS])
        logs = (2.0 * draws[_ATTEMPTS : 2 * _ATTEMPTS] - 1.0) * math.log(aspect)
        ratios = tf.exp(logs)
        widths = tf.math.rint(tf.sqrt(areas * ratios))
        heights = tf.math.rint(tf.sqrt(areas / ratios))
        fits = (widths >= 1) & (widths <= wide) & (heights >= 1) & (heights <= high)
        # Behind all attempts stands what always fits.
        last_width = tf.minimum(wide, tf.math.rint(high * aspect))
        last_height = tf.minimum(high, tf.math.rint(wide * aspect))
        chosen = tf.argmax(tf.concat([fits, [True]], axis=0))
        crop_height = tf.concat([heights, [last_height]], axis=0)[chosen]
        crop_width = tf.concat([widths, [last_width]], axis=0)[chosen]
        room = tf.stack([high - crop_height, wide - crop_width])
        corner = tf.where(
            chosen < _ATTEMPTS,
            _place(room, draws[2 * _ATTEMPTS :]),
            tf.floor(room / 2.0),
        )
        sizes = tf.stack([crop_height, crop_width])
        return tf.cast(tf.concat([corner, sizes], axis=0), tf.int32)

    return window


def _place(room: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
    """A whole number from 0 to `room`, all as likely; 0.5 draws the middle."""
    return tf.minimum(tf.floor(draw * (room + 1.0)), room)


def distorted_box_window(least_area: float, aspect: float) -> Window:
    """research/slim's distorted_bounding_box_crop [1], around the example's boxes.

    At least a tenth of a box is in the crop; an example without boxes has one, the
    whole image. Parameters as of `random_area_window`; the aspect ratio itself is drawn
    evenly.
    """

    def window(height, width, boxes, draws):
        begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
            tf.stack([height, width, 3]),
            boxes[tf.newaxis],
            seed=tf.cast(draws[:2] * 2.0**24, tf.int32),
            min_object_covered=0.1,
            aspect_ratio_range=(1 / aspect, aspect),
            area_range=(least_area, 1.0),
            max_attempts=100,
            use_image_if_no_bounding_boxes=True,
        )
        return tf.concat([begin[:2], size[:2]], axis=0)

    return window


def random_side_window(size: int, crop_fraction: float) -> Window:
    """research/slim's vgg crop [1]: the shorter side is resized at random first.

    It becomes `size / crop_fraction` to twice that; 256 to 512 for an input of 224.
    """
    least = size / crop_fraction

    def window(height, width, boxes, draws):
        del boxes
        shorter = tf.cast(tf.minimum(height, width), tf.float32)
        crop = tf.math.rint(size * shorter / (least * (1.0 + draws[0])))
        high, wide = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
        top, left = _place(high - crop, draws[1]), _place(wide - crop, draws[2])
        return tf.cast(tf.stack([top, left, crop, crop]), tf.int32)

    return window


def crop_and_resize(images: tf.Tensor, windows: tf.Tensor, size: int) -> tf.Tensor:
    """Cuts a window out of each image and resizes it bilinearly.

    Args:
        images: `[batch, height, width, channels]`.
        windows: `[batch, 4]`: top, left, height and width, in pixels.
        size: height and width of the result.

    Returns:
        What `tf.image.resize` gives for each crop, but that it sees the pixels around
        the crop: float32 `[batch, size, size, channels]`.
    """
    top, left, height, width = tf.unstack(tf.cast(windows, tf.float32), axis=1)
    rise, run, none = height / size, width / size, tf.zeros_like(top)
    x0, y0 = left + run / 2 - 0.5, top + rise / 2 - 0.5
    transforms = tf.stack([run, none, x0, none, rise, y0, none, none], axis=1)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(images, tf.float32),
        transforms=transforms,
        output_shape=[size, size],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )


def decode_crop(
    encoded: tf.Tensor,
    window: Window,
    boxes: tf.Tensor,
    draws: tf.Tensor,
    size: int,
    channels: int,
    exif_orientation: bool = True,
) -> tf.Tensor:
    """Decodes what a window shows of an encoded image, and resizes it.

    Of a JPEG only that part is decoded; where it is at least twice as large as the
    network's input, at a half, a quarter or an eighth of its resolution. Window and
    boxes are of the upright image, where `exif_orientation` turns it.

    Returns:
        float32 `[size, size, channels]` from 0 to 255.
    """

    def jpeg() -> tf.Tensor:
        shape = jpeg_shape(encoded)
        marked = with_adobes_mark(encoded, shape)
        turn, height, width = 1, shape[0], shape[1]
        if exif_orientation:
            turn = orientation.jpeg_orientation(encoded)
            height, width = orientation.turned_size(height, width, turn)
        crop = window(height, width, boxes, draws)
        smaller = tf.minimum(crop[2], crop[3]) // size
        if exif_orientation:
            crop = orientation.stored_window(crop, height, width, turn)

        def at(ratio: int) -> Callable[[], tf.Tensor]:
            return lambda: tf.image.decode_and_crop_jpeg(
                marked, crop // ratio, 3, ratio=ratio, dct_method=DCT
            )

        def reduced() -> tf.Tensor:
            level = tf.cast(smaller >= 4, tf.int32) + tf.cast(smaller >= 8, tf.int32)
            return tf.switch_case(level, [at(ratio) for ratio in (2, 4, 8)])

        image = tf.cond(smaller < 2, at(1), apart(reduced))
        image = in_channels(image, channels)
        if exif_orientation:
            image = orientation.turn_upright(image, turn)
        return resize(image[tf.newaxis], size, size)[0]

    def other() -> tf.Tensor:
        image = decode_no_jpeg(encoded, channels, exif_orientation)
        shape = tf.shape(image)
        top, left, height, width = tf.unstack(window(shape[0], shape[1], boxes, draws))
        image = image[top : top + height, left : left + width]
        return resize(image[tf.newaxis], size, size)[0]

    return tf.cond(tf.io.is_jpeg(encoded), jpeg, apart(other))
