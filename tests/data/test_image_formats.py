"""Every format of images against Pillow, pixel by pixel, and what cannot be decoded."""

import io
import struct
import sys
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from slimnets.data import geometry
from slimnets.data.formats import image_format
from slimnets.data.pixel_limit import decode_image

HEIGHT, WIDTH = 9, 13
GENERATOR = np.random.default_rng(7)
PIXELS = GENERATOR.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
PICTURE = Image.fromarray(PIXELS)
ORIENTATION = 0x0112


def saved(picture, kind, **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def noise(*shape):
    return GENERATOR.integers(0, 256, shape, dtype=np.uint8)


def with_alpha(mode):
    picture = PICTURE.convert(mode)
    picture.putalpha(Image.fromarray(noise(HEIGHT, WIDTH)))
    return picture


def png(bits, color, channels, interlaced=0):
    """A PNG of random samples, without filters."""
    row = (WIDTH * bits * channels + 7) // 8
    data = b"".join(b"\0" + noise(row).tobytes() for _ in range(HEIGHT))
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, color, 0, 0, interlaced)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d))
        for t, d in chunks
    )


def interlaced_png():
    """Adam7, of one bit: each of seven passes has its own rows."""
    passes = [(0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2),
              (0, 2, 1, 2), (1, 2, 0, 1)]  # fmt: skip
    data = b""
    for top, down, left, right in passes:
        rows, columns = len(range(top, HEIGHT, down)), len(range(left, WIDTH, right))
        data += (b"\0" + noise((columns + 7) // 8).tobytes()) * rows
    plain = png(1, 0, 1, interlaced=1)
    start = plain[: plain.index(b"IDAT") - 4]
    body = b"IDAT" + zlib.compress(data)
    chunk = struct.pack(">I", len(body) - 4) + body
    return start + chunk + struct.pack(">I", zlib.crc32(body)) + plain[-12:]


def bmp(
    bits, compression=0, colors=b"", masks=b"", header=40, data=None, height=HEIGHT
):
    """A BMP of random samples; `header` is 12 for OS/2's."""
    row = (WIDTH * bits + 31) // 32 * 4
    data = noise(row * HEIGHT).tobytes() if data is None else data
    head = struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, bits)
    if header > 12:
        sizes = (header, WIDTH, height, 1, bits, compression, len(data), 0, 0, 0, 0)
        head = struct.pack("<IiiHHIIiiII", *sizes) + masks
        head += bytes(max(0, header - len(head)))
    start = 14 + len(head) + len(colors)
    size = struct.pack("<IHHI", start + len(data), 0, 0, start)
    return b"BM" + size + head + colors + data


def palette(number, entry=4):
    return b"".join(noise(3).tobytes() + bytes(entry - 3) for _ in range(number))


def gif(left=0, top=0, wider=0, higher=0, **options):
    """A GIF whose first picture lies on a canvas."""
    data = bytearray(saved(PICTURE.quantize(200), "GIF", **options))
    data[6:10] = struct.pack("<HH", WIDTH + wider, HEIGHT + higher)
    place = data.index(b"\x2c\0\0\0\0")
    data[place + 1 : place + 5] = struct.pack("<HH", left, top)
    return bytes(data)


def jpeg(mode="RGB", marked=True, **options):
    data = saved(PICTURE.resize((64, 48)).convert(mode), "JPEG", **options)
    if not marked:  # Without Adobe's segment, which tells that CMYK is inverted.
        place = data.index(b"\xff\xee")
        data = data[:place] + data[place + 2 + data[place + 3] :]
    return data


RUNS = b"".join(bytes([WIDTH, 7 * row, 0, 0]) for row in range(HEIGHT)) + b"\0\1"
MASKS = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
IMAGES = {
    "png of 1 bit": png(1, 0, 1),
    "png of 2 bits": png(2, 0, 1),
    "png of 4 bits": png(4, 0, 1),
    "png of 3 x 16 bits": png(16, 2, 3),
    "png of 4 x 16 bits": png(16, 6, 4),
    "png, interlaced": interlaced_png(),
    "png, gray": saved(PICTURE.convert("L"), "PNG"),
    "png, gray and alpha": saved(with_alpha("LA"), "PNG"),
    "png, alpha": saved(with_alpha("RGBA"), "PNG"),
    "png, palette": saved(PICTURE.quantize(16), "PNG"),
    "png, palette of 2 bits": saved(PICTURE.quantize(4), "PNG", bits=2),
    "png, transparent index": saved(PICTURE.quantize(99), "PNG", transparency=3),
    "png, transparent color": saved(
        PICTURE, "PNG", transparency=tuple(PIXELS[0, 0].tolist())
    ),
    "jpeg": jpeg(),
    "jpeg, gray": jpeg("L"),
    "jpeg, progressive": jpeg(progressive=True),
    "jpeg, CMYK": jpeg("CMYK"),
    "jpeg, CMYK unmarked": jpeg("CMYK", marked=False),
    "gif": gif(),
    "gif, interlaced": gif(interlace=1),
    "gif, transparent": gif(transparency=5),
    "gif of two": gif(save_all=True, append_images=[PICTURE.rotate(90).quantize(9)]),
    "gif, smaller than its canvas": gif(wider=4, higher=3),
    "gif within its canvas": gif(left=2, top=1, wider=4, higher=3),
    "gif, transparent within": gif(left=2, wider=4, higher=3, transparency=5),
    "bmp of 24 bits": bmp(24),
    "bmp of 24 bits, version 5": bmp(24, header=124),
    "bmp of 32 bits": bmp(32),
    "bmp of 16 bits": bmp(16),
    "bmp of 16 bits with masks": bmp(16, 3, masks=MASKS),
    "bmp, top first": bmp(24, height=-HEIGHT),
    "bmp, palette of 8 bits": bmp(8, colors=palette(256)),
    "bmp, palette of 4 bits": bmp(4, colors=palette(16)),
    "bmp, palette of 1 bit": bmp(1, colors=palette(2)),
    "bmp, gray": saved(PICTURE.convert("L"), "BMP"),
    "bmp, runs": bmp(8, 1, palette(256), data=RUNS),
    "bmp of OS/2": bmp(24, header=12),
    "bmp of OS/2, palette": bmp(8, colors=palette(256, 3), header=12),
    "webp": saved(PICTURE, "WEBP"),
    "webp, alpha": saved(with_alpha("RGBA"), "WEBP", lossless=True, exact=True),
    "webp of two": saved(
        PICTURE, "WEBP", lossless=True, save_all=True, append_images=[PICTURE.rotate(9)]
    ),
    "tiff": saved(PICTURE, "TIFF"),
    "tiff, deflated palette": saved(
        PICTURE.quantize(9), "TIFF", compression="tiff_deflate"
    ),
    "tiff of 1 bit": saved(PICTURE.convert("1"), "TIFF", compression="group4"),
    "tiff, CMYK": saved(PICTURE.convert("CMYK"), "TIFF"),
    "tiff of two": saved(
        PICTURE, "TIFF", save_all=True, append_images=[PICTURE.rotate(90)]
    ),
}  # fmt: skip


def by_pillow(data, channels, upright=False):
    picture = Image.open(io.BytesIO(data))
    picture = ImageOps.exif_transpose(picture) if upright else picture
    pixels = np.asarray(picture.convert("RGB" if channels == 3 else "L"))
    return pixels.reshape(*pixels.shape[:2], channels)


def in_graph(channels, **options):
    signature = [tf.TensorSpec([], tf.string)]
    return tf.function(
        lambda data: decode_image(data, channels, **options), input_signature=signature
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_every_format_has_pillows_pixels(channels):
    function = in_graph(channels)
    for name, data in IMAGES.items():
        expected = by_pillow(data, channels)
        for found in (decode_image(data, channels), function(data)):
            np.testing.assert_array_equal(found, expected, name)


def test_heic_is_read_through_its_plugin():
    pytest.importorskip("pillow_heif").register_heif_opener()
    data = saved(PICTURE.resize((64, 48)), "HEIF", quality=90)
    assert image_format(data) == "HEIC"
    np.testing.assert_array_equal(decode_image(data, 3), by_pillow(data, 3))


def test_avif_is_read():
    if not __import__("PIL.features").features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    data = saved(PICTURE.resize((64, 48)), "AVIF")
    assert image_format(data) == "AVIF"
    np.testing.assert_array_equal(decode_image(data, 3), by_pillow(data, 3))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_of_sixteen_bits_the_upper_eight_are_seen(kind):
    values = GENERATOR.integers(0, 2**16, (HEIGHT, WIDTH), dtype=np.uint16)
    data = saved(Image.fromarray(values), kind)
    expected = np.repeat((values >> 8)[..., np.newaxis], 3, -1)
    np.testing.assert_array_equal(decode_image(data, 3), expected)
    if kind == "TIFF":  # Black is written as 0, and read so; white may be 0 too.
        place = data.index(struct.pack("<HHI", 262, 3, 1)) + 8
        data = data[:place] + bytes(2) + data[place + 2 :]
        np.testing.assert_array_equal(decode_image(data, 3), 255 - expected)


def preview():
    """A TIFF that says of itself that it is a smaller version of another picture."""
    return saved(PICTURE, "TIFF", tiffinfo={254: 1})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (saved(Image.fromarray(PIXELS[..., 0].astype("f")), "TIFF"), "TIFF of mode F"),
        (saved(Image.fromarray(PIXELS[..., 0].astype("i")), "TIFF"), "TIFF of mode I"),
        (preview(), "raw file, of which only a preview"),
        (bmp(32, 3, masks=struct.pack("<III", 0xFF, 0xFF00, 0xFF0000)), "it is BMP"),
        (bmp(24, header=12)[:40], "it is BMP that cannot be decoded"),
        (b"BMW is a make of cars, and this is a text about it.", "it is no JPEG, PNG"),
        (IMAGES["webp"][:40], "it is WebP that cannot be decoded"),
    ],
)
def test_what_has_no_such_pixels_is_refused_by_name(data, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        decode_image(data, 3)
    with pytest.raises(tf.errors.OpError):
        in_graph(3)(data)


def test_a_graph_without_python_refuses_what_needs_it():
    function = in_graph(3, python=False)
    for name in ("jpeg", "png, palette", "gif, transparent", "bmp of 24 bits"):
        np.testing.assert_array_equal(
            function(IMAGES[name]), by_pillow(IMAGES[name], 3)
        )
    for name in ("webp", "tiff", "bmp, palette of 8 bits", "gif within its canvas"):
        with pytest.raises(
            tf.errors.InvalidArgumentError, match="no image that Tensor"
        ):
            function(IMAGES[name])


def test_the_extra_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    for name in ("webp", "tiff", "bmp, runs"):
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"PIL.*\[images\]"):
            decode_image(IMAGES[name], 3)
    assert decode_image(IMAGES["gif"], 3).shape == (HEIGHT, WIDTH, 3)


