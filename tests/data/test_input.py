"""Datasets on disk: what is read, in which order, and what cannot be."""

import dataclasses
import pathlib
import shutil
import sys
import types

import numpy as np
import pytest
import tensorflow as tf

from slimnets import data
from slimnets.data import BadRecords, InputConfig
from slimnets.data.bad_records import TooManyBadRecords, explained_errors
from slimnets.data.records import LAYOUTS

CLASSES = ("daisy", "roses", "tulips")
PER_CLASS = 11


def write_image(path, label, index):
    """An image of its label's channel, the brighter the higher its index."""
    image = np.zeros((12 + index, 16, 3), np.uint8)
    image[..., label] = 40 + 15 * index
    path.parent.mkdir(parents=True, exist_ok=True)
    encode = tf.io.encode_png if index % 2 else tf.io.encode_jpeg
    path.with_suffix(".png" if index % 2 else ".jpg").write_bytes(encode(image).numpy())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("folder")
    for label, name in enumerate(CLASSES):
        for index in range(PER_CLASS):
            write_image(root / name / f"{index:02}.x", label, index)
    return root


@pytest.fixture(scope="module")
def shards(folder, tmp_path_factory):
    output = tmp_path_factory.mktemp("records") / "out"
    data.make_records(str(folder), str(output), num_shards=3, seed=1)
    return output


