"""Embeddings: shards equal the network's own output, and survive a kill."""

import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets.data.image_files import BadImage, find_images
from slimnets.tasks.config import EmbeddingConfig
from slimnets.tasks.embedding import write_embeddings
from tests.helpers import save_cifar_network, write_png

ROOT = pathlib.Path(__file__).parents[2]
NUMBER = 23
SIZE = 16


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    sizes = rng.integers(12, 20, (NUMBER, 2))
    return [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, pictures):
    folder = tmp_path_factory.mktemp("images")
    (folder / "sub").mkdir()
    for number, picture in enumerate(pictures):
        path = folder / ("sub" if number % 2 else "") / f"{number:03d}.png"
        write_png(path, picture)
    (folder / "notes.md").write_text("no image")
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save_cifar_network(tmp_path_factory.mktemp("run"), SIZE, 4)


@pytest.fixture
def config(folder, checkpoint, tmp_path):
    def make(**changes):
        values = {
            "input": str(folder), "output": str(tmp_path / "out"), "batch_size": 4,
            "checkpoint_path": str(checkpoint), "shard_size": 10,
        }  # fmt: skip
        return EmbeddingConfig(**{**values, **changes})

    return make


def digests(directory):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in pathlib.Path(directory).iterdir()
    }


def manifest_of(config):
    return json.loads(pathlib.Path(config.output, "features.json").read_text())


def records(path):
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        yield tf.train.Example.FromString(record).features.feature


def write_records(path, encoded):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for value in encoded:
            feature = {"image/encoded": tf.train.Feature(bytes_list={"value": [value]})}
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())


def test_shards_hold_what_the_network_gives(config, folder, checkpoint):
    result = write_embeddings(config(), show=False)
    assert (result.images, result.written, result.bad) == (NUMBER, 3, [])
    parts = [np.load(path) for path in result.shards]
    assert [len(part["names"]) for part in parts] == [10, 10, 3]
    names = np.concatenate([part["names"] for part in parts])
    assert list(names) == sorted(names) and "sub/001.png" in names
    assert list(parts[2]["index"]) == [20, 21, 22]
    model = slimnets.Model("resnet_v2_cifar_20", num_classes=4)
    model.build([None, SIZE, SIZE, 3])
    slimnets.load_weights(checkpoint, model)
    for name, embedding in zip(parts[1]["names"], parts[1]["embeddings"], strict=True):
        image = tf.io.decode_png((folder / str(name)).read_bytes())[tf.newaxis]
        image = tf.image.resize(tf.cast(image, tf.float32), [SIZE, SIZE])
        features = model.features(image / 127.5 - 1, ("global_pool",))["global_pool"]
        np.testing.assert_allclose(features[0, 0, 0], embedding, rtol=2e-4, atol=1e-5)


def test_the_kinds_of_input_give_the_same_embeddings(config, folder, tmp_path):
    expected = write_embeddings(config(), show=False)
    found = find_images(folder)
    listing = tmp_path / "list.txt"
    listing.write_text("\n".join(image.path for image in found) + "\n")
    encoded = [pathlib.Path(image.path).read_bytes() for image in found]
    for number in (0, 1):
        write_records(tmp_path / f"part-{number}", encoded[number::2])
    write_records(tmp_path / "all.tfrecord", encoded)
    for number, path in enumerate((listing, tmp_path / "all.tfrecord")):
        out = str(tmp_path / f"other{number}")
        result = write_embeddings(config(input=str(path), output=out), show=False)
        for first, second in zip(expected.shards, result.shards, strict=True):
            np.testing.assert_array_equal(
                np.load(first)["embeddings"], np.load(second)["embeddings"]
            )
    pattern = find_images(tmp_path / "part-*")
    assert [image.name for image in pattern][11:13] == ["part-0:11", "part-1:0"]
    assert np.array_equal(pattern[12].read(), found[1].read())


def test_tfrecord_shards_and_any_end_point(config, tmp_path):
    npz = write_embeddings(config(end_point="C2"), show=False)
    run = config(end_point="C2", format="tfrecord", output=str(tmp_path / "records"))
    result = write_embeddings(run, show=False)
    first = next(records(result.shards[0]))
    value = np.array(first["embedding"].float_list.value, np.float32)
    shape = list(first["shape"].int64_list.value)
    assert shape == [4, 4, 256]
    expected = np.load(npz.shards[0])
    np.testing.assert_array_equal(value.reshape(shape), expected["embeddings"][0])
    assert first["name"].bytes_list.value[0].decode() == expected["names"][0]


@pytest.mark.parametrize("kind", ["npz", "tfrecord"])
def test_missing_shards_are_written_again_exactly(config, kind):
    run = config(format=kind)
    result = write_embeddings(run, show=False)
    before = digests(run.output)
    os.remove(result.shards[1])
    draft = f".{pathlib.Path(result.shards[2]).name}.{'0' * 32}.part"
    pathlib.Path(run.output, draft).write_bytes(b"half of it")
    os.remove(result.shards[2])
    assert write_embeddings(run, show=False).written == 2
    assert digests(run.output) == before
    assert write_embeddings(run, show=False).written == 0


