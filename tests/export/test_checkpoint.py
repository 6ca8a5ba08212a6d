"""`slimnets export`: a checkpoint with its metadata, averages and accuracy."""

import json

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets.checkpoints import save_weights
from slimnets.checkpoints.base import AVERAGE
from slimnets.cli.main import BAD_USAGE, OK, main
from slimnets.data.preprocessing import get_preprocessing
from slimnets.export import export_checkpoint, load
from slimnets.trained import open_trained
from tests.export.networks import randomize
from tests.export.test_formats import onnx_needed

OPTIONS = {"depth_multiplier": 0.25}


@pytest.fixture(scope="module")
def network():
    model = slimnets.Model("resnet_v1_cifar_20", num_classes=10, seed=0, **OPTIONS)
    model.build([None, 16, 16, 1])
    randomize(model)
    return model


@pytest.fixture
def checkpoint(network, tmp_path):
    """As training writes it, for the digits."""
    metadata = {
        "model_name": "resnet_v1_cifar_20",
        "network_options": OPTIONS,
        "num_classes": 10,
        "image_size": 16,
        "input_channels": 1,
        "preprocessing_name": "plain",
        "dataset_name": "digits",
        "label_names": [f"digit {index}" for index in range(10)],
        "config": {"max_bad_records": 1},
    }
    # Half of each value is as good as another, and tells the two apart.
    averages = {k + AVERAGE: v / 2 for k, v in network.variables_by_name.items()}

    def save(with_averages):
        values = {**network.variables_by_name, **(averages if with_averages else {})}
        return save_weights(str(tmp_path / "model.ckpt"), values, metadata)

    return save


def logits_of(path, images):
    return load(path)(images)["logits"]


def test_averages_are_exported_where_there_are_any(network, checkpoint, tmp_path, rng):
    images = rng.normal(size=[2, 16, 16, 1]).astype(np.float32)
    own = network(images).numpy()
    path, output = checkpoint(with_averages=False), tmp_path / "graph.pb"
    export_checkpoint(path, output, format="frozen_graph")
    np.testing.assert_allclose(logits_of(output, images), own, atol=1e-4)
    path = checkpoint(with_averages=True)
    export_checkpoint(path, output, format="frozen_graph")
    assert np.abs(logits_of(output, images) - own).max() > 1e-2
    assert load(output).metadata["averages"]
    export_checkpoint(path, output, format="frozen_graph", averages=False)
    np.testing.assert_allclose(logits_of(output, images), own, atol=1e-4)


def test_the_command_writes_a_model_its_labels_and_accuracies(
    checkpoint, tmp_path, capsys
):
    path, output = checkpoint(with_averages=False), tmp_path / "served"
    arguments = [f"--checkpoint_path={path}", f"--output={output}", "--measure"]
    assert main(["export", *arguments, "--format=saved_model", "--levels="]) == OK
    first, last = capsys.readouterr().out.strip().splitlines()
    assert "(+0.00 points, 360 test examples, of which 100.00 % get the same" in first
    assert last.startswith("saved_model in float32, ") and str(output) in last
    metadata = json.loads((tmp_path / "served.json").read_text())
    assert metadata["accuracy"]["images"] == 360
    assert metadata["outputs"] == ["logits", "probabilities"]
    labels = (tmp_path / "served.labels.txt").read_text()
    assert labels.splitlines()[3] == "3:digit 3"
    picture = tf.io.encode_png(np.zeros([8, 8, 1], np.uint8))
    encoded = tf.saved_model.load(str(output)).signatures["encoded"]
    assert encoded(tf.stack([picture]))["probabilities"].shape == [1, 10]


@pytest.mark.parametrize(
    "known, preprocessing, seen",
    [
        ({"eval_crop_fraction": 0.5}, None, 0.5),
        ({"config": {"eval_crop_fraction": 0.5}}, None, 0.5),
        ({"eval_crop_fraction": 0.5}, "caffe", None),
    ],
    ids=["weights", "run", "another preprocessing"],
)
def test_encoded_images_are_seen_as_by_evaluation_and_prediction(
    known, preprocessing, seen, tmp_path, rng
):
    model = slimnets.Model("lenet", num_classes=3, seed=0)
    model.build([None, 28, 28, 3])
    known = {**known, "preprocessing_name": "tf", "image_size": 28, "input_channels": 3}
    path = model.save(str(tmp_path / "net"), metadata=known)
    trained = open_trained(path, preprocessing=preprocessing)
    export_checkpoint(
        path, tmp_path / "out", format="saved_model", preprocessing=preprocessing
    )
    assert open_trained(tmp_path / "out").crop_fraction == trained.crop_fraction == seen
    picture = rng.integers(0, 256, [60, 40, 3], np.uint8)
    encoded = tf.saved_model.load(str(tmp_path / "out")).signatures["encoded"]
    logits = encoded(tf.stack([tf.io.encode_png(picture)]))["logits"]
    own = model(trained.prepare(picture))
    np.testing.assert_allclose(logits, own, atol=1e-5)
    whole = get_preprocessing(trained.preprocessing).prepare(
        picture[np.newaxis], 28, (0, 255)
    )
    assert (np.abs(model(whole) - own).max() > 1e-4) == (seen is not None)


