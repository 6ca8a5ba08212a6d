"""Images at addresses are those of the same folder here."""

import numpy as np
import pytest
import tensorflow as tf

from slimnets.data import remote_files
from slimnets.data.image_files import find_images

PICTURES = {
    f"{folder}/{number}.png": tf.io.encode_png(
        np.full([3, 2, 3], 40 * number, np.uint8)
    ).numpy()
    for folder in "ab" for number in range(3)
}  # fmt: skip


def write(path, content):
    tf.io.gfile.makedirs(path.rpartition("/")[0])
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(content)


def fill(root):
    for name, content in PICTURES.items():
        write(f"{root}/{name}", content)
    write(f"{root}/notes.txt", b"no image")
    write(f"{root}/a/.hidden.png", b"")


def check(root, here):
    """Each kind of source, at an address `root` that holds what `here` does."""
    left_out = []
    found = find_images(root, left_out)
    local = find_images(here)
    assert [image.name for image in found] == sorted(PICTURES)
    assert [image.name for image in found] == [image.name for image in local]
    assert left_out == ["notes.txt"]
    for one, other in zip(found, local, strict=True):
        np.testing.assert_array_equal(one.read(), other.read())
    names = [image.name for image in find_images(f"{root}/a/*.png")]
    assert names == [f"{root}/a/{number}.png" for number in range(3)]
    assert find_images(f"{root}/b/1.png")[0].read()[0, 0, 0] == 40
    with pytest.raises(FileNotFoundError, match=r"no file or folder .*/none"):
        find_images(f"{root}/none")


@pytest.fixture
def here(tmp_path):
    fill(str(tmp_path / "here"))
    return tmp_path / "here"


def test_tensorflows_file_systems(here, tmp_path):
    fill("ram://store/images")
    check("ram://store/images", here)
    write("ram://store/lists/all.txt", b"../images/b/2.png\nram://store/images/a/0.png")
    listed = find_images("ram://store/lists/all.txt")
    assert listed[1].path == "ram://store/images/a/0.png"
    assert listed[1].read().max() == 0
    # As in a list here, a name may have what some programs end lines at.
    odd = "ram://store/images/\u2028.png"
    write("ram://store/lists/odd.txt", odd.encode())
    assert [image.path for image in find_images("ram://store/lists/odd.txt")] == [odd]
    list_here = tmp_path / "list.txt"
    list_here.write_text(f"ram://store/images/b/2.png\n{here}/b/2.png\n")
    first, second = find_images(list_here)
    np.testing.assert_array_equal(first.read(), second.read())


def test_records_at_an_address():
    with tf.io.TFRecordWriter("ram://store/records/train-0") as writer:
        for content in PICTURES.values():
            value = tf.train.Feature(bytes_list={"value": [content]})
            features = tf.train.Features(feature={"image/encoded": value})
            example = tf.train.Example(features=features)
            writer.write(example.SerializeToString())
    for path in ("ram://store/records/train-0", "ram://store/records/train-*"):
        images = find_images(path)
        assert [image.name for image in images] == [f"train-0:{n}" for n in range(6)]
        assert images[4].read()[0, 0, 0] == 40


def test_rays_file_systems(here, monkeypatch):
    pytest.importorskip("pyarrow")
    arrows = remote_files._Arrows("file", "")
    monkeypatch.setattr(remote_files, "_system", lambda scheme, store: arrows)
    check(f"file://{here}", here)
