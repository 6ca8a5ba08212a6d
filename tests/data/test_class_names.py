"""Which logit is which class: by name where both sides have names."""

import pytest

from slimnets.data.class_names import is_background, logits_of_labels, names_of_logits
from slimnets.data.labels import imagenet_labels, imagenet_synsets
from slimnets.data.records import open_dataset

NAMES = ("cats", "dogs", "owls")


@pytest.mark.parametrize(
    ("labels", "logits", "number", "offset", "expected"),
    [
        (NAMES, NAMES, 3, 0, [0, 1, 2]),
        (("owls", "cats", "dogs"), NAMES, 3, 0, [2, 0, 1]),
        (("owls", "cats", "dogs"), ("background", *NAMES), 4, 0, [3, 1, 2]),
        (("background", *NAMES), ("Background", *NAMES), 4, 0, [0, 1, 2, 3]),
        (NAMES, None, 3, 0, [0, 1, 2]),
        (NAMES, ("0", "1", "2"), 3, 1, [0, 1, 2]),
        (("0", "1", "2"), ("background", *NAMES), 4, 1, [1, 2, 3]),
        (imagenet_synsets()[::-1], imagenet_labels(True), 1001, 0,
         [*range(1000, 0, -1)]),
    ],
)  # fmt: skip
def test_labels_find_their_logits(labels, logits, number, offset, expected):
    found = logits_of_labels(labels, logits, number, labels_offset=offset)
    assert found == expected


@pytest.mark.parametrize(
    ("labels", "logits", "number", "message"),
    [
        (("cats", "cows", "owls"), NAMES, 3, "cows of .* not in .*; dogs of .* not in"),
        (("cats", "owls"), NAMES, 3, "same: dogs of the network not in the dataset"),
        ((*NAMES, "apes"), NAMES, 3, "same: apes of the dataset not in the network"),
        (("cats", "cats", "owls"), NAMES, 3, "several classes of the name cats"),
        (NAMES, None, 4, "has 3 classes, but the network has 4"),
    ],
)
def test_classes_that_are_not_the_same_are_named(labels, logits, number, message):
    with pytest.raises(ValueError, match=message):
        logits_of_labels(labels, logits, number)


def test_names_are_as_many_as_logits_with_or_without_a_background():
    assert names_of_logits(NAMES, 3, "x") == NAMES
    assert names_of_logits(NAMES, 4, "x") == ("background", *NAMES)
    assert names_of_logits(("__background__", *NAMES), 3, "x") == NAMES
    assert names_of_logits(NAMES, None, "x") is names_of_logits(None, 3, "x") is None
    with pytest.raises(ValueError, match="x has 5 classes, but 3 names"):
        names_of_logits(NAMES, 5, "x")
    assert is_background("Background") and not is_background("back")


@pytest.mark.parametrize("layout", ["records", "flowers", "imagenet", "cifar10"])
@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("begins", [False, True])
def test_an_offset_moves_numbers_and_no_names(layout, offset, begins, tmp_path):
    file = {"records": "train-00000-of-00001.tfrecord", "imagenet":
            "train-00000-of-00001", "cifar10": "cifar10_train.tfrecord",
            "flowers": "flowers_train_00000-of-00001.tfrecord"}  # fmt: skip
    (tmp_path / file[layout]).write_bytes(b"")
    names = ("background", *NAMES) if begins else NAMES
    (tmp_path / "labels.txt").write_text("\n".join(names))
    found = open_dataset(layout, str(tmp_path), offset)
    # Labels of ImageNet count from 1, whether names have a class 0 or not.
    kept = offset == 0 and (begins or layout == "imagenet")
    assert found.label_names == (("background", *NAMES) if kept else NAMES)
    assert found.test_split == "train"  # There is no other.