@onnx_needed
def test_images_of_any_classes_calibrate(checkpoint, tmp_path, rng, capsys):
    for index in range(30):
        photo = tmp_path / "photos" / "abc"[index % 3] / f"{index}.png"
        photo.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)
        photo.write_bytes(tf.io.encode_png(pixels).numpy())
    photo.write_bytes(photo.read_bytes()[:60])  # Left out, as one was in training.
    flags = [
        f"--checkpoint_path={checkpoint(with_averages=False)}",
        f"--output={tmp_path}/small.onnx", "--precision=int8",
        "--calibration_images=24", "--dataset_name=folder",
        f"--dataset_dir={tmp_path}/photos",
    ]  # fmt: skip
    assert main(["export", *flags, "--nomeasure"]) == OK
    assert main(["export", *flags]) == BAD_USAGE
    assert "not in the dataset folder" in capsys.readouterr().err


@onnx_needed
def test_int8_tells_and_stores_how_the_accuracy_changes(checkpoint, tmp_path, capsys):
    path, output = checkpoint(with_averages=False), tmp_path / "small.onnx"
    arguments = [f"--checkpoint_path={path}", f"--output={output}", "--format=onnx"]
    small = ["--precision=int8", "--calibration_images=16"]
    assert main(["export", *arguments, *small]) == OK
    assert "points, 360 test examples, of which" in capsys.readouterr().out
    accuracy = json.loads((tmp_path / "small.onnx.json").read_text())["accuracy"]
    change = 100 * (accuracy["after"] - accuracy["before"])
    assert accuracy["change"] == pytest.approx(change)
    # Where both name the same class, both are right or both are wrong.
    assert 1 - abs(change) / 100 >= accuracy["same"] - 1e-9


@onnx_needed
def test_layers_stay_in_float_for_the_accuracy(checkpoint, tmp_path, capsys):
    path, output = checkpoint(with_averages=False), tmp_path / "small.onnx"
    arguments = [f"--checkpoint_path={path}", f"--output={output}", "--precision=int8"]
    small = ["--calibration_images=16", "--max_accuracy_drop=0"]
    assert main(["export", *arguments, *small]) == OK
    said = capsys.readouterr().out
    known = json.loads((tmp_path / "small.onnx.json").read_text())
    assert known["accuracy"]["change"] >= 0
    kept = known.get("float_layers", [])
    assert (f"with {', '.join(kept)} in float" in said) == bool(kept)


@pytest.mark.slow
def test_full_integer_tflite(checkpoint, tmp_path, rng):
    path, output = checkpoint(with_averages=False), tmp_path / "small.tflite"
    report, accuracies = export_checkpoint(
        path, output, format="tflite", precision="int8", measure=True
    )
    assert report.difference < 0.5 and accuracies.images == 360
    assert abs(accuracies.change) < 20


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--format=onnx", "--calibration_images=8"], "no effect without --precision"),
        (["--format=onnx", "--dataset_name=digits"], "no effect without --precision"),
        (["--format=onyx"], "onyx"),
        (
            ["--format=tflite", "--precision=int8", "--max_accuracy_drop=1"],
            "no effect without --fastest, or --precision=int8 in onnx or openvino",
        ),
        (
            ["--format=onnx", "--calibration_method=percentile"],
            "no effect without --precision=int8 in onnx or openvino",
        ),
        (["--output=out.exe"], "which is of no format; it may end in"),
    ],
)
def test_wrong_flags_are_told_before_anything_is_read(flags, message, capsys):
    paths = ["--checkpoint_path=nowhere", "--output=out.onnx"]
    assert main(["export", *paths, *flags]) == BAD_USAGE
    assert message in capsys.readouterr().err
