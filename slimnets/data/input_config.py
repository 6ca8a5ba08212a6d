"""Everything that decides a network's input, and the check of it before a run starts.

The command line reads the defaults from here for its help. So that help comes at once,
this module imports TensorFlow only when a config is checked.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from slimnets.settings import AUGMENTATION, DATA, check, documented, setting

if TYPE_CHECKING:
    from slimnets.data import Dataset

POLICIES = ("imagenet", "cifar10")
# The settings that `get_dataset` takes.
OF_DATASETS = (
    "dataset_dir", "labels_offset", "records_pattern", "image_feature", "label_feature",
)  # fmt: skip
# Datasets of boxes or masks, and the modules of `slimnets.data` that open them.
ANNOTATED = {
    "coco": {"boxes": "coco_files"},
    "voc": {"boxes": "voc_files", "masks": "mask_files"},
    "masks": {"masks": "mask_files"},
    "records": {"boxes": "annotated_records", "masks": "annotated_records"},
}
# The images that are composed of digits as training goes, for either.
COMPOSED = "digits"
# What a network without a protocol of its own gets of pictures that have none either.
FALLBACK = "inception"


@documented
@dataclasses.dataclass(frozen=True, kw_only=True)
class AugmentationOptions:
    """What training does to images beside evaluation's protocol.

    None takes the preprocessing's own (`Preprocessing.training` says which); 0, or
    False, is off. Images are changed in the order of the attributes.
    """

    # fmt: off
    random_crop_area: float | None = setting(None, AUGMENTATION, "Smallest share of "
        "the image's area in a random crop, which is then resized to the network's "
        "input; 0 for evaluation's view.", least=0, most=1)
    random_crop_aspect: float | None = setting(None, AUGMENTATION, "Widest aspect "
        "ratio of a random crop, and the inverse of its narrowest.", least=1, most=10)
    random_flip: bool | None = setting(None, AUGMENTATION, "Mirror half of the images "
        "left to right.")
    pad_and_crop: int | None = setting(None, AUGMENTATION, "Move images by up to as "
        "many pixels, each way; what comes in is black.", least=0, most=256)
    autoaugment: str | None = setting(None, AUGMENTATION, "Policy of AutoAugment.",
        choices=POLICIES)
    randaugment_layers: int | None = setting(None, AUGMENTATION, "Operations of "
        "RandAugment for each image.", least=0, most=10)
    randaugment_magnitude: float | None = setting(None, AUGMENTATION, "Strength of "
        "RandAugment; 9 by default.", least=0, most=10, needs="randaugment_layers")
    randaugment_magnitude_stddev: float | None = setting(None, AUGMENTATION, "By how "
        "much that strength varies from operation to operation; not at all by "
        "default.", least=0, most=10, needs="randaugment_layers")
    color_jitter: float | None = setting(None, AUGMENTATION, "Share by which "
        "brightness, contrast and saturation change at most. A preprocessing's own "
        "change of colors is left out beside AutoAugment and RandAugment.",
        least=0, most=1)
    random_erasing: float | None = setting(None, AUGMENTATION, "Probability with which "
        "a rectangle is erased.", least=0, most=1)
    mixup_alpha: float | None = setting(None, AUGMENTATION, "Parameter of the beta "
        "distribution that mixup draws shares from; no mixup by default.",
        least=0, most=100)
    cutmix_alpha: float | None = setting(None, AUGMENTATION, "Parameter of the beta "
        "distribution that cutmix draws shares from; with mixup, either half of the "
        "time; no cutmix by default.", least=0, most=100)
    repeated_augmentation: int | None = setting(None, AUGMENTATION, "How often an "
        "image stands in a batch, augmented anew.", least=0, most=64)
    # fmt: on

    def given_options(self) -> dict[str, Any]:
        """The augmentation options that are not None."""
        names = [field.name for field in dataclasses.fields(AugmentationOptions)]
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}

    def check_options(self) -> None:
        """Raises ValueError for a value out of range, or of no effect beside others."""
        check(self)
        if self.autoaugment and self.randaugment_layers:
            raise ValueError(
                f"autoaugment={self.autoaugment} and "
                f"randaugment_layers={self.randaugment_layers} exclude each other."
            )


@documented
@dataclasses.dataclass(frozen=True, kw_only=True)
class InputConfig(AugmentationOptions):
    """What a network sees, by values that JSON and a command line can hold."""

    # fmt: off
    dataset_name: str = setting("digits", DATA, "Name of the dataset: digits or "
        "shapes; on disk folder, list (a table path,label), npz, tfds:NAME, mnist or "
        "fashion_mnist as their authors' files, or imagenet, flowers, cifar10, mnist "
        "or records as record files; or one that register_dataset added.")
    dataset_dir: str | None = setting(None, DATA, "Where a dataset on disk lies: the "
        "directory of its record files, the folder of one sub-folder per class "
        "(cat;dog for images of both), a list, the .npz file.")
    dataset_split_name: str | None = setting(None, DATA, "The split to train on; the "
        "dataset's own by default.")
    labels_offset: int | None = setting(None, DATA, "Subtracted from the labels in "
        "record files; 1 for imagenet by default, 0 keeps its background class.",
        least=0)
    train_image_size: int | None = setting(None, DATA, "Height and width of the images "
        "in training; the network's default size by default.", least=1)
    eval_image_size: int | None = setting(None, DATA, "Height and width of the images "
        "in evaluation; train_image_size by default.", least=1)
    preprocessing_name: str | None = setting(None, DATA, "How images become the "
        "network's input; the dataset's or the network's own by default.")
    eval_crop_fraction: float | None = setting(None, DATA, "The share of an image's "
        "sides that evaluation sees; the preprocessing's by default.")
    exif_orientation: bool = setting(True, DATA, "Turn photos upright, as their EXIF "
        "says.")
    max_bad_records: int = setting(0, DATA, "How many examples that cannot be used are "
        "left out before the run stops.", least=0)
    records_pattern: str | None = setting(None, DATA, "Of the dataset records: which "
        "files these are, as coco_{split}-*.tfrecord; what stands for {split} names "
        "the splits.")
    image_feature: str | None = setting(None, DATA, "Of record files: the feature with "
        "the encoded image; image/encoded by default.")
    label_feature: str | None = setting(None, DATA, "Of record files: the feature with "
        "the label, or the labels, as numbers or texts; image/class/label by default.")
    balanced_sampling: bool = setting(False, DATA, "See every class as often in "
        "training, images of small classes more often than those of large ones.")
    # fmt: on

    @functools.cached_property
    def dataset(self) -> Dataset:
        """The dataset, opened when it is first asked for."""
        from slimnets.data import get_dataset

        options = {name: getattr(self, name) for name in OF_DATASETS}
        dataset = get_dataset(self.dataset_name, **options)
        return dataclasses.replace(dataset, exif_orientation=self.exif_orientation)

    @property
    def preprocessing(self) -> str:
        """The name of what makes the network's input of images."""
        info = self._input_network()
        own = info.preprocessing if info else ""
        named = self.preprocessing_name or self.dataset.default_preprocessing
        return named or own or FALLBACK

    @property
    def image_size(self) -> int:
        """Height and width of the images in training."""
        info = self._input_network()
        size = self.train_image_size or (info and info.default_image_size)
        if not size:
            whose = f"{info.name} has" if info else "There is"
            raise ValueError(f"{whose} no default image size; set train_image_size.")
        return size

    @property
    def evaluation_size(self) -> int:
        """Height and width of the images in evaluation."""
        return self.eval_image_size or self.image_size

    @property
    def train_split(self) -> str:
        """The split to train on."""
        return self.dataset_split_name or self.dataset.train_split

    def check_input(self) -> None:
        """Raises ValueError, or FileNotFoundError, for what cannot be read or meant.

        That is a value out of range, an option without effect on the chosen dataset or
        preprocessing, a dataset that is not there or has missing files, and an unknown
        split.
        """
        from slimnets.data import get_preprocessing

        self.check_options()
        self.dataset.check_split(self.train_split)
        if self.max_bad_records and not self.dataset.on_disk:
            raise ValueError(
                f"max_bad_records={self.max_bad_records} is of no effect with "
                f"dataset_name={self.dataset_name}, which is in memory."
            )
        if not self.exif_orientation and not self.dataset.on_disk:
            raise ValueError(
                f"exif_orientation={self.exif_orientation} is of no effect with "
                f"dataset_name={self.dataset_name}, which has no photos on disk."
            )
        recipe = get_preprocessing(self.preprocessing).for_dataset(self.dataset)
        recipe.check_training(self)
        if self.eval_crop_fraction is not None:
            recipe.with_crop_fraction(self.eval_crop_fraction)

    def _input_network(self) -> Any:
        """What is known of the network, if a config of this kind names one."""
        from slimnets import factory

        name = getattr(self, "model_name", None)
        return factory.network_info(name) if name else None
