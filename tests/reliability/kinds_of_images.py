"""Damaged images: bytes, and headers that tell of other sizes."""

import importlib.util
import io
import pathlib
import struct
import zlib

import numpy as np
import tensorflow as tf
from PIL import Image, features

from tests.reliability.fuzzing import Kind
from tests.reliability.mutations import mutated

BAD_IMAGE = (ValueError, tf.errors.InvalidArgumentError)
# An image of as many pixels as are allowed, and what decoding and resizing need.
MEGABYTES_OF_IMAGES = 1600
SIDES = (0, 1, 2, 255, 256, 4096, 9000, 20_000, 2**16 - 1, 2**24, 2**31 - 1, 2**32 - 1)
# Where each format has its sizes, and how: width first but in a JPEG.
SIZES = {
    "png": (16, ">II"),
    "gif": (6, "<HH"),
    "bmp": (18, "<II"),
    "jpeg": (None, ">HH"),
}


# What Pillow decodes, and how it writes it.
PILLOWS = {
    "webp": ("WEBP", {"quality": 80}),
    "lossless.webp": ("WEBP", {"lossless": True}),
    "tiff": ("TIFF", {}),
    "deflated.tiff": ("TIFF", {"compression": "tiff_deflate"}),
    "jpeg.tiff": ("TIFF", {"compression": "jpeg"}),
    "exif.jpeg": ("JPEG", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\x01"
                           b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"}),
    "palette.bmp": ("BMP", {}),
}  # fmt: skip
if features.check("avif"):
    PILLOWS["avif"] = ("AVIF", {})
if importlib.util.find_spec("pillow_heif"):
    PILLOWS["heic"] = ("HEIF", {})


def pixels() -> np.ndarray:
    """A picture that is not the same everywhere: uint8 `[12, 10, 3]`."""
    return np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)


def encoded(kind: str) -> bytes:
    """The picture as a JPEG, PNG, GIF (of two pictures), BMP or one of PILLOWS."""
    if kind in PILLOWS:
        return _by_pillow(*PILLOWS[kind])
    if kind == "jpeg":
        return tf.io.encode_jpeg(pixels()).numpy()
    if kind == "png":
        return tf.io.encode_png(pixels()).numpy()
    if kind == "bmp":
        rows = b"".join(row.tobytes() + bytes(-row.size % 4) for row in pixels()[::-1])
        header = struct.pack("<IHHIIiiHHIIiiII", 54 + len(rows), 0, 0, 54, 40, 10, 12,
                             1, 24, 0, len(rows), 0, 0, 0, 0)  # fmt: skip
        return b"BM" + header + rows
    # One code of nine bits for each pixel; so few that codes do not grow longer.
    codes = [256, *pixels()[..., 0].reshape(-1).tolist(), 257]
    bits = "".join(format(code, "09b")[::-1] for code in codes)
    data = bytes(int(bits[i : i + 8][::-1], 2) for i in range(0, len(bits), 8))
    picture = b"\x2c" + struct.pack("<HHHHB", 0, 0, 10, 12, 0) + b"\x08"
    picture += bytes([len(data)]) + data + b"\0"
    colors = bytes(range(256)) * 3
    comment = b"\x21\xfe\x05hello\0"
    header = b"GIF89a" + struct.pack("<HHBBB", 10, 12, 0xF7, 0, 0) + colors
    return header + comment + picture + picture + b";"


def _by_pillow(name: str, options: dict) -> bytes:
    if name == "HEIF":
        importlib.import_module("pillow_heif").register_heif_opener()
    picture = Image.fromarray(pixels()).resize((40, 48))
    file = io.BytesIO()
    picture = picture.quantize(200) if name == "BMP" else picture
    picture.save(file, name, **options)
    return file.getvalue()


def with_size(kind: str, data: bytes, width: int, height: int) -> bytes:
    """An image whose header tells another size; a PNG's checksum is right."""
    place, layout = SIZES[kind]
    sizes = (width, height) if kind != "jpeg" else (height, width)
    if place is None:
        place = data.index(b"\xff\xc0") + 5
    largest = 2 ** (8 * struct.calcsize(layout) // 2) - 1
    part = struct.pack(layout, *(min(size, largest) for size in sizes))
    data = data[:place] + part + data[place + len(part) :]
    if kind == "png":
        data = data[:29] + struct.pack(">I", zlib.crc32(data[12:29])) + data[33:]
    if kind == "gif":
        place = data.index(b"\x2c", 13 + 768) + 5
        data = data[:place] + part + data[place + len(part) :]
    return data


def _images(kind: str) -> Kind:
    def damage(rng, original):
        if kind in SIZES and rng.random() < 0.3:
            width, height = rng.choice(SIDES, 2)
            original = with_size(kind, original, int(width), int(height))
            return original if rng.random() < 0.5 else mutated(rng, original)
        return mutated(rng, original)

    def write(path):
        pathlib.Path(path).write_bytes(encoded(kind))

    return Kind(
        write, f"x.{kind}", read_image, damage=damage, refusals=BAD_IMAGE,
        megabytes=MEGABYTES_OF_IMAGES,
    )  # fmt: skip


def read_image(path: str) -> None:
    """Decodes whole, as prediction does, and a part, as training does."""
    from slimnets.data.image_files import ImageFile

    image = ImageFile(path, path).read()
    assert image.ndim == 3 and image.dtype == np.uint8
    crop = _crop(pathlib.Path(path).read_bytes())
    assert crop.shape == (8, 8, 3)


@tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
def _crop(data):
    from slimnets.data import geometry

    window = geometry.random_area_window(0.1, 4 / 3)
    draws = tf.fill([geometry.WINDOW_DRAWS], 0.5)
    return geometry.decode_crop(data, window, tf.zeros([0, 4]), draws, 8, 3)


KINDS = {kind: _images(kind) for kind in (*SIZES, *PILLOWS)}
