"""From stored images to the network's input, by named recipes.

A recipe is rows of data: what evaluation sees of an image, how values are scaled, and
what training does beside that by default. What it means in training, with options, is
in `slimnets.data.augmentation`.

Sources: [1] research/slim's inception, vgg and lenet preprocessing;
[2] torchvision's reference training and timm's create_transform; [3] the modes of
keras.applications.imagenet_utils.preprocess_input; [4] He et al., arXiv:1512.03385,
section 4.2, with the statistics of CIFAR-10's training images.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from slimnets.data.corruptions import Corruption
from slimnets.data.datasets import Dataset
from slimnets.data.geometry import Letterbox, View
from slimnets.data.input_config import AugmentationOptions
from slimnets.data.points import first_points

Values = Callable[[tf.Tensor], tf.Tensor]
LETTERBOX = "letterbox"
_WHOLE, _NOTHING = View(), AugmentationOptions()


def symmetric(images: tf.Tensor) -> tf.Tensor:
    """From 0 to 255 to -1 to 1, exactly for whole numbers of an 8x8 digit too."""
    return images / 127.5 - 1.0


def standardized(mean: tuple[float, ...], deviation: tuple[float, ...]) -> Values:
    """Subtracts the mean of each channel and divides by its standard deviation.

    Both are of values from 0 to 1. Images of one channel get the channels' averages.
    """

    def values(images: tf.Tensor) -> tf.Tensor:
        centre, scale = tf.constant(mean), tf.constant(deviation)
        if images.shape[-1] != len(mean):
            centre, scale = sum(mean) / len(mean), sum(deviation) / len(deviation)
        return (images / 255.0 - centre) / scale

    return values


def without_mean(mean: tuple[float, float, float], reverse: bool = False) -> Values:
    """Subtracts the mean of each channel, RGB of 0 to 255; `reverse` makes it BGR."""

    def values(images: tf.Tensor) -> tf.Tensor:
        if images.shape[-1] != 3:
            return images - sum(mean) / 3
        images = images - tf.constant(mean)
        return images[..., ::-1] if reverse else images

    return values


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """How images become the network's input.

    Attributes:
        name: a name from `preprocessing_names()`.
        view: what evaluation sees of an image.
        values: scales pixels from 0 to 255.
        training: what training does by default, beside `view` and `values`.
        boxes: whether its random crop keeps to the examples' bounding boxes.
        own: what else it does in training: `side` (a crop after resizing the shorter
            side at random), `colors` (inception's), `shift` or `rotate`.
        rank: of what it takes: 3 for one image, 2 for one cloud of points.
    """

    name: str
    view: View = _WHOLE
    values: Values = symmetric
    training: AugmentationOptions = _NOTHING
    boxes: bool = False
    own: str = ""
    rank: int = 3

    @tf.autograph.experimental.do_not_convert
    def prepare(
        self,
        images: tf.Tensor,
        image_size: int,
        value_range: tuple[float, float] = (0, 255),
    ) -> tf.Tensor:
        """What a network sees of images in evaluation.

        Args:
            images: `[batch, height, width, channels]`, or clouds `[batch, points,
                dims]`.
            image_size: height and width of the result, or its number of points.
            value_range: the smallest and largest value that a pixel may have.

        Returns:
            float32 `[batch, image_size, image_size, channels]`, or `[batch, image_size,
            dims]`.

        Raises:
            ValueError: if a cloud has fewer points.
        """
        if self.rank == 2:
            return first_points(images, image_size)
        return self.values(self.view(to_pixels(images, value_range), image_size))

    def with_crop_fraction(self, fraction: float | None) -> Preprocessing:
        """This recipe with another share of the sides; None for its own.

        Raises:
            ValueError: for a recipe that shows the whole image, or a fraction that is
                not above 0 and at most 1.
        """
        if fraction is None:
            return self
        if self.rank == 2 or self.view.crop_fraction is None:
            raise ValueError(
                f"eval_crop_fraction={fraction} is of no effect with "
                f"preprocessing_name={self.name}, which shows the whole of an example."
            )
        if not 0 < fraction <= 1:
            raise ValueError(f"eval_crop_fraction={fraction}; allowed is 0 < it <= 1.")
        view = dataclasses.replace(self.view, crop_fraction=fraction)
        return dataclasses.replace(self, view=view)

    def letterboxed(self, view: str = LETTERBOX) -> Preprocessing:
        """This recipe with the whole image, its sides' ratio kept; see `Letterbox`.

        Raises:
            ValueError: for a recipe of clouds, or another view.
        """
        if isinstance(self.view, Letterbox) and view == LETTERBOX:
            return self
        if self.rank == 2 or view != LETTERBOX:
            raise ValueError(
                f"Unknown preprocessing '{self.name}+{view}': allowed is a recipe of "
                f"images, followed by +{LETTERBOX}."
            )
        return dataclasses.replace(
            self, name=f"{self.name}+{LETTERBOX}", view=Letterbox()
        )

    def corrupted(self, corruption: Corruption | None) -> Preprocessing:
        """This recipe with a change of what is seen of an image, or None for none.

        Raises:
            ValueError: for a recipe of clouds.
        """
        if corruption is None:
            return self
        if self.rank == 2:
            raise ValueError(
                f"corruptions={corruption.name} is for images; preprocessing_name="
                f"{self.name} is for clouds of points."
            )
        values = self.values
        return dataclasses.replace(self, values=lambda x: values(corruption(x)))

    def for_dataset(self, dataset: Dataset) -> Preprocessing:
        """Returns itself; raises ValueError unless it fits the dataset's examples."""
        if self.rank != len(dataset.image_shape):
            fitting = dataset.default_preprocessing or "any other"
            raise ValueError(
                f"Preprocessing {self.name!r} does not fit {dataset.name!r}, whose "
                f"examples are of shape {dataset.image_shape}; {fitting!r} does."
            )
        return self

    def check_training(self, options: AugmentationOptions) -> None:
        """Raises ValueError for an option that this recipe cannot use."""
        given = options.given_options()
        unusable = [name for name in given if name != "repeated_augmentation"]
        if self.rank == 2 and unusable:
            raise ValueError(
                f"{unusable[0]}={given[unusable[0]]} is of no effect with "
                f"preprocessing_name={self.name}, which is for clouds of points."
            )
        if "random_crop_aspect" in given and not self.resolve(options).random_crop_area:
            raise ValueError(
                f"random_crop_aspect={options.random_crop_aspect} is of no effect with "
                f"preprocessing_name={self.name} without random_crop_area."
            )

    def resolve(self, options: AugmentationOptions) -> AugmentationOptions:
        """The options, with this recipe's own where they are None."""
        given = {**self.training.given_options(), **options.given_options()}
        return AugmentationOptions(**given)


def to_pixels(images: tf.Tensor, value_range: tuple[float, float]) -> tf.Tensor:
    """Scales values to float32 from 0 to 255."""
    low, high = value_range
    images = tf.cast(images, tf.float32)
    if (low, high) == (0, 255):
        return images
    return (images - low) * (255.0 / (high - low))


_SLIM_MEAN = (123.68, 116.78, 103.94)
_CAFFE_MEAN = (123.68, 116.779, 103.939)
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CIFAR_MEAN, CIFAR_DEVIATION = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
_CROP = AugmentationOptions(
    random_crop_area=0.08, random_crop_aspect=4 / 3, random_flip=True
)
_IMAGENET = standardized(IMAGENET_MEAN, IMAGENET_DEVIATION)
_TORCH = View(0.875, kernel="bilinear")

_PREPROCESSING = {
    recipe.name: recipe
    for recipe in (
        Preprocessing(
            "inception",  # [1]
            View(0.875, crop_first=True, kernel="legacy"),
            training=AugmentationOptions(
                random_crop_area=0.05, random_crop_aspect=1.33, random_flip=True
            ),
            boxes=True,
            own="colors",
        ),
        Preprocessing(
            "vgg",  # [1]
            View(0.875, kernel="legacy"),
            without_mean(_SLIM_MEAN),
            AugmentationOptions(random_flip=True),
            own="side",
        ),
        Preprocessing("torch", _TORCH, _IMAGENET, _CROP),  # [2], torchvision's
        Preprocessing("timm", View(0.875, kernel="bicubic"), _IMAGENET, _CROP),  # [2]
        Preprocessing("caffe", _TORCH, without_mean(_CAFFE_MEAN, True), _CROP),  # [3]
        Preprocessing("tf", _TORCH, symmetric, _CROP),  # [3]
        Preprocessing(
            "cifar",  # [4]
            values=standardized(CIFAR_MEAN, CIFAR_DEVIATION),
            training=AugmentationOptions(random_flip=True, pad_and_crop=4),
        ),
        Preprocessing("lenet", values=lambda images: (images - 128.0) / 128.0),  # [1]
        Preprocessing("plain"),
        Preprocessing("shift", own="shift"),
        Preprocessing("points", rank=2),
        Preprocessing("rotate_points", rank=2, own="rotate"),
    )
}


def preprocessing_names() -> list[str]:
    """The names that `--preprocessing_name` takes, sorted."""
    return sorted(_PREPROCESSING)


def get_preprocessing(name: str) -> Preprocessing:
    """The recipe called `name`, or `NAME+letterbox`, for the whole of a photo.

    Raises:
        ValueError: for an unknown one.
    """
    name, _, view = name.partition("+")
    if view:
        return get_preprocessing(name).letterboxed(view)
    if name not in _PREPROCESSING:
        raise ValueError(
            f"Unknown preprocessing {name!r}; there is "
            f"{', '.join(preprocessing_names())}."
        )
    return _PREPROCESSING[name]


def trained_crop_fraction(metadata: Mapping[str, Any], name: str) -> float | None:
    """The share of an image's sides that a run, or an export, sees in evaluation; None
    for the preprocessing's own, and for another preprocessing than theirs.

    Args:
        metadata: of the run or of the export.
        name: of the preprocessing.
    """
    known = {**metadata.get("config", {}), **metadata}
    own = name == known.get("preprocessing_name")
    return known.get("eval_crop_fraction") if own else None
