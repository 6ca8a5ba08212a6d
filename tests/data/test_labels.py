import numpy as np
import pytest

from slimnets.checkpoints import save_weights
from slimnets.data import get_dataset, labels
from slimnets.data.labels import read_labels
from tests.reliability.kinds_of_records import example, write_records


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


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"\xef\xbb\xbf1:owls\r\n0:cats\r\n", ("cats", "owls")),
        (b"\xef\xbb\xbfcats\rb\xc3\xbccher\r", ("cats", "b\u00fccher")),
        ("a\u2028b\nc\x0cd\n".encode(), ("a\u2028b", "c\x0cd")),
    ],
)
def test_text_of_any_system_is_read(content, names, tmp_path):
    (tmp_path / "labels.txt").write_bytes(content)
    assert read_labels(tmp_path / "labels.txt") == names


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("cats\nb\u00fccher".encode("latin-1"), "line 2 has the byte 0xFC, as in Wind"),
        ("0:caf\u00e9\n".encode("cp1252"), "line 1 has the byte 0xE9"),
        ("cats".encode("utf-16"), "but UTF-16; save it as UTF-8"),
        ("cats".encode("utf-16-le"), "but UTF-16, or no text"),
        ("cats".encode("utf-32"), "but UTF-32; save it as UTF-8"),
        (b"0:cats\ndogs\n2:owls\n", "2 are numbered and others are not, such as 'dog"),
        (b"1:cats\n2:dogs\n", "they are from 1 to 2"),
        (b"0:cats\n0:dogs\n", "not numbered from 0 to 1, each once"),
        (b"\xef\xbb\xbf\r\n", "holds no names"),
    ],
)
def test_text_that_would_be_read_wrongly_is_refused(content, message, tmp_path):
    (tmp_path / "labels.txt").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_labels(tmp_path / "labels.txt")


@pytest.mark.parametrize(
    ("content", "offset", "names"),
    [
        ("cat\ndog\nowl\n", 0, ("cat", "dog", "owl")),
        ("cat\ndog\nowl\n", 1, ("cat", "dog", "owl")),
        ("0:cat\n1:dog\n2:owl\n", 1, ("cat", "dog", "owl")),
        ("1:cat\n2:dog\n3:owl\n", 1, ("cat", "dog", "owl")),
        ("background\ncat\ndog\nowl\n", 1, ("cat", "dog", "owl")),
        ("background\ncat\ndog\nowl\n", 0, ("background", "cat", "dog", "owl")),
    ],
)
def test_an_offset_shifts_numbers_and_never_names(content, offset, names, tmp_path):
    write_records(str(tmp_path), [example()])
    (tmp_path / "labels.txt").write_text(content)
    options = {"dataset_dir": str(tmp_path), "labels_offset": offset}
    assert get_dataset("records", **options).label_names == names