def photo(kind, orientation, order="<"):
    """A picture with EXIF of either order of bytes, which says how to turn it."""
    mark = b"II" if order == "<" else b"MM"
    entries = [(0x0100, 3, 1, WIDTH), (ORIENTATION, 3, 1, orientation)]
    exif = b"Exif\0\0" + mark + struct.pack(order + "HIH", 42, 8, len(entries))
    for tag, form, count, value in entries:
        exif += struct.pack(order + "HHIHH", tag, form, count, value, 0)
    options = {"lossless": True} if kind == "WEBP" else {}
    return saved(PICTURE, kind, exif=exif + bytes(4), **options)


def after_other_segments(data):
    """The same JPEG, whose EXIF stands behind a profile of colors and a comment."""
    profile = b"\xff\xe2" + struct.pack(">H", 40_002) + bytes(40_000)
    return data[:2] + profile + b"\xff\xfe\0\5abc" + data[2:]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_photos_are_turned_upright_unless_it_is_switched_off(kind):
    function, stored = in_graph(3), in_graph(3, exif_orientation=False)
    for orientation in range(1, 9):
        for order in "<>":
            data = photo(kind, orientation, order)
            expected = by_pillow(data, 3, upright=True)
            np.testing.assert_array_equal(decode_image(data, 3), expected)
            np.testing.assert_array_equal(function(data), expected)
            np.testing.assert_array_equal(stored(data), by_pillow(data, 3))
    if kind == "JPEG":
        data = after_other_segments(data)
        np.testing.assert_array_equal(function(data), expected)


