"""Images that would fill the memory are refused before anything is decoded."""

import io
import pathlib
import resource
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from slimnets.data import record_writer
from slimnets.data.bad_records import BadRecords, TooManyBadRecords
from slimnets.data.datasets import get_dataset
from slimnets.data.image_files import BadImage, ImageFile
from slimnets.data.pipeline import evaluation_batches, training_batches
from slimnets.data.pixel_limit import MOST_PIXELS, MOST_SCANS, decode_image
from tests.reliability.kinds_of_images import SIZES, encoded, pixels, with_size

LARGE = {"jpeg": 20_000, "png": 2**31 - 1, "gif": 2**16 - 1, "bmp": 2**31 - 1}


def bomb(kind):
    """An image of a few hundred bytes that tells of more pixels than are allowed."""
    return with_size(kind, encoded(kind), LARGE[kind], LARGE[kind])


def megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_small_is_decoded_as_tensorflow_does(kind, channels):
    data = encoded(kind)
    image = decode_image(data, channels)
    assert image.shape == (12, 10, channels)
    expected = tf.io.decode_image(data, 3, expand_animations=False)
    if channels == 1:
        gray = np.asarray(Image.fromarray(expected.numpy()).convert("L"))
        expected = gray[..., np.newaxis]
    in_graph = tf.function(lambda data: decode_image(data, channels))
    np.testing.assert_array_equal(in_graph(data), image)
    # TensorFlow's own default rounds a JPEG more coarsely.
    np.testing.assert_allclose(image, expected, atol=16 if kind == "jpeg" else 0)
    if kind in ("png", "bmp") and channels == 3:
        np.testing.assert_array_equal(
            image[..., :: 1 if kind == "png" else -1], pixels()
        )


@pytest.mark.parametrize("kind", SIZES)
def test_a_bomb_is_refused_and_takes_no_memory(kind):
    side = LARGE[kind]
    message = f"it is of {side} x {side} pixels; the most allowed are {MOST_PIXELS}"
    before = megabytes()
    with pytest.raises(tf.errors.InvalidArgumentError, match="pixels; the most"):
        tf.function(lambda data: decode_image(data, 3))(bomb(kind))
    path = pathlib.Path(f"bomb.{kind}")
    with pytest.raises(BadImage, match=message) as caught:
        bombed(path, kind).read()
    assert "tf.Tensor" not in str(caught.value)
    print(f"{kind}: {len(bomb(kind))} bytes, {megabytes() - before:.0f} MB")
    assert megabytes() - before < 50


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def bombed(path, kind):
    path.write_bytes(bomb(kind))
    return ImageFile(str(path), str(path))


@pytest.mark.parametrize("kind", ["tiff", "lossless.webp", "webp"])
def test_a_bomb_for_pillow_is_refused_and_takes_no_memory(kind):
    data = bytearray(encoded(kind))
    if kind == "tiff":
        for tag in (256, 257):
            place = data.index(struct.pack("<HHI", tag, 4, 1)) + 8
            data[place : place + 4] = struct.pack("<I", 60_000)
    elif kind == "webp":  # 14 bits of each, behind the start code.
        place = data.index(b"\x9d\x01\x2a") + 3
        data[place : place + 4] = struct.pack("<HH", 16_383, 16_383)
    else:
        place = data.index(b"VP8L") + 9
        data[place : place + 4] = struct.pack("<I", 2**28 - 1)
    before = megabytes()
    with pytest.raises(tf.errors.InvalidArgumentError, match="pixels; the most"):
        decode_image(bytes(data), 3)
    print(f"{kind}: {len(data)} bytes, {megabytes() - before:.0f} MB")
    assert megabytes() - before < 50


def test_as_many_pixels_as_are_allowed_are_decoded():
    height = MOST_PIXELS // 20_000
    with pytest.raises(tf.errors.InvalidArgumentError, match="pixels; the most"):
        decode_image(with_size("png", encoded("png"), 20_000, height + 1), 3)
    # Of this one, only what follows the header is wrong.
    with pytest.raises(tf.errors.InvalidArgumentError, match="Invalid PNG"):
        decode_image(with_size("png", encoded("png"), 20_000, height), 3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no JPEG, PNG, GIF, BMP"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "it is WebP that cannot be decoded"),
        (b"\x89PNG", "begins with its header"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\1tEXt", "begins with its header"),
        (b"GIF89a", "no picture in it that ends"),
        (encoded("gif")[:900], "no picture in it that ends"),
        (encoded("gif")[:13] + b"\x21\xfe\0" * 10_000, "no picture in it that ends"),
        (b"BM", "no JPEG, PNG, GIF, BMP"),
        (b"\xff\xd8\xff", "Invalid JPEG"),
    ],
)
def test_what_is_no_image_is_refused(data, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"(?i){message}"):
        decode_image(data, 3)


def test_a_jpeg_of_many_scans_is_refused():
    image = pytest.importorskip("PIL.Image").new("RGB", (2000, 2000))
    file = io.BytesIO()
    image.save(file, "JPEG", progressive=True)
    data = file.getvalue()
    scan = data[data.rindex(b"\xff\xda") :][:14]
    few = 5
    assert decode_image(data[:-2] + scan * few + data[-2:], 3).shape == (2000, 2000, 3)
    many = MOST_SCANS * MOST_PIXELS // 2000**2
    with pytest.raises(tf.errors.InvalidArgumentError, match="scans, too many"):
        decode_image(data[:-2] + scan * many + data[-2:], 3)


@pytest.fixture
def folder(tmp_path):
    """Two classes of twelve images; one of each format is a bomb."""
    for name in ("a", "b"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(12):
            path = tmp_path / "images" / name / f"{i:02}.png"
            path.write_bytes(encoded("png"))
    for i, kind in enumerate(SIZES):
        path.with_name(f"{i:02}.png").write_bytes(bomb(kind))
    return tmp_path / "images"


@pytest.mark.slow
def test_bombs_are_bad_records_everywhere(folder, tmp_path):
    dataset = get_dataset("folder", dataset_dir=str(folder))
    options = {"image_size": 8, "batch_size": 4, "preprocessing": "plain"}
    before = megabytes()
    bad = BadRecords(4)
    batches = evaluation_batches(dataset, split="all", bad_records=bad, **options)
    assert sum(len(labels) for _, labels in batches) == 20
    assert len(bad.found) == 4
    assert all("pixels; the most" in reason for reason in bad.found.values())
    bad = BadRecords(4)
    for _ in training_batches(dataset, seed=1, bad_records=bad, **options).take(6):
        pass
    assert len(bad.found) == 4
    output = tmp_path / "records"
    written = record_writer.make_records(
        str(folder), str(output), num_shards=1, max_bad_records=4
    )
    assert len(written.bad) == 4 and sum(written.images.values()) == 20
    with pytest.raises(TooManyBadRecords, match="4 images cannot be used") as error:
        record_writer.make_records(str(folder), str(tmp_path / "no"), num_shards=1)
    lines = str(error.value).splitlines()[1:]
    assert [line.split(":")[0].strip() for line in lines] == sorted(written.bad)
    assert all("pixels; the most" in line for line in lines)
    assert not list((tmp_path / "no").glob("train-*"))
    print(f"4 bombs in 24 images: {megabytes() - before:.0f} MB")
    assert megabytes() - before < 200
