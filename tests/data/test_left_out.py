"""What counts as an image or a class in a folder, and what is said of the rest."""

import io
import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from slimnets.data import get_dataset, make_records
from slimnets.data.image_files import find_files, find_images

RAW = os.fsdecode(b"caf\xe9.png")


def encoded(kind, value=0):
    file = io.BytesIO()
    Image.fromarray(np.full((6, 8, 3), value, np.uint8)).save(file, kind)
    return file.getvalue()


def write(root, files):
    for name, content in files.items():
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)


HIDDEN = {
    "__MACOSX/a/._1.jpg": encoded("JPEG"),
    ".cache/1.jpg": encoded("JPEG"),
    "a/._1.jpg": b"a resource fork",
    "a/.DS_Store": b"x",
    "a/Thumbs.db": b"x",
    "a/.ipynb_checkpoints/1.jpg": encoded("JPEG"),
}
IMAGES = {
    "a/1.jpg": encoded("JPEG"),
    "a/2.jfif": encoded("JPEG"),
    "a/3.jpe": encoded("JPEG"),
    "a/4": encoded("PNG"),
    "a/5.jpg": encoded("GIF"),
    "b/6.dat": encoded("BMP"),
    "b/7.txt": encoded("WEBP"),
    "b/deep/8.JPEG": encoded("TIFF"),
    f"b/{RAW}": encoded("PNG"),
}
OTHERS = {"a/notes.txt": b"BMW, said he", "b/9": b"", "b/list.csv": b"1,2\n"}


@pytest.fixture
def folder(tmp_path):
    """Classes a and b; c has no image that can be read, and d none at all."""
    root = tmp_path / "photos"
    broken = {"c/1.jpg": b"no image", "c/2.png": encoded("PNG")[:40], "d/x.txt": b"x"}
    write(root, {**IMAGES, **OTHERS, **HIDDEN, **broken, "beside.jpg": b"x"})
    return root


def test_content_and_no_name_tells_what_is_an_image(folder, caplog):
    with caplog.at_level("WARNING"):
        dataset = get_dataset("folder", dataset_dir=str(folder))
    assert dataset.label_names == ("a", "b")
    source = dataset.source("all")
    assert sorted(source.paths) == sorted(IMAGES)
    assert source.labels.tolist() == [0] * 5 + [1] * 4
    c, d, beside, rest = (record.getMessage() for record in caplog.records)
    assert "photos/c gets no label: none of its 2 images can be read; c/2.png" in c
    assert "photos/d gets no label: it holds no image" in d
    assert beside.endswith("left out what lies beside the folders that are read: "
                           "beside.jpg.")  # fmt: skip
    assert (
        "left out 4 of 15 files, which are no images: a/notes.txt, b/9, b/list." in rest
    )


def test_records_are_of_the_same_images(folder, tmp_path):
    output = tmp_path / "records"
    written = make_records(str(folder), str(output), num_shards=1)
    assert written.images == {"train": 9} and not written.bad
    (path,) = written.files["train"]
    found = {}
    for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
        feature = tf.train.Example.FromString(record).features.feature
        name = feature["image/filename"].bytes_list.value[0]
        found[os.fsdecode(name)] = feature["image/format"].bytes_list.value[0]
    assert sorted(found) == sorted(IMAGES)
    assert found["a/5.jpg"] == b"gif" and found["b/deep/8.JPEG"] == b"tiff"
    assert found["a/2.jfif"] == b"jpeg" and found["b/7.txt"] == b"webp"


def test_splits_of_their_own_follow_the_same_rules(folder, tmp_path, caplog):
    root = tmp_path / "given"
    for split in ("train", "val", "test"):
        write(root / split, {**IMAGES, **OTHERS, **HIDDEN})
    with caplog.at_level("WARNING"):
        dataset = get_dataset("folder", dataset_dir=str(root))
    assert dict(dataset.splits) == {"train": 9, "validation": 9}
    beside, rest = (record.getMessage() for record in caplog.records)
    assert beside.endswith("are read: test.") and "left out 6 of 24 files" in rest


def test_a_folder_without_any_image_is_an_error(tmp_path):
    write(tmp_path, {"a/1.txt": b"x", "b/2.jpg": b"x"})
    with pytest.raises(ValueError, match="none of its 2 class folders, such as 'a'"):
        get_dataset("folder", dataset_dir=str(tmp_path))


def test_searching_follows_links_once_and_opens_no_pipes(folder, tmp_path):
    outside = tmp_path / "outside"
    write(outside, {"9.png": encoded("PNG")})
    os.symlink(outside, folder / "a" / "linked")
    os.symlink(folder, folder / "a" / "circle")
    os.symlink(folder / "nothing.jpg", folder / "a" / "gone.jpg")
    os.mkfifo(folder / "a" / "pipe.jpg")
    images, others = find_files(str(folder / "a"))
    assert "linked/9.png" in images
    assert {"gone.jpg", "pipe.jpg", "notes.txt"} <= {*others}
    assert not [n for n in images if n.startswith("circle/a/")]


def test_images_and_what_is_left_out_of_any_input(folder, tmp_path):
    left_out = []
    images = find_images(str(folder / "b"), left_out)
    assert [image.name for image in images] == ["6.dat", "7.txt", RAW, "deep/8.JPEG"]
    assert left_out == ["9", "list.csv"]
    assert all(image.read().shape == (6, 8, 3) for image in images)
    left_out.clear()
    images = find_images(str(folder / "a" / "*"), left_out)
    assert len(images) == 5 and left_out == [str(folder / "a" / "notes.txt")]
    (image,) = find_images(str(folder / "a" / "4"))
    assert image.read().shape == (6, 8, 3)
    names = b"\xef\xbb\xbf" + b"\r\n".join(
        os.fsencode(f"b/{n}") for n in ("6.dat", RAW)
    )
    (folder / "list.txt").write_bytes(names)
    found = find_images(str(folder / "list.txt"))
    assert [image.name for image in found] == ["b/6.dat", f"b/{RAW}"]


def test_classes_that_are_not_utf8_are_written_and_read_as_they_are(tmp_path):
    raw = os.fsdecode(b"caf\xe9")
    write(tmp_path / "photos", {f"{raw}/1.png": encoded("PNG"), "b/1": encoded("PNG")})
    make_records(str(tmp_path / "photos"), str(tmp_path / "out"), num_shards=1)
    assert b"1:caf\xe9\n" in (tmp_path / "out" / "labels.txt").read_bytes()
    dataset = get_dataset("records", dataset_dir=str(tmp_path / "out"))
    assert dataset.label_names == ("b", raw)
