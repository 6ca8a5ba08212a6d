"""Predictions: rows equal the network's own, from every kind of input."""

import csv
import io
import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import slimnets
from slimnets.cli.main import main
from slimnets.tasks.classifiers import get_classifier
from slimnets.tasks.config import PredictionConfig
from slimnets.tasks.prediction import batches_of, find_input, write_predictions
from tests.helpers import write_png

LABELS = ["zero", "one", "two"]


@pytest.fixture
def folder(tmp_path, rng):
    """Seven pictures and a checkpoint of a small network."""
    for index in range(7):
        image = rng.integers(0, 256, [9 + index, 12, 3]).astype(np.uint8)
        where = "deep/" if index > 4 else ""
        write_png(tmp_path / "images" / f"{where}{index}.png", image)
    model = slimnets.Model("resnet18", num_classes=3, depth_multiplier=0.125, seed=1)
    model.build([None, 16, 16, 3])
    metadata = {"image_size": 16, "label_names": LABELS, "preprocessing_name": "plain"}
    model.save(tmp_path / "model", metadata=metadata)
    return tmp_path


def config(folder, **changes):
    values = {"input": str(folder / "images"), "checkpoint_path": str(folder / "model"),
              "batch_size": 3}  # fmt: skip
    return PredictionConfig(**{**values, **changes})


def network_of(path):
    model = slimnets.Model("resnet18", num_classes=3, depth_multiplier=0.125)
    model.build([None, 16, 16, 3])
    model.load(path)
    return model


def rows(folder, stdin=(), **changes):
    out = io.StringIO()
    number, bad, _ = write_predictions(config(folder, **changes), stdin, out)
    found = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert len(found) == number
    return found, bad


def test_images_of_several_folders_are_told_apart(folder):
    images = str(folder / "images")
    (alone, *_) = find_input([f"{images}/deep"])
    (one, *_, other) = find_input([f"{images}/0.png", f"{images}/deep"])
    assert alone.name == "5.png"
    assert one.name == f"{images}/0.png" and other.name == f"{images}/deep/6.png"


def test_rows_are_what_the_network_gives_whatever_the_batch(folder):
    classifier = get_classifier(config(folder))
    network = network_of(folder / "model")
    expected = {}
    for image in find_input(str(folder / "images")):
        logits = network(classifier.load(image)[np.newaxis])
        expected[image.name] = tf.nn.softmax(logits)[0].numpy()
    for batch_size in (1, 3, 100):
        found, bad = rows(folder, batch_size=batch_size, top=3)
        assert not bad and [row["image"] for row in found] == list(expected)
        for row in found:
            shares = expected[row["image"]]
            assert row["label"] == LABELS[shares.argmax()]
            values = [float(row[f"probability{i}"]) for i in ("", "2", "3")]
            np.testing.assert_allclose(values, -np.sort(-shares), rtol=1e-4)


def test_every_kind_of_input_gives_the_same_rows(folder):
    names = sorted(str(p) for p in (folder / "images").glob("*.png"))
    (folder / "list.txt").write_text("\n".join(names))
    found = [
        rows(folder, input=",".join(names))[0],
        rows(folder, input=str(folder / "images" / "*.png"))[0],
        rows(folder, input=str(folder / "list.txt"))[0],
        rows(folder, input="-", stdin=[f"{name}\n" for name in names])[0],
    ]
    assert len(found[0]) == 5 and all(other == found[0] for other in found)
    with_comma = folder / "images" / "a,b.png"
    shutil.copy(names[0], with_comma)
    (row,), _ = rows(folder, input=str(with_comma))
    assert row == found[0][0] | {"image": str(with_comma)}


def test_json_lines_go_to_a_file_that_is_whole_or_not_there(folder):
    path = folder / "rows.jsonl"
    number, *_ = write_predictions(
        config(folder, output=str(path), format="jsonl", top=2)
    )
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == number == 7
    best = lines[0]["predictions"]
    assert set(best[0]) == {"index", "label", "probability"} and len(best) == 2
    assert LABELS[best[0]["index"]] == best[0]["label"]
    (folder / "images" / "z.png").write_bytes(b"no image")
    path.unlink()
    with pytest.raises(ValueError, match=r"1 bad images.*max_bad_records=0.*z\.png"):
        write_predictions(config(folder, output=str(path)))
    assert not list(folder.glob("rows*"))