@pytest.mark.parametrize("orientation", [0, 9, 2**16 - 1])
def test_an_orientation_that_there_is_not_turns_nothing(orientation):
    data = photo("JPEG", orientation)
    np.testing.assert_array_equal(decode_image(data, 3), by_pillow(data, 3))


@pytest.mark.parametrize("cut", [6, 8, 14, 16, 20, 30])
def test_exif_that_is_cut_short_turns_nothing(cut):
    data = photo("JPEG", 6)
    place = data.index(b"Exif")
    rest = place + struct.unpack(">H", data[place - 2 : place])[0] - 2
    short = struct.pack(">H", cut + 2) + data[place : place + cut]
    data = data[: place - 2] + short + data[rest:]
    expected = by_pillow(photo("JPEG", 1), 3)
    np.testing.assert_array_equal(decode_image(data, 3), expected)


@pytest.mark.parametrize(("side", "exif_orientation"), [(8, True), (90, True), (90, 0)])
def test_a_crop_is_of_the_upright_image(side, exif_orientation):
    """A window of training lies where it would in the image that is decoded whole."""
    large = PICTURE.resize((3, 2)).resize((160, 112), Image.Resampling.BICUBIC)
    window = tf.constant([16, 24, 64, 80])

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def crop(data):
        return geometry.decode_crop(
            data, lambda *_: window, tf.zeros([0, 4]), tf.zeros([8]), side, 3,
            exif_orientation,
        )  # fmt: skip

    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        data = saved(large, "JPEG", quality=95, subsampling=0, exif=exif)
        whole = decode_image(data, 3, exif_orientation=exif_orientation)
        expected = geometry.resize(whole[tf.newaxis, 16:80, 24:104], side, side)[0]
        # At a part of the resolution a JPEG's pixels are means of blocks.
        atol = 0 if side == 90 else 15
        np.testing.assert_allclose(crop(data), expected, atol=atol)
