"""What an InputConfig accepts, and its flags."""

import dataclasses

import numpy as np
import pytest

from slimnets import data
from slimnets.cli import command, setting_flags
from slimnets.data.input_config import AugmentationOptions, InputConfig
from tests.helpers import write_png


def test_flags_are_the_fields_with_their_defaults():
    fields = {field.name: field.default for field in dataclasses.fields(InputConfig)}
    values = command.defined(setting_flags.of(InputConfig))
    values(["x"])
    assert {name: values[name].value for name in fields} == fields
    InputConfig(**{name: values[name].value for name in fields}).check_input()


def test_the_network_decides_what_nothing_else_does(tmp_path):
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Run(InputConfig):
        model_name: str

    run = Run(model_name="resnet_v2_50")
    assert run.preprocessing == "shift" and run.image_size == 224
    assert run.evaluation_size == 224 and run.train_split == "train"
    for name in ("a", "b"):
        write_png(tmp_path / name / "1.png", np.zeros((2, 2, 3), np.uint8))
    options = {"dataset_name": "folder", "dataset_dir": str(tmp_path)}
    for model, own in (
        ("resnet_v2_50", "inception"), ("keras_resnet50", "caffe"),
        ("resnet_v2_cifar_20", "cifar"),
    ):  # fmt: skip
        assert Run(model_name=model, **options).preprocessing == own
    assert InputConfig(**options).preprocessing == "inception"
    with pytest.raises(ValueError, match="no default image size; set train_image_size"):
        assert InputConfig(**options).image_size


WRONG = [
    ({"dataset_name": "digit"}, "Unknown dataset 'digit'. Did you mean digits"),
    ({"dataset_dir": "/x"}, "dataset_dir=/x is of no effect with dataset_name=digits"),
    ({"dataset_name": "imagenet"}, "dataset_name=imagenet needs dataset_dir"),
    ({"dataset_split_name": "val"}, "has no split 'val'"),
    ({"labels_offset": 1}, "labels_offset=1 is of no effect with dataset_name=digits"),
    ({"max_bad_records": 1}, "max_bad_records=1 is of no effect with.*digits"),
    ({"exif_orientation": False}, "exif_orientation=False is of no effect with.*digit"),
    ({"max_bad_records": -1}, "max_bad_records=-1 must be at least 0"),
    ({"train_image_size": 0}, "train_image_size=0 must be at least 1"),
    ({"preprocessing_name": "vgh"}, "Unknown preprocessing 'vgh'"),
    ({"preprocessing_name": "points"}, "'points' does not fit 'digits'"),
    ({"eval_crop_fraction": 0.9}, "eval_crop_fraction=0.9 is of no effect with.*shift"),
    ({"random_crop_area": 1.1}, "random_crop_area=1.1 must be in .0, 1."),
    ({"random_crop_aspect": 2.0}, "random_crop_aspect=2.0 is of no effect with.*shift"),
    ({"color_jitter": -0.1}, "color_jitter=-0.1"),
    ({"autoaugment": "svhn"}, "'svhn' is not one of imagenet, cifar10"),
    (
        {"autoaugment": "cifar10", "randaugment_layers": 2},
        "autoaugment=cifar10 and randaugment_layers=2 exclude",
    ),
    ({"randaugment_magnitude": 5.0}, "randaugment_magnitude=5.0 is of no effect"),
    ({"randaugment_magnitude_stddev": 0.5}, "stddev=0.5 is of no effect"),
    (
        {"dataset_name": "shapes", "mixup_alpha": 1.0},
        "mixup_alpha=1.0 is of no effect with preprocessing_name=rotate_points",
    ),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_what_does_not_fit_is_explained(options, message):
    with pytest.raises(ValueError, match=message):
        InputConfig(**options).check_input()


# One value for each option, that digits of any preprocessing for images can use.
OPTIONS = {
    "random_crop_area": 0.3,
    "random_crop_aspect": 1.5,
    "random_flip": True,
    "pad_and_crop": 2,
    "autoaugment": "cifar10",
    "randaugment_layers": 1,
    "randaugment_magnitude": 10.0,
    "randaugment_magnitude_stddev": 4.0,
    "color_jitter": 0.5,
    "random_erasing": 1.0,
    "mixup_alpha": 1.0,
    "cutmix_alpha": 1.0,
    "repeated_augmentation": 2,
}
NEEDS = {
    "random_crop_aspect": {"random_crop_area": 0.3},
    "randaugment_magnitude": {"randaugment_layers": 1},
    "randaugment_magnitude_stddev": {"randaugment_layers": 1},
}


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_changes_what_training_sees(option):
    def batch(**options):
        config = InputConfig(train_image_size=8, preprocessing_name="plain", **options)
        config.check_input()
        return next(iter(data.training_batches(config, batch_size=8, seed=1)))

    needed = NEEDS.get(option, {})
    images, _ = batch(**needed, **{option: OPTIONS[option]})
    assert not (images.numpy() == batch(**needed)[0].numpy()).all()
    again, _ = batch(**needed, **{option: OPTIONS[option]})
    assert (images.numpy() == again.numpy()).all()
    names = {field.name for field in dataclasses.fields(AugmentationOptions)}
    assert set(OPTIONS) == names