def test_killed_and_started_again_writes_the_same_files(call, config, tmp_path, folder):
    undisturbed = config(shard_size=2)
    write_embeddings(undisturbed, show=False)
    out = tmp_path / "killed"
    arguments = [
        "features", f"--input={folder}", f"--output={out}", "--batch_size=4",
        f"--checkpoint_path={undisturbed.checkpoint_path}", "--shard_size=2",
    ]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "slimnets", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 600
    while not list(out.glob("features-*.npz")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    there = len(list(out.glob("*.npz")))
    code, printed, error = call(*arguments)
    assert code == 0, error
    assert f"{12 - there} of 12 shards written now" in printed
    assert "image 23 of 23" in error
    assert digests(out) == digests(undisturbed.output)


def test_bad_images_are_counted_and_named(config, folder, tmp_path, pictures):
    good = [tf.io.encode_png(picture).numpy() for picture in pictures[:5]]
    write_records(tmp_path / "r", [*good[:3], b"no image", *good[3:]])
    run = config(input=str(tmp_path / "r"), max_bad_records=1, shard_size=3)
    for written in (2, 0):
        result = write_embeddings(run, show=False)
        assert result.written == written and len(result.bad) == 1
        assert "r:3 is no image" in result.bad[0] and "image 3 of" in result.bad[0]
    assert list(np.load(result.shards[1])["index"]) == [4, 5]
    strict = config(input=str(tmp_path / "r"), output=str(tmp_path / "strict"))
    with pytest.raises(ValueError, match=r"1 bad images.*max_bad_records=0.*r:3"):
        write_embeddings(strict, show=False)


def test_another_runs_output_is_not_mixed_with(config, tmp_path):
    write_embeddings(config(), show=False)
    with pytest.raises(ValueError, match=r"end_point='global_pool' there, 'C2' here"):
        write_embeddings(config(end_point="C2"), show=False)
    assert manifest_of(config())["images"] == NUMBER
    other = slimnets.Model(
        "resnet_v2_cifar_20", num_classes=4, depth_multiplier=0.5, seed=1
    )
    other.build([None, SIZE, SIZE, 3])
    prefix = tmp_path / "model.ckpt"
    slimnets.save_weights(prefix, other, {"image_size": SIZE})
    with pytest.raises(ValueError, match=r"weights_sha256=.* there, .* here"):
        write_embeddings(config(checkpoint_path=str(prefix)), show=False)
    # Its own output: options of the network and its preprocessing are known.
    own = config(checkpoint_path=str(prefix), output=str(tmp_path / "own"))
    rows = np.load(write_embeddings(own, show=False).shards[0])
    assert rows["embeddings"].shape == (10, 128)
    assert manifest_of(own)["preprocessing_name"] == "cifar"


def test_a_network_without_its_logits_loads_all_the_rest(config, checkpoint, tmp_path):
    model = slimnets.Model("resnet_v2_cifar_20", num_classes=4)
    model.build([None, SIZE, SIZE, 3])
    slimnets.load_weights(checkpoint, model)
    bare = tmp_path / "bare.ckpt"
    slimnets.save_weights(bare, model)
    run = config(
        checkpoint_path=str(bare), model_name="resnet_v2_cifar_20",
        eval_image_size=SIZE, output=str(tmp_path / "bare"), preprocessing_name="plain",
    )  # fmt: skip
    found = np.load(write_embeddings(run, show=False).shards[0])
    expected = np.load(write_embeddings(config(), show=False).shards[0])
    np.testing.assert_array_equal(found["embeddings"], expected["embeddings"])
    with pytest.raises(ValueError, match="Cannot load"):
        write_embeddings(
            config(checkpoint_path=str(bare), model_name="resnet_v2_cifar_29"),
            show=False,
        )


def test_errors_say_what_is_wrong(config, tmp_path, folder):
    (tmp_path / "empty").mkdir()
    (tmp_path / "list").write_text("gone.png\n")
    whole = tmp_path / "whole"
    write_records(whole, [b"x" * 100])
    (tmp_path / "cut").write_bytes(whole.read_bytes()[:-9])
    for path, message in (
        ("empty", "no images in .*PNG"), ("none", "no file or folder"),
        ("list", r"gone.png \(1 of 1\)"), ("cut", "cut short at record 0"),
    ):  # fmt: skip
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            find_images(tmp_path / path)
    with pytest.raises(BadImage, match="whole:0"):
        find_images(whole)[0].read()
    with pytest.raises(ValueError, match="npz, tfrecord"):
        config(format="csv")
    with pytest.raises(ValueError, match="shard_size=0"):
        config(shard_size=0)
    with pytest.raises(KeyError, match="C9"):
        write_embeddings(config(end_point="C9"), show=False)
    assert not os.path.exists(config().output)