def test_bad_images_are_counted_and_left_out(folder):
    (folder / "images" / "2.png").write_bytes(b"no image")
    found, bad = rows(folder, max_bad_records=1)
    assert len(found) == 6 and len(bad) == 1 and "2.png" in bad[0]


def test_memory_is_bounded():
    """However long the input, no more than three batches are read ahead."""
    read, given = [], []
    images = iter(range(1000))
    for batch in batches_of(images, lambda i: read.append(i) or i, 4):
        given += batch
        assert len(read) - (len(given) - 4) <= 12
        if len(given) >= 100:
            break
    assert [value for _, value in given] == list(range(100))
    assert next(images) < 120


def test_averages_are_what_predicts(folder):
    model = slimnets.Model("resnet18", num_classes=3, depth_multiplier=0.125, seed=2)
    model.build([None, 16, 16, 3])
    average = {f"{n}/ExponentialMovingAverage": v for n, v in
               model.variables_by_name.items()}  # fmt: skip
    first = network_of(folder / "model").variables_by_name
    reader = slimnets.checkpoints.read_checkpoint(folder / "model")
    slimnets.save_weights(folder / "both", {**first, **average}, reader.metadata)
    model.save(folder / "average", metadata=reader.metadata)
    paths = (str(folder / "both"), str(folder / "average"))
    found = [rows(folder, checkpoint_path=path, top=3) for path in paths]
    assert found[0] == found[1] != rows(folder, top=3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "xml"}, "csv, jsonl"),
        ({"top": 0}, "top=0 must be at least 1"),
        ({"input": "/none/*.png"}, "no file or folder /none"),
        ({"checkpoint_path": "/none"}, "no checkpoint /none"),
        ({"checkpoint_path": None}, "one of checkpoint_path and exported_path"),
        ({"exported_path": "/none.onnx"}, "one of checkpoint_path and exported_path"),
    ],
)
def test_wrong_settings_are_explained(folder, changes, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        write_predictions(config(folder, **changes))


def test_what_is_left_out_is_said_and_is_a_failure_with_strict(folder, capsys):
    raw = os.fsdecode(b"caf\xe9.png")
    images = folder / "images"
    (images / "0.png").rename(images / raw)
    (images / "notes.txt").write_text("no image")
    (images / ".hidden.png").write_text("no image")
    output = folder / "rows.csv"
    flags = [f"--input={images}", f"--checkpoint_path={folder / 'model'}"]
    for command, out, strict, code in (
        ("predict", output, "--strict", 1),
        ("predict", output, "--nostrict", 0),
        ("features", folder / "vectors", "--strict", 1),
    ):
        assert main([command, *flags, f"--output={out}", strict]) == code
        said = capsys.readouterr().err
        assert "left out 1 file, which is no image: notes.txt" in said
        assert "hidden" not in said
    assert b"caf\xe9.png," in output.read_bytes()
    with np.load(folder / "vectors" / "features-00000.npz") as arrays:
        assert raw in arrays["names"].tolist() and len(arrays["names"]) == 7
    (images / "notes.txt").unlink()
    assert main(["predict", *flags, f"--output={output}", "--strict"]) == 0
    assert main(["predict", *flags, f"--output={output}", "--format=jsonl"]) == 0
    names = [json.loads(line)["image"] for line in output.read_text().splitlines()]
    assert raw in names


def test_photos_are_predicted_upright_unless_it_is_switched_off(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.random.default_rng(0).integers(0, 256, (9, 12, 3)).astype(np.uint8)
    path = folder / "photo.png"
    Image.fromarray(pixels).save(path, exif=exif)
    for switch, turns in ((None, 3), (True, 3), (False, 0)):
        classifier = get_classifier(config(folder, exif_orientation=switch))
        (image,) = find_input(str(path))
        Image.fromarray(np.rot90(pixels, turns)).save(folder / "turned.png")
        (turned,) = find_input(str(folder / "turned.png"))
        np.testing.assert_array_equal(classifier.load(image), classifier.load(turned))
