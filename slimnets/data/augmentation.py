"""What training does to images: a preprocessing and options, put together.

Everything random is a function of an example's draws, numbers drawn evenly from 0 to 1,
of which each step of the chain takes its own columns.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import tensorflow as tf

from slimnets.data import colors, geometry, mixing, motion, points, policies
from slimnets.data.input_config import AugmentationOptions
from slimnets.data.pixel_limit import Decoding
from slimnets.data.preprocessing import Preprocessing, to_pixels

Change = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How a recipe makes a network's input of training images.

    Args:
        recipe: the preprocessing.
        options: what was asked for; None takes the recipe's own.
        image_size: height and width of the network's input, or its number of points.
    """

    recipe: Preprocessing
    options: AugmentationOptions
    image_size: int

    @functools.cached_property
    def resolved(self) -> AugmentationOptions:
        return self.recipe.resolve(self.options)

    @functools.cached_property
    def window(self) -> geometry.Window | None:
        """The random crop; None for evaluation's view."""
        area, aspect = self.resolved.random_crop_area, self.resolved.random_crop_aspect
        if area:
            make = geometry.random_area_window
            if self.recipe.boxes:
                make = geometry.distorted_box_window
            return make(area, aspect or 4 / 3)
        if area is None and self.recipe.own == "side":
            view = self.recipe.view
            return geometry.random_side_window(self.image_size, view.crop_fraction)
        return None

    @property
    def draws(self) -> int:
        """How many draws an example takes; at least one, of which it may make nothing.

        Dataset.unbatch of TensorFlow 2.21 crashes on rows without numbers.
        """
        return max(1, sum(number for number, _ in self._chain) + self._window_draws)

    @property
    def repeats(self) -> int:
        """How often an image stands in a batch."""
        return self.resolved.repeated_augmentation or 1

    @property
    def mixes(self) -> bool:
        """Whether images are mixed, so that labels are soft."""
        return bool(self.resolved.mixup_alpha or self.resolved.cutmix_alpha)

    def draw_mix(self, pairs: int, seed: tf.Tensor) -> mixing.Mix:
        """See `mixing.draw_mix`."""
        options = self.resolved
        return mixing.draw_mix(
            pairs, seed, options.mixup_alpha or 0.0, options.cutmix_alpha or 0.0
        )

    @tf.autograph.experimental.do_not_convert
    def stored(
        self, images: tf.Tensor, draws: tf.Tensor, value_range: tuple[float, float]
    ) -> tf.Tensor:
        """Prepares a batch of stored images, or clouds, of one size.

        Args:
            images: as of `Preprocessing.prepare`.
            draws: `[batch, self.draws]`, from 0 to 1.
            value_range: the smallest and largest value that a pixel may have.
        """
        size = self.image_size
        if self.recipe.rank == 2:
            images = points.first_points(images, size)
        elif self.window is None:
            images = self.recipe.view(to_pixels(images, value_range), size)
        else:
            height, width = tf.unstack(tf.shape(images)[1:3])
            windows = tf.map_fn(
                lambda row: self.window(height, width, tf.zeros([0, 4]), row),
                draws[:, : self._window_draws],
                fn_output_signature=tf.int32,
            )
            pixels = to_pixels(images, value_range)
            images = geometry.crop_and_resize(pixels, windows, size)
        return self._changed(images, draws)

    def encoded(
        self, image: tf.Tensor, boxes: tf.Tensor, draws: tf.Tensor, decode: Decoding
    ) -> tf.Tensor:
        """Prepares one encoded image: float32 `[image_size, image_size, channels]`.

        Args:
            image: a string scalar.
            boxes: float32 `[boxes, 4]`: top, left, bottom and right, as shares.
            draws: `[self.draws]`, from 0 to 1.
            decode: makes pixels of encoded images.
        """
        if self.window is None:
            pixels = tf.cast(decode(image), tf.float32)
            made = self.recipe.view(pixels[tf.newaxis], self.image_size)[0]
        else:
            made = geometry.decode_crop(
                image, self.window, boxes, draws[: self._window_draws],
                self.image_size, decode.channels, decode.exif_orientation,
            )  # fmt: skip
        shape = [1, self.image_size, self.image_size, decode.channels]
        return self._changed(tf.reshape(made, shape), draws[tf.newaxis])[0]

    @property
    def _window_draws(self) -> int:
        return geometry.WINDOW_DRAWS if self.window else 0

    @tf.autograph.experimental.do_not_convert
    def _changed(self, images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        start = self._window_draws
        for number, change in self._chain:
            images = change(images, draws[:, start : start + number])
            start += number
        return images

    @functools.cached_property
    def _chain(self) -> list[tuple[int, Change]]:
        """Each change, and how many draws it takes."""
        options, own = self.resolved, self.recipe.own
        if self.recipe.rank == 2:
            rotate = (points.ROTATION_DRAWS, points.random_rotation)
            return [rotate] if own == "rotate" else []
        chain: list[tuple[int, Change]] = []
        if options.random_flip:
            chain.append((1, motion.random_flip))
        if options.pad_and_crop:
            change = functools.partial(motion.pad_and_crop, pixels=options.pad_and_crop)
            chain.append((motion.SHIFT_DRAWS, change))
        elif own == "shift" and options.pad_and_crop is None:
            chain.append((motion.SHIFT_DRAWS, motion.random_shift))
        if options.autoaugment:
            change = functools.partial(policies.autoaugment, policy=options.autoaugment)
            chain.append((policies.AUTOAUGMENT_DRAWS, change))
        elif layers := options.randaugment_layers:
            stddev = options.randaugment_magnitude_stddev
            change = functools.partial(
                policies.randaugment,
                layers=layers,
                magnitude=options.randaugment_magnitude,
                stddev=stddev,
            )
            chain.append((policies.randaugment_draws(layers, stddev), change))
        policy = options.autoaugment or options.randaugment_layers
        if options.color_jitter:
            change = functools.partial(
                colors.color_jitter, strength=options.color_jitter
            )
            chain.append((colors.JITTER_DRAWS, change))
        elif own == "colors" and options.color_jitter is None and not policy:
            chain.append((colors.DISTORT_DRAWS, colors.inception_colors))
        chain.append((0, lambda images, _: self.recipe.values(images)))
        if options.random_erasing:
            change = functools.partial(
                mixing.random_erasing, probability=options.random_erasing
            )
            chain.append((mixing.ERASING_DRAWS, change))
        return chain
