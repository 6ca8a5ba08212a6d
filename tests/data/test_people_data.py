"""Data as people have it: lists, IDX files, other tools' records; and checking it."""

import functools
import gzip
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from slimnets.data import get_dataset, make_records, training_batches
from slimnets.data.checking import check_dataset, check_shards
from slimnets.data.image_files import find_images
from slimnets.data.splits import held_out
from slimnets.sharding import ManifestOptions


@pytest.fixture
def photos(tmp_path):
    """Twenty pictures of 6 x 5, each of a shade of its own."""
    for n in range(20):
        pixels = np.full([6, 5, 3], 10 * n, np.uint8)
        encoded = tf.io.encode_png(pixels).numpy()
        (tmp_path / f"{n}.png").write_bytes(encoded)
    return tmp_path


def write_list(folder, lines, name="list.csv"):
    (folder / name).write_text("\n".join(lines) + "\n")
    return str(folder / name)


def one_epoch(dataset, split="train"):
    """Shades and labels in the order of the source."""
    source = dataset.source(split)
    pairs = []
    for index in range(source.number):
        data = tf.constant(source.read(index))
        image, label, _ = source.parse(tf.constant(index, tf.int64), data)
        pixels = tf.io.decode_png(image).numpy()
        pairs.append((int(pixels[0, 0, 0]) // 10, label.numpy().tolist()))
    return pairs


def test_a_list_is_a_dataset_of_its_classes(photos):
    lines = ["Path,Label,note", *(f"{n}.png,{'ab'[n % 2]}," for n in range(20))]
    dataset = get_dataset("list", dataset_dir=write_list(photos, lines))
    assert dataset.label_names == ("a", "b")
    assert dict(dataset.splits) == {"train": 18, "validation": 2, "all": 20}
    assert one_epoch(dataset, "all") == [(n, n % 2) for n in range(20)]
    # The tenth image of each class is held out.
    assert one_epoch(dataset, "validation") == [(18, 0), (19, 1)]
    images, labels = next(
        iter(
            training_batches(
                dataset, batch_size=4, seed=0, image_size=6, preprocessing="plain"
            )
        )
    )
    shades = np.round((images.numpy()[:, 0, 0, 0] + 1) * 12.75).astype(int)
    np.testing.assert_array_equal(labels, shades % 2)


def test_a_list_has_its_own_splits_absolute_paths_and_tabs(photos):
    lines = ["path\tlabel\tsplit"]
    lines += [f"{photos}/{n}.png\t{n % 3 + 9}\t{'test' if n < 5 else 'train'}"
              for n in range(20)]  # fmt: skip
    dataset = get_dataset("list", dataset_dir=write_list(photos, lines))
    assert dataset.label_names == ("9", "10", "11")  # In the order of numbers.
    assert dataset.test_split == "test" and not dataset.whole_split
    assert one_epoch(dataset, "test") == [(n, n % 3) for n in range(5)]


def test_images_of_a_list_may_have_several_labels(photos):
    lines = ["path,label", "0.png,dog;cat", "1.png,cat", "2.png,"]
    dataset = get_dataset("list", dataset_dir=write_list(photos, lines))
    assert dataset.label_names == ("cat", "dog")
    assert dataset.source("train").multi_label
    assert one_epoch(dataset) == [(0, [1, 1]), (1, [1, 0]), (2, [0, 0])]


def in_folders(photos, folders):
    """Moves the pictures into folders, as many into each as it is given."""
    pictures = iter(sorted(photos.glob("*.png"), key=lambda path: int(path.stem)))
    for name, number in folders.items():
        (photos / name).mkdir(parents=True)
        for _ in range(number):
            picture = next(pictures)
            picture.rename(photos / name / picture.name)
    return get_dataset("folder", dataset_dir=str(photos))


def test_images_of_a_folder_of_two_names_have_both(photos):
    dataset = in_folders(photos, {"cat": 10, "cat;owl": 1, "dog": 9})
    assert dataset.label_names == ("cat", "dog", "owl")
    assert dict(dataset.splits) == {"train": 19, "validation": 1, "all": 20}
    found = one_epoch(dataset, "all")
    assert found[9:12] == [(9, [1, 0, 0]), (10, [1, 0, 1]), (11, [0, 1, 0])]
    assert one_epoch(dataset, "validation") == [(9, [1, 0, 0])]


def test_records_of_such_a_folder_have_both(photos, tmp_path_factory):
    in_folders(photos, {"cat": 10, "cat;owl": 1, "dog": 9})
    output = str(tmp_path_factory.mktemp("records"))
    make_records(str(photos), output, num_shards=2)
    dataset = get_dataset("records", dataset_dir=output)
    assert dataset.label_names == ("cat", "dog", "owl")
    found = sorted(one_epoch(dataset))
    assert (10, [1, 0, 1]) in found and (11, [0, 1, 0]) in found and len(found) == 19
    with pytest.raises(ValueError, match="layout='flowers' has one label"):
        make_records(str(photos), output, layout="flowers")


def test_splits_in_folders_have_labels_of_one_kind(photos):
    dataset = in_folders(photos, {"train/cat;dog": 1, "train/dog": 1, "val/dog": 1})
    assert one_epoch(dataset) == [(0, [1, 1]), (1, [0, 1])]
    assert one_epoch(dataset, "validation") == [(2, [0, 1])]
    (photos / "val" / "dog").rename(photos / "val" / "dog;owl")
    with pytest.raises(ValueError, match=r"class 'owl' of .* is not among the 2"):
        get_dataset("folder", dataset_dir=str(photos))


@pytest.mark.parametrize(
    ("lines", "error", "message"),
    [
        (["0.png,a"], ValueError, "does not begin with a line that names its columns"),
        (["path,label", "0.png"], ValueError, "line 2 has 1 columns"),
        (["path,label", "0.png,a", "1.png,"], ValueError, "1 images without a label"),
        (["path,name", "0.png,a"], ValueError, "has no column label"),
        (["path,label", "x.png,a"], FileNotFoundError, "1 of 1 images that are not"),
        (["path,label,split", "0.png,a,test"], ValueError, "no images of the split"),
    ],
)
def test_what_is_wrong_with_a_list_is_said(photos, lines, error, message):
    with pytest.raises(error, match=message):
        get_dataset("list", dataset_dir=write_list(photos, lines))


def test_predict_reads_the_paths_of_a_list(photos):
    path = write_list(photos, ["label,path", "a,3.png", "b,1.png"])
    assert [image.name for image in find_images(path)] == ["3.png", "1.png"]


def write_idx(folder, name, values, pack=False):
    header = bytes([0, 0, 8, values.ndim])
    header += np.array(values.shape, ">u4").tobytes()
    content = header + values.astype(np.uint8).tobytes()
    path = folder / (f"{name}.gz" if pack else name)
    path.write_bytes(gzip.compress(content) if pack else content)


@pytest.fixture
def idx(tmp_path, rng):
    for prefix, number in (("train", 30), ("t10k", 10)):
        images = rng.integers(0, 256, [number, 28, 28])
        write_idx(tmp_path, f"{prefix}-images-idx3-ubyte", images, prefix == "train")
        write_idx(tmp_path, f"{prefix}-labels-idx1-ubyte", np.arange(number) % 10)
    return tmp_path


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_mnist_is_read_from_its_authors_files(idx, name):
    dataset = get_dataset(name, dataset_dir=str(idx))
    images, labels = dataset.load("test")
    assert images.shape == (10, 28, 28, 1) and images.dtype == np.uint8
    raw = (idx / "t10k-images-idx3-ubyte").read_bytes()
    assert raw[16:] == images.tobytes()
    np.testing.assert_array_equal(labels, np.arange(10))
    assert dataset.splits == {"train": 30, "test": 10} and dataset.num_classes == 10
    assert dataset.label_names[9] == {"mnist": "9", "fashion_mnist": "Ankle boot"}[name]


def test_what_is_wrong_with_idx_files_is_said(idx):
    path = idx / "t10k-labels-idx1-ubyte"
    content = path.read_bytes()
    for wrong, message in (
        (content[:-1], "has 9 values; its header says 10"),
        (content[:2] + b"\x0d" + content[3:], "is no IDX file of bytes"),
        (content[:-1] + b"\x0b", "labels up to 11"),
    ):
        path.write_bytes(wrong)
        with pytest.raises(ValueError, match=message):
            get_dataset("mnist", dataset_dir=str(idx))
    path.unlink()
    with pytest.raises(FileNotFoundError, match="has neither t10k-labels-idx1-ubyte n"):
        get_dataset("fashion_mnist", dataset_dir=str(idx))


def write_records(path, examples):
    """Examples are pairs of a shade and labels, numbers or texts."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for shade, labels in examples:
            pixels = np.full([6, 5, 3], 10 * shade, np.uint8)
            image = tf.train.BytesList(value=[tf.io.encode_png(pixels).numpy()])
            if isinstance(labels[0], str):
                texts = tf.train.BytesList(value=[text.encode() for text in labels])
                label = tf.train.Feature(bytes_list=texts)
            else:
                numbers = tf.train.Int64List(value=labels)
                label = tf.train.Feature(int64_list=numbers)
            feature = {"jpeg": tf.train.Feature(bytes_list=image), "cls": label}
            features = tf.train.Features(feature=feature)
            writer.write(tf.train.Example(features=features).SerializeToString())


OTHER = {"image_feature": "jpeg", "label_feature": "cls"}


def test_records_of_other_tools_have_their_own_names(tmp_path):
    write_records(tmp_path / "my_train-0.rec", [(0, ["owl"]), (1, ["cat"])])
    write_records(tmp_path / "my_train-1.rec", [(2, ["cat"])])
    write_records(tmp_path / "my_val-0.rec", [(3, ["owl"])])
    dataset = get_dataset("records", dataset_dir=str(tmp_path),
                          records_pattern="my_{split}-*.rec", **OTHER)  # fmt: skip
    assert dataset.label_names == ("cat", "owl")
    assert dict(dataset.splits) == {"train": 3, "val": 1}
    assert dataset.test_split == "val"
    assert one_epoch(dataset) == [(0, 1), (1, 0), (2, 0)]


def test_records_without_splits_and_with_several_labels(tmp_path):
    write_records(tmp_path / "a.rec", [(n, [1, 1 + n % 3]) for n in range(10)])
    dataset = get_dataset("records", dataset_dir=str(tmp_path), labels_offset=1,
                          records_pattern="*.rec", **OTHER)  # fmt: skip
    assert dataset.label_names == ("0", "1", "2")
    assert dict(dataset.splits) == {"all": 10, "train": 9, "validation": 1}
    assert dataset.whole_split == "all" and dataset.source("train").multi_label
    rows = np.eye(3)[np.arange(10) % 3]
    rows[:, 0] = 1
    expected = [(n, rows[n].tolist()) for n in range(10)]
    assert one_epoch(dataset, "all") == expected
    assert one_epoch(dataset, "train") == [
        pair for pair, held in zip(expected, held_out(10), strict=True) if not held
    ]
    # By its own place in the file.
    assert dataset.source("validation").name(0) == f"{tmp_path / 'a.rec'}:9"


def test_splits_train_and_measure_by_what_their_names_begin_with(tmp_path):
    for split in ("extra", "train2017", "val2017"):
        write_records(tmp_path / f"coco_{split}.rec", [(0, ["owl"])])
    dataset = get_dataset("records", dataset_dir=str(tmp_path),
                          records_pattern="coco_{split}.rec", **OTHER)  # fmt: skip
    assert (dataset.train_split, dataset.test_split) == ("train2017", "val2017")


def test_what_does_not_fit_records_is_said(tmp_path):
    write_records(tmp_path / "a.rec", [(0, [0])])
    options = {"dataset_dir": str(tmp_path)}
    for error, message, more in (
        (ValueError, "no feature 'image/encoded': give image_feature, one of cls, jpeg",
         {"records_pattern": "*.rec"}),
        (FileNotFoundError, "no files of records_pattern=x", {"records_pattern": "x"}),
        (ValueError, "is of no effect with dataset_name=folder",
         {"name": "folder", "image_feature": "jpeg"}),
        (ValueError, "names of their own", {"name": "flowers", "records_pattern": "*"}),
    ):  # fmt: skip
        name = more.pop("name", "records")
        with pytest.raises(error, match=message):
            get_dataset(name, **options, **more)


@pytest.fixture
def messy(photos):
    """Two classes, a bad file, and a picture that stands in both splits."""
    for n in range(20):
        split = "val" if n >= 16 else "train"
        folder = photos / "all" / split / "ab"[n % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (photos / f"{n}.png").rename(folder / f"{n}.png")
    train = photos / "all" / "train"
    (train / "a" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n no picture")
    copied = (photos / "all" / "val" / "a" / "16.png").read_bytes()
    (train / "a" / "copy.png").write_bytes(copied)
    (train / "b" / "copy.png").write_bytes(copied)
    return photos / "all"


def test_checking_finds_what_is_bad_and_what_is_there_twice(messy):
    checked = check_dataset(get_dataset("folder", dataset_dir=str(messy)))
    train, test = checked.splits["train"], checked.splits["validation"]
    assert (train.number, test.number) == (19, 4)
    assert [pathlib.Path(name.split(" ")[0]).name for name in train.bad] == ["bad.png"]
    np.testing.assert_array_equal(train.classes, [9, 9])
    assert train.sizes == {(6, 5): 18}
    (pair,) = checked.shared("train", "validation")
    assert "copy.png" in pair[0] and "16.png" in pair[1]
    assert [len(group) for group in checked.repeated["train"]] == [2]
    opening = functools.partial(get_dataset, "folder", dataset_dir=str(messy))
    options = ManifestOptions(manifest=str(messy / "manifest"), shard_size=7)
    shards = check_shards(opening, options)
    for name, split in checked.splits.items():
        for field in ("number", "bad", "sizes", "digests"):
            assert getattr(shards.splits[name], field) == getattr(split, field)
        np.testing.assert_array_equal(shards.splits[name].classes, split.classes)
    digits = check_dataset(get_dataset("digits"))
    assert digits.splits["test"].number == 360 and not digits.bad


def test_the_command_says_it_and_ends_with_1_if_strict(call, messy):
    code, out, _ = call("check-data", messy)
    lines = out.splitlines()
    assert code == 0 and lines[0].startswith("bad: ") and "bad.png" in lines[0]
    assert "train: 19 images, 1 of no use, all 6 x 5" in lines
    assert any(line.startswith("in train and validation: ") for line in lines)
    assert lines[-1].startswith(
        "23 images, 1 of no use, 1 of training in another split"
    )
    assert call("check-data", messy, "--strict")[0] == 1
    code, _, error = call("check-data")
    assert code == 2 and "check-data needs a directory" in error
