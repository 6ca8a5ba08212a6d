"""Everything that decides a network's input, and the check of it before a run starts.

The command line reads the defaults from here for its help. So that help comes at once,
this module imports TensorFlow only when a config is checked.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

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
# What a network without a protocol of its own gets of pictures that have none either.
FALLBACK = "inception"


@dataclasses.dataclass(frozen=True, kw_only=True)
class AugmentationOptions:
    """What training does to images beside evaluation's protocol.

    None takes the preprocessing's own (`Preprocessing.training` says which); 0, or
    False, is off. Images are changed in the order of the attributes.

    Attributes:
        random_crop_area: the smallest share of an image's area that a random crop may
            have, which is then resized to the network's input; 0 for evaluation's view.
        random_crop_aspect: how much wider than high, or higher than wide, the crop may
            be.
        random_flip: whether half of the images are mirrored left to right.
        pad_and_crop: by how many pixels images are moved at most, each way; what comes
            in is black.
        autoaugment: a policy of AutoAugment, one of POLICIES.
        randaugment_layers: how many operations of RandAugment an image goes through.
        randaugment_magnitude: their strength, 0 to 10; 9 by default.
        randaugment_magnitude_stddev: by how much it varies from operation to
            operation.
        color_jitter: by which share brightness, contrast and saturation change at
            most. A preprocessing's own change of colors is left out beside AutoAugment
            and RandAugment.
        random_erasing: the probability with which a rectangle is erased.
        mixup_alpha: of the beta distribution from which mixup draws its shares.
        cutmix_alpha: the same of cutmix; with both, either half of the time.
        repeated_augmentation: how often an image stands in a batch, augmented anew.
    """

    random_crop_area: float | None = None
    random_crop_aspect: float | None = None
    random_flip: bool | None = None
    pad_and_crop: int | None = None
    autoaugment: str | None = None
    randaugment_layers: int | None = None
    randaugment_magnitude: float | None = None
    randaugment_magnitude_stddev: float | None = None
    color_jitter: float | None = None
    random_erasing: float | None = None
    mixup_alpha: float | None = None
    cutmix_alpha: float | None = None
    repeated_augmentation: int | None = None

    def given_options(self) -> dict[str, Any]:
        """The augmentation options that are not None."""
        names = [field.name for field in dataclasses.fields(AugmentationOptions)]
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}

    def check_options(self) -> None:
        """Raises ValueError for a value out of range, or of no effect beside others."""
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise ValueError(
                    f"{name}={value}; allowed is {least} to {most}, or none."
                )
        if self.autoaugment and self.autoaugment not in POLICIES:
            raise ValueError(
                f"autoaugment={self.autoaugment!r} is not one of {', '.join(POLICIES)}."
            )
        if self.autoaugment and self.randaugment_layers:
            raise ValueError(
                f"autoaugment={self.autoaugment} and "
                f"randaugment_layers={self.randaugment_layers} exclude each other."
            )
        for name in ("randaugment_magnitude", "randaugment_magnitude_stddev"):
            value = getattr(self, name)
            if value is not None and not self.randaugment_layers:
                raise ValueError(
                    f"{name}={value} is of no effect without randaugment_layers."
                )


@dataclasses.dataclass(frozen=True, kw_only=True)
class InputConfig(AugmentationOptions):
    """What a network sees, by values that JSON and a command line can hold.

    Attributes:
        dataset_name: a name that `get_dataset` takes.
        dataset_dir: where a dataset on disk lies.
        dataset_split_name: the split to train on; the dataset's own by default.
        labels_offset: what is subtracted from the labels in record files; by default 1
            for imagenet, whose records count from 1, else 0.
        records_pattern, image_feature, label_feature: see `get_dataset`.
        train_image_size: height and width of the images in training.
        eval_image_size: the same in evaluation; train_image_size by default.
        preprocessing_name: a name from `data.preprocessing_names()`; by default the
            dataset's, else the network's own.
        eval_crop_fraction: the share of an image's sides that evaluation sees; by
            default the preprocessing's.
        exif_orientation: whether photos on disk are turned upright, as EXIF says.
        max_bad_records: how many examples that cannot be used are left out before the
            run stops.
        balanced_sampling: whether training sees every class as often, the images of a
            small one more often than those of a large one; see `data.orders`.
    """

    dataset_name: str = "digits"
    dataset_dir: str | None = None
    dataset_split_name: str | None = None
    labels_offset: int | None = None
    records_pattern: str | None = None
    image_feature: str | None = None
    label_feature: str | None = None
    train_image_size: int | None = None
    eval_image_size: int | None = None
    preprocessing_name: str | None = None
    eval_crop_fraction: float | None = None
    exif_orientation: bool = True
    max_bad_records: int = 0
    balanced_sampling: bool = False

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

        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name}={value} must be at least {least}.")
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


_RANGES = {
    "random_crop_area": (0, 1),
    "random_crop_aspect": (1, 10),
    "pad_and_crop": (0, 256),
    "randaugment_layers": (0, 10),
    "randaugment_magnitude": (0, 10),
    "randaugment_magnitude_stddev": (0, 10),
    "color_jitter": (0, 1),
    "random_erasing": (0, 1),
    "mixup_alpha": (0, 100),
    "cutmix_alpha": (0, 100),
    "repeated_augmentation": (0, 64),
}

_LEAST = {
    "train_image_size": 1,
    "eval_image_size": 1,
    "labels_offset": 0,
    "max_bad_records": 0,
}
