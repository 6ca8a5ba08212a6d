import numpy as np
import pytest

from slimnets.checkpoints import save_weights
from slimnets.data import labels


def test_imagenet_has_a_thousand_names_in_order():
    names = labels.imagenet_labels()
    assert len(names) == 1000 and names[0] == "tench, Tinca tinca"
    assert names[281] == "tabby, tabby cat" and names[999].startswith("toilet tissue")
    synsets = labels.imagenet_synsets()
    assert len(set(synsets)) == 1000 and list(synsets) == sorted(synsets)
    assert labels.imagenet_labels(background=True) == ("background", *names)


def test_predictions_are_decoded_best_first():
    predictions = np.zeros((2, 1000), np.float32)
    predictions[0, [3, 7, 5]] = [0.2, 0.5, 0.3]
    first, second = labels.decode_predictions(predictions, top=3)
    assert [p.index for p in first] == [7, 5, 3] and first[0].name == "cock"
    assert [p.index for p in second] == [0, 1, 2]
    with_background = labels.decode_predictions(np.eye(1001)[8:9], top=1)
    assert with_background == [[(8, "cock", 1.0)]]
    few = labels.decode_predictions([[0.1, 0.9]], labels=["no", "yes"])
    assert [p.name for p in few[0]] == ["yes", "no"]


@pytest.mark.parametrize(
    ("predictions", "options", "message"),
    [
        (np.zeros(1000), {}, r"\[batch, classes\]; got the shape \[1000\]"),
        (np.zeros((1, 1000)), {"top": 0}, "top=0"),
        (np.zeros((1, 10)), {}, "10 classes need as many labels"),
        (np.zeros((1, 3)), {"labels": ["a"]}, "3 classes need as many labels; 1"),
    ],
)
def test_what_cannot_be_decoded(predictions, options, message):
    with pytest.raises(ValueError, match=message):
        labels.decode_predictions(predictions, **options)


def test_files_of_labels(tmp_path):
    path = tmp_path / "labels.txt"
    labels.write_labels(path, ["daisy", "roses: red"])
    assert path.read_text() == "0:daisy\n1:roses: red\n"
    assert labels.read_labels(path) == ("daisy", "roses: red")
    path.write_text("1:b\n0:a\n\n")
    assert labels.read_labels(path) == ("a", "b")
    path.write_text("a\nb\n")
    assert labels.read_labels(path) == ("a", "b")
    for text, message in (("", "no names"), ("0:a\n2:b\n", "numbered from 0")):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            labels.read_labels(path)
    with pytest.raises(ValueError, match="more than one line"):
        labels.write_labels(path, ["a\nb"])


def test_a_checkpoint_has_its_labels(tmp_path):
    arrays = {"w": np.zeros(1, np.float32)}
    prefix = save_weights(tmp_path / "a", arrays)
    assert labels.labels_of(prefix) is None
    save_weights(prefix, arrays, {"num_classes": 1001})
    assert labels.labels_of(prefix)[:2] == ("background", "tench, Tinca tinca")
    save_weights(prefix, arrays, {"num_classes": 2, "label_names": ["x", "y"]})
    assert labels.labels_of(prefix) == ("x", "y")
    labels.write_labels(f"{prefix}.labels.txt", ["p", "q"])
    assert labels.labels_of(prefix) == ("p", "q")