@pytest.fixture
def broken(folder, tmp_path):
    """A folder in which two images are none."""
    root = shutil.copytree(folder, tmp_path / "broken")
    (root / "roses" / "02.jpg").write_bytes(b"no image")
    whole = (root / "tulips" / "04.jpg").read_bytes()
    (root / "tulips" / "04.jpg").write_bytes(whole[: len(whole) // 3])
    return root


def config(path, name="folder", **options):
    defaults = {"train_image_size": 8, "preprocessing_name": "torch"}
    made = InputConfig(
        dataset_name=name, dataset_dir=str(path), **{**defaults, **options}
    )
    made.check_input()
    return made


def steps(made, number=5, batch_size=6, **options):
    batches = data.training_batches(made, batch_size=batch_size, seed=2, **options)
    return [(i.numpy(), y.numpy()) for i, y in batches.take(number)]


def evaluated(made, **options):
    batches = data.evaluation_batches(made, batch_size=4, **options)
    images, labels = zip(*batches.as_numpy_iterator(), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def assert_same(first, second):
    for one, other in zip(first, second, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_folder_has_its_classes_and_splits(folder):
    dataset = config(folder).dataset
    assert dataset.label_names == CLASSES and dataset.test_split == "validation"
    assert dict(dataset.splits) == {"train": 30, "validation": 3, "all": 33}
    images, labels = evaluated(config(folder), split="all")
    np.testing.assert_array_equal(labels, np.repeat([0, 1, 2], PER_CLASS))
    assert images.shape == (33, 8, 8, 3) and images.dtype == np.float32
    # Each image shines in its own class's channel.
    np.testing.assert_array_equal(images.mean(axis=(1, 2)).argmax(axis=1), labels)


def test_given_splits_of_a_folder(tmp_path):
    for split, name, index in (
        ("train", "a", 0), ("train", "b", 1), ("val", "b", 2),
    ):  # fmt: skip
        write_image(tmp_path / split / name / f"{index}.x", 0, index)
    dataset = config(tmp_path).dataset
    assert dict(dataset.splits) == {"train": 2, "validation": 1}
    assert evaluated(config(tmp_path))[1].tolist() == [1]
    write_image(tmp_path / "val" / "c" / "0.x", 0, 0)
    with pytest.raises(ValueError, match=r"class 'c' of .*val is not among the 2"):
        config(tmp_path)


@pytest.mark.parametrize("kind", ["folder", "records"])
def test_steps_depend_on_the_seed_and_the_step_alone(kind, folder, shards):
    made = config(folder if kind == "folder" else shards, kind, pad_and_crop=1)
    whole = steps(made, 7)
    assert_same(whole[5:], steps(made, 2, first_step=5))
    assert whole[0][0].shape == (6, 8, 8, 3) and whole[0][1].dtype == np.int64
    # An epoch has every image once.
    labels = np.concatenate([y for _, y in whole[:5]])
    assert np.bincount(labels).tolist() == [10, 10, 10]
    parts = [
        steps(made, 4, input_context=tf.distribute.InputContext(2, worker))
        for worker in range(2)
    ]
    for step, together in enumerate(zip(*parts, strict=True)):
        for position in (0, 1):
            shares = [share[position] for share in together]
            np.testing.assert_array_equal(np.concatenate(shares), whole[step][position])


def test_workers_share_mixed_batches_and_digits():
    made = InputConfig(mixup_alpha=0.4, cutmix_alpha=1.0, random_erasing=0.5,
                       train_image_size=8, random_crop_area=0.5)  # fmt: skip
    made.check_input()
    whole = steps(made, 3, batch_size=8)
    parts = [
        steps(made, 3, 8, input_context=tf.distribute.InputContext(2, worker))
        for worker in (0, 1)
    ]
    for step, (first, second) in enumerate(zip(*parts, strict=True)):
        assert_same(
            [whole[step]],
            [[np.concatenate(p) for p in zip(first, second, strict=True)]],
        )
    assert whole[0][1].shape == (8, 10) and whole[0][1].dtype == np.float32
    np.testing.assert_allclose(whole[0][1].sum(axis=1), 1, atol=1e-6)
    assert_same(whole[2:], steps(made, 1, 8, first_step=2))
    with pytest.raises(ValueError, match="2 workers 3 images; mixup and cutmix need"):
        steps(made, 1, 6, input_context=tf.distribute.InputContext(2, 0))
    with pytest.raises(ValueError, match="no multiple of the 4 workers"):
        steps(made, 1, 6, input_context=tf.distribute.InputContext(4, 0))


def test_repeated_augmentation_repeats_images(folder):
    made = config(folder, repeated_augmentation=2, random_erasing=1.0)
    images, labels = steps(made, 1)[0]
    np.testing.assert_array_equal(labels[:3], labels[3:])
    assert not np.array_equal(images[:3], images[3:])
    plain = steps(config(folder), 1, batch_size=3)[0]
    np.testing.assert_array_equal(labels[:3], plain[1])
    with pytest.raises(ValueError, match=r"batch_size=5 is no multiple of rep.*=2"):
        steps(made, 1, batch_size=5)


def test_records_are_in_research_slims_layout(folder, shards, tmp_path):
    names = sorted(path.name for path in shards.iterdir())
    assert names == [
        "labels.txt",
        *(f"train-{i:05}-of-00003.tfrecord" for i in range(3)),
        "validation-00000-of-00001.tfrecord",
    ]
    assert (shards / "labels.txt").read_text() == "0:daisy\n1:roses\n2:tulips\n"
    raw = next(iter(tf.data.TFRecordDataset(str(shards / names[-1])))).numpy()
    features = tf.train.Example.FromString(raw).features.feature
    label = features["image/class/label"].int64_list.value[0]
    file = features["image/filename"].bytes_list.value[0].decode()
    assert file.startswith(CLASSES[label])
    encoded = features["image/encoded"].bytes_list.value[0]
    assert encoded == (folder / file).read_bytes()
    kind = features["image/format"].bytes_list.value[0]
    assert kind == (b"png" if file.endswith("png") else b"jpeg")
    # The same again gives the same files; others are refused.
    data.make_records(str(folder), str(tmp_path), num_shards=3, seed=1, num_threads=1)
    for name in names:
        assert (tmp_path / name).read_bytes() == (shards / name).read_bytes()
    with pytest.raises(ValueError, match="holds other record files already"):
        data.make_records(str(folder), str(tmp_path), num_shards=2)
    made = config(shards, "records")
    assert dict(made.dataset.splits) == {"train": 30, "validation": 3}
    images, labels = evaluated(made, split="train")
    np.testing.assert_array_equal(images.mean(axis=(1, 2)).argmax(axis=1), labels)
    assert sorted(labels) == sorted([0, 1, 2] * 10)


@pytest.mark.parametrize("layout", ["imagenet", "flowers"])
def test_other_layouts(layout, folder, tmp_path):
    data.make_records(str(folder), str(tmp_path), num_shards=2, layout=layout)
    assert (tmp_path / LAYOUTS[layout].file_name("train", 1, 2)).exists()
    made = config(tmp_path, layout)
    assert made.dataset.label_names == CLASSES
    assert sorted(evaluated(made)[1]) == [0, 1, 2]
    if layout == "imagenet":
        kept = config(tmp_path, layout, labels_offset=0)
        assert kept.dataset.label_names == ("background", *CLASSES)
        assert sorted(evaluated(kept)[1]) == [1, 2, 3]
        (tmp_path / "labels.txt").unlink()
        names = config(tmp_path, layout).dataset.label_names
        assert len(names) == 1000 and names[0].startswith("tench")
        kept = config(tmp_path, layout, labels_offset=0)
        assert kept.dataset.num_classes == 1001


@pytest.mark.parametrize("name", ["cifar10", "mnist"])
def test_single_files_of_small_images(name, tmp_path, rng):
    *_, channels = LAYOUTS[name].image_shape
    for split in ("train", "test"):
        with tf.io.TFRecordWriter(str(tmp_path / f"{name}_{split}.tfrecord")) as file:
            for label in range(10):
                shape = LAYOUTS[name].image_shape
                image = tf.io.encode_png(rng.integers(0, 256, shape).astype(np.uint8))
                file.write(example(image.numpy(), label))
    with pytest.raises(ValueError, match=r"has no labels\.txt"):
        config(tmp_path, name)
    (tmp_path / "labels.txt").write_text("".join(f"{i}:c{i}\n" for i in range(10)))
    made = config(tmp_path, name, preprocessing_name=None, train_image_size=32)
    assert made.preprocessing == {"cifar10": "cifar", "mnist": "lenet"}[name]
    images, labels = evaluated(made)
    assert images.shape == (10, 32, 32, channels) and labels.tolist() == [*range(10)]
    assert steps(made, 1)[0][0].shape == (6, 32, 32, channels)


def example(encoded, label):
    feature = {
        "image/encoded": tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[encoded])
        ),
        "image/class/label": tf.train.Feature(
            int64_list=tf.train.Int64List(value=[label])
        ),
    }
    features = tf.train.Features(feature=feature)
    return tf.train.Example(features=features).SerializeToString()


def test_bad_images_are_counted_and_left_out(broken):
    made = config(broken, max_bad_records=2)
    images, labels = evaluated(made, split="all", bad_records=(bad := BadRecords(2)))
    assert len(images) == len(labels) == 31
    names = sorted(name.removeprefix(f"{broken}/") for name in bad.found)
    assert names == ["roses/02.jpg (example 13)", "tulips/04.jpg (example 26)"]
    bad = BadRecords(2)
    whole = steps(made, 11, bad_records=bad)
    assert len(bad.found) == 2
    # What stands in for them does not depend on when they are met.
    assert_same(whole[3:9], steps(made, 6, first_step=3))
    assert all(len(images) == 6 for images, _ in whole)


def test_too_many_bad_images_stop_the_run(broken):
    made = config(broken, max_bad_records=1)
    message = "bad record 2, where max_bad_records=1"
    with pytest.raises(TooManyBadRecords, match=message), explained_errors():
        steps(made, 11)
    strict = config(broken)
    named = r"(02|04)\.jpg \(example \d+\): .*bad record 1, where max.*=0"
    with pytest.raises(TooManyBadRecords, match=named), explained_errors():
        steps(strict, 9, first_step=2)
    named = rf"\(example \d+\): .*{message}"
    with pytest.raises(ValueError, match=named), explained_errors():
        evaluated(made, split="all")
    for path in (*broken.glob("*/*.jpg"), *broken.glob("*/*.png")):
        path.write_bytes(b"none")
    with pytest.raises(TooManyBadRecords, match="bad record 1"):
        steps(strict, 1)
    with pytest.raises(tf.errors.CancelledError), explained_errors():
        raise tf.errors.CancelledError(None, None, "other")


def test_bad_records_in_shards(shards, tmp_path):
    root = shutil.copytree(shards, tmp_path / "shards")
    target = root / "validation-00000-of-00001.tfrecord"
    records = [raw.numpy() for raw in tf.data.TFRecordDataset(str(target))]
    with tf.io.TFRecordWriter(str(target)) as file:
        file.write(records[0])
        file.write(b"no example")
        file.write(example(b"no image", 1))
        file.write(example(tf.io.encode_png(np.zeros((4, 4, 3), np.uint8)).numpy(), 3))
    bad = BadRecords(3)
    _, labels = evaluated(config(root, "records"), bad_records=bad)
    assert len(labels) == 1
    found = [
        f"{name.removeprefix(f'{target}:')} {why}" for name, why in bad.found.items()
    ]
    assert [line[0] for line in sorted(found)] == ["1", "2", "3"]
    assert "label 3 is out of range; there are 3 classes" in sorted(found)[2]


@pytest.mark.parametrize("limit", [0, 1])
def test_a_shard_that_disappears_is_named(shards, tmp_path, limit):
    root = shutil.copytree(shards, tmp_path / "shards")
    made = config(root, "records", max_bad_records=limit)
    batches = data.training_batches(made, batch_size=6, seed=2)
    (root / "train-00001-of-00003.tfrecord").unlink()
    message = r"train-00001.*No such file.*bad record \d+, where"
    with pytest.raises(TooManyBadRecords, match=message), explained_errors():
        list(batches.take(5))


def test_what_is_missing_is_said_before_training(folder, shards, tmp_path):
    root = shutil.copytree(shards, tmp_path / "shards")
    (root / "train-00001-of-00003.tfrecord").unlink()
    with pytest.raises(
        FileNotFoundError, match="lacks 1 of 3 shards, such as train-00001"
    ):
        config(root, "records")
    (root / "train-00000-of-00002.tfrecord").write_bytes(b"")
    with pytest.raises(ValueError, match="shards of 2 and of 3 files"):
        config(root, "records")
    for path in root.glob("*-of-*"):
        path.unlink()
    with pytest.raises(
        FileNotFoundError, match="holds no record files of records, such"
    ):
        config(root, "records")
    whole = next(shards.glob("validation*")).read_bytes()
    (root / "validation-00000-of-00001.tfrecord").write_bytes(whole[:-9])
    with pytest.raises(ValueError, match="is cut short at record 2"):
        evaluated(config(root, "records", dataset_split_name="validation"))
    with pytest.raises(ValueError, match="no split 'train'; it has validation"):
        config(root, "records")
    with pytest.raises(FileNotFoundError):
        config(tmp_path / "nowhere")
    root = shutil.copytree(folder, tmp_path / "folder")
    (root / "empty").mkdir()
    assert config(root).dataset.label_names == CLASSES
    (root / "empty" / "none").mkdir()
    with pytest.raises(ValueError, match="has no sub-folders"):
        config(root / "empty" / "none")


def test_a_shard_is_whole_or_not_there(broken, tmp_path):
    output = tmp_path / "out"
    with pytest.raises(TooManyBadRecords, match="max_bad_records=0"):
        data.make_records(str(broken), str(output), num_shards=2, num_threads=1)
    assert not list(output.glob(".*"))
    seen = []
    written = data.make_records(
        str(broken), str(output), num_shards=2, max_bad_records=2,
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert len(written.bad) == 2 and sum(written.images.values()) == 31
    assert sorted(seen) == [(n, 33) for n in range(1, 34)]
    for option, message in (
        ({"num_shards": 31}, "num_shards=31; allowed is 1 to 30"),
        ({"num_shards": 0}, "num_shards=0"),
        (
            {"layout": "mnist"},
            "layout='mnist' is not one of imagenet, flowers, records",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            data.make_records(str(broken), str(tmp_path / "other"), **option)


def test_boxes_reach_the_crop(tmp_path, rng):
    """A tenth of a small box is in every crop, though crops are small."""
    image = np.zeros((100, 100, 3), np.uint8)
    image[80:, 80:] = 255
    raw = example(tf.io.encode_png(image).numpy(), 1)
    record = tf.train.Example.FromString(raw)
    for side, value in (("ymin", 0.8), ("xmin", 0.8), ("ymax", 1.0), ("xmax", 1.0)):
        key = f"image/object/bbox/{side}"
        record.features.feature[key].float_list.value.append(value)
    with tf.io.TFRecordWriter(str(tmp_path / "train-00000-of-00001")) as file:
        for _ in range(8):
            file.write(record.SerializeToString())
    made = config(
        tmp_path, "imagenet", preprocessing_name="inception", color_jitter=0.0,
        random_crop_area=0.05, train_image_size=16,
    )  # fmt: skip
    for images, labels in steps(made, 5, batch_size=8):
        assert (images.max(axis=(1, 2, 3)) > 0.9).all() and not labels.any()


def test_npz(tmp_path, rng):
    images = rng.integers(0, 256, (20, 6, 6)).astype(np.uint8)
    labels = np.arange(20) % 3
    path = tmp_path / "some.npz"
    np.savez(path, images=images, labels=labels, label_names=["a", "b", "c"])
    made = config(path, "npz", preprocessing_name="plain", train_image_size=6)
    dataset = made.dataset
    assert dataset.image_shape == (6, 6, 1) and dataset.label_names == ("a", "b", "c")
    assert dict(dataset.splits) == {
        "train": 18,
        "validation": 2,
        "all": 20,
    }
    seen, held = evaluated(made)
    np.testing.assert_array_equal(held, labels[[9, 19]])
    np.testing.assert_allclose(seen[..., 0], images[[9, 19]] / 127.5 - 1, atol=1e-6)
    # keras.datasets' names; values from 0 to 1; several classes of an example.
    several = np.eye(4, dtype=np.float64)[labels] + np.eye(4)[3]
    np.savez(path, x_train=images / 255, y_train=several, x_test=images, y_test=several)
    with pytest.raises(ValueError, match="train has values from 0 to 1, but test"):
        config(path, "npz")
    np.savez(
        path, x_train=images / 255, y_train=several, x_test=images / 255,
        y_test=several,
    )  # fmt: skip
    made = config(path, "npz", preprocessing_name="plain", train_image_size=6)
    batch, soft = steps(made, 1)[0]
    assert soft.shape == (6, 4) and soft.dtype == np.float32 and batch.min() >= -1
    np.testing.assert_array_equal(soft.sum(axis=1), 2)
    _, soft = steps(dataclasses.replace(made, mixup_alpha=1.0), 1)[0]
    np.testing.assert_allclose(soft.sum(axis=1), 2, rtol=1e-5)


IMAGE_TYPES = ("?", "u1", "i1", ">u2", "u4", "i8", "f2", ">f4", "f8")
LABEL_TYPES = ("?", "u1", "i1", "u2", ">i4", "u8", "f4")


@pytest.mark.parametrize("layout", ["plain", "keras"])
def test_archives_of_every_type_are_read_alike(layout, tmp_path):
    ones = np.arange(12 * 16).reshape(12, 4, 4) % 2
    labels = np.arange(12) % 2
    for number, kind in enumerate((*IMAGE_TYPES, *LABEL_TYPES)):
        images = number < len(IMAGE_TYPES)
        scale = 100 if images and np.dtype(kind).kind in "iu" else 1
        pictures = (ones * scale).astype(kind if images else "f4")
        numbers = labels.astype("i8" if images else kind)
        arrays = {"images": pictures, "labels": numbers, "label_names": [b"a", b"b"]}
        if layout == "keras":
            arrays = {"x_train": pictures, "y_train": numbers[:, np.newaxis],
                      "x_test": pictures[:2], "y_test": numbers[:2]}  # fmt: skip
        np.savez(tmp_path / "a.npz", **arrays)
        made = config(tmp_path / "a.npz", "npz", preprocessing_name="plain")
        assert made.dataset.label_names == (
            ("a", "b") if layout == "plain" else ("0", "1")
        )
        seen, found = evaluated(made, image_size=4)
        split = slice(9, 10) if layout == "plain" else slice(2)
        np.testing.assert_array_equal(found, labels[split])
        most = 255 if scale == 1 else scale
        expected = ones[split, ..., np.newaxis] * most / 127.5 - 1
        np.testing.assert_allclose(seen, expected, atol=1e-6, err_msg=kind)


def test_whole_numbers_of_a_range_that_is_surely_meant_otherwise_are_told(
    tmp_path, caplog
):
    np.savez(tmp_path / "a.npz", images=np.ones((12, 4, 4), np.uint8), labels=[0] * 12)
    config(tmp_path / "a.npz", "npz")
    assert "of 0 and 1 only" in caplog.text


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": [1]}, "holds a; there must be images and labels"),
        ({"images": np.zeros((3, 4, 4)), "labels": [0, 1]}, "must be as many"),
        ({"images": np.full((12, 4, 4), 2.0), "labels": [0] * 12}, "from 0 to 1"),
        ({"images": np.zeros((12, 4)), "labels": [0] * 12}, "have the shapes"),
        ({"images": np.zeros((12, 4, 4)), "labels": [0.5] * 12}, "whole numbers"),
        ({"images": np.zeros((12, 4, 4)), "labels": [-1] * 12}, "int64 from -1 to -1"),
        ({"images": np.zeros((12, 4, 4)), "labels": ["a"] * 12}, "are <U1; they must"),
        ({"images": np.zeros((12, 4, 4)), "labels": [[2, 0]] * 12}, "0 and 1, or"),
        ({"images": np.full((12, 4, 4), 256), "labels": [0] * 12}, "int64 from 256"),
        ({"images": np.full((12, 4, 4), np.nan), "labels": [0] * 12}, "float64 from n"),
        (
            {
                "images": np.zeros((12, 4, 4)),
                "labels": [3] * 12,
                "label_names": ["a"],
            },
            "names 1 classes, but has labels up to 3",
        ),
    ],
)
def test_archives_that_do_not_fit(arrays, message, tmp_path):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        config(tmp_path / "a.npz", "npz")
    (tmp_path / "b.npz").write_text("text")
    with pytest.raises(ValueError, match="is no archive"):
        config(tmp_path / "b.npz", "npz")


def test_tensorflow_datasets(shards, tmp_path, monkeypatch):
    """By a stand-in that tells of files as tensorflow_datasets does."""
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match=r"pip install 'slimnets\[tfds\]'"):
        InputConfig(dataset_name="tfds:flowers").check_input()
    target = tmp_path / "flowers-train.tfrecord-00000-of-00001"
    with tf.io.TFRecordWriter(str(target)) as file:
        for raw in tf.data.TFRecordDataset(str(next(shards.glob("validation*")))):
            old = tf.train.Example.FromString(raw.numpy()).features.feature
            new = tf.train.Example()
            new.features.feature["image"].CopyFrom(old["image/encoded"])
            new.features.feature["label"].CopyFrom(old["image/class/label"])
            file.write(new.SerializeToString())
    split = types.SimpleNamespace(filepaths=[pathlib.Path(target)])
    features = {
        "image": types.SimpleNamespace(shape=(None, None, 3)),
        "label": types.SimpleNamespace(names=list(CLASSES)),
    }
    asked, splits = [], {"train": split}

    def builder(name, data_dir):
        asked.append((name, data_dir))
        return types.SimpleNamespace(
            download_and_prepare=lambda: None,
            info=types.SimpleNamespace(
                supervised_keys=("image", "label"), features=features,
                splits=splits,
            ),
        )  # fmt: skip

    stand_in = types.SimpleNamespace(builder=builder)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", stand_in)
    made = config("where", "tfds:flowers/small:1.0.0")
    assert asked == [("flowers/small:1.0.0", "where")]
    assert sorted(evaluated(made)[1]) == [0, 1, 2]
    assert steps(made, 1, batch_size=3)[0][0].shape == (3, 8, 8, 3)
    splits["all"] = splits.pop("train")
    other = config("where", "tfds:flowers").dataset
    assert (other.train_split, other.test_split) == ("all", "all")
    del features["label"]
    with pytest.raises(ValueError, match="has no image with a class label"):
        config("where", "tfds:flowers")
