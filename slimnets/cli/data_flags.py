"""Flags of InputConfig's fields of the same name, which have the defaults."""

import dataclasses

from absl import flags

from slimnets.cli.network_flags import EXIF_ORIENTATION
from slimnets.data.input_config import InputConfig

DATASETS = (
    "digits or shapes; on disk folder, list (a table path,label), npz, tfds:NAME, "
    "mnist or fashion_mnist as their authors' files, or imagenet, flowers, cifar10, "
    "mnist or records as record files"
)

# Kind, name, help.
FIELDS = (
    ("string", "dataset_name", f"Name of the dataset: {DATASETS}."),
    ("string", "dataset_dir", "Where a dataset on disk lies: the directory of its "
     "record files, the folder of one sub-folder per class, a list, the .npz file."),
    ("string", "dataset_split_name", "The split to train on; the dataset's own by "
     "default."),
    ("integer", "labels_offset", "Subtracted from the labels in record files; 1 for "
     "imagenet by default, 0 keeps its background class."),
    ("string", "records_pattern", "Of dataset_name=records: which files these are, as "
     "coco_{split}-*.tfrecord; what stands for {split} names the splits."),
    ("string", "image_feature", "Of record files: the feature with the encoded image; "
     "image/encoded by default."),
    ("string", "label_feature", "Of record files: the feature with the label, or the "
     "labels, as numbers or texts; image/class/label by default."),
    ("integer", "train_image_size", "Height and width of the images in training; the "
     "network's default size by default."),
    ("integer", "eval_image_size", "Height and width of the images in evaluation; "
     "train_image_size by default."),
    ("string", "preprocessing_name", "How images become the network's input; the "
     "dataset's or the network's own by default."),
    ("float", "eval_crop_fraction", "The share of an image's sides that evaluation "
     "sees; the preprocessing's by default."),
    EXIF_ORIENTATION,
    ("integer", "max_bad_records", "How many examples that cannot be used are left "
     "out before the run stops."),
    ("boolean", "balanced_sampling", "See every class as often in training, images of "
     "small classes more often than those of large ones."),
    ("float", "random_crop_area", "Smallest share of the image's area in a random "
     "crop; 0 for none."),
    ("float", "random_crop_aspect", "Widest aspect ratio of a random crop."),
    ("boolean", "random_flip", "Mirror half of the images left to right."),
    ("integer", "pad_and_crop", "Move images by up to as many pixels."),
    ("string", "autoaugment", "Policy of AutoAugment: imagenet or cifar10."),
    ("integer", "randaugment_layers", "Operations of RandAugment for each image."),
    ("float", "randaugment_magnitude", "Strength of RandAugment, 0 to 10; 9 by "
     "default."),
    ("float", "randaugment_magnitude_stddev", "By how much that strength varies from "
     "operation to operation; not at all by default."),
    ("float", "color_jitter", "Share by which brightness, contrast and saturation "
     "change at most."),
    ("float", "random_erasing", "Probability with which a rectangle is erased."),
    ("float", "mixup_alpha", "Parameter of the beta distribution that mixup draws "
     "shares from; no mixup by default."),
    ("float", "cutmix_alpha", "Parameter of the beta distribution that cutmix draws "
     "shares from; with mixup, either half of the time; no cutmix by default."),
    ("integer", "repeated_augmentation", "How often an image stands in a batch."),
)  # fmt: skip
NAMES = tuple(name for _, name, _ in FIELDS)


def define_input(flag_values: flags.FlagValues) -> None:
    """Defines a flag for every field of InputConfig, with the field's default."""
    defaults = {field.name: field.default for field in dataclasses.fields(InputConfig)}
    for kind, name, text in FIELDS:
        define = getattr(flags, f"DEFINE_{kind}")
        define(name, defaults[name], text, flag_values=flag_values)
