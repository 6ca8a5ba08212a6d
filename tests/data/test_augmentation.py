"""Random changes of images, each against PIL, NumPy or its own law."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from slimnets import data
from slimnets.data import colors, geometry, mixing, motion, operations, policies
from slimnets.data.augmentation import Augmentation
from slimnets.data.input_config import AugmentationOptions
from slimnets.data.pixel_limit import Decoding, decode_image
from slimnets.data.preprocessing import get_preprocessing


def draws(rng, *shape):
    return rng.uniform(size=shape).astype(np.float32)


@pytest.fixture(scope="module")
def pictures():
    """A smooth image, a dark one with few colors, and noise: uint8."""
    rng = np.random.default_rng(2)
    small = Image.fromarray(rng.integers(0, 256, (5, 6, 3)).astype(np.uint8))
    smooth = np.array(small.resize((41, 30), Image.BICUBIC))
    few = (rng.integers(0, 4, (30, 41, 3)) * 20 + 10).astype(np.uint8)
    return [smooth, few, rng.integers(0, 256, (16, 17, 3)).astype(np.uint8)]


def affine(*matrix):
    return lambda image: image.transform(
        image.size, Image.AFFINE, matrix, Image.NEAREST, fillcolor=(128,) * 3
    )


def lookup(function):
    return lambda image: image.point([function(i) for i in range(256)] * 3)


PIL = [
    ("auto_contrast", 0, ImageOps.autocontrast),
    ("equalize", 0, ImageOps.equalize),
    ("invert", 0, ImageOps.invert),
    *(("posterize", b, lambda i, b=b: ImageOps.posterize(i, b)) for b in (1, 4, 8)),
    *(("solarize", t, lambda i, t=t: ImageOps.solarize(i, t)) for t in (0, 99, 256)),
    *(
        ("solarize_add", a, lookup(lambda i, a=a: min(i + a, 255) if i < 128 else i))
        for a in (0, 50, 110)
    ),
    *(
        (name.lower(), f, lambda i, n=name, f=f: getattr(ImageEnhance, n)(i).enhance(f))
        for name in ("Color", "Contrast", "Brightness", "Sharpness")
        for f in (0.1, 0.75, 1.0, 1.9)
    ),
    *(
        (
            "rotate",
            angle,
            lambda i, a=angle: i.rotate(a, Image.NEAREST, fillcolor=(128,) * 3),
        )
        for angle in (0.0, 27.3, -11.0)
    ),
    *(("shear_x", s, affine(1, s, 0, 0, 1, 0)) for s in (0.23, -0.3)),
    *(("shear_y", s, affine(1, 0, 0, s, 1, 0)) for s in (0.23, -0.3)),
]


@pytest.mark.parametrize(
    ("name", "argument", "reference"), PIL, ids=lambda v: v if type(v) is str else None
)
def test_operations_are_pils(pictures, name, argument, reference):
    for picture in pictures:
        expected = np.array(reference(Image.fromarray(picture)), np.float64)
        image = tf.constant(picture, tf.float32)
        got = getattr(operations, name)(image, tf.constant(float(argument))).numpy()
        differs = np.abs(got - expected).max(axis=-1) > 1
        # Where a turned pixel falls between two others, either may be taken.
        assert np.mean(differs) <= (0.02 if name in ("rotate", "shear_x") else 0.0)
        assert np.mean(got != expected) < 0.03


@pytest.mark.parametrize(("axis", "name"), [(0, "translate_y"), (1, "translate_x")])
def test_translation_moves_by_a_share(pictures, axis, name):
    image = pictures[2].astype(np.float32)
    share = 5 / image.shape[axis]
    got = getattr(operations, name)(tf.constant(image), tf.constant(share)).numpy()
    moved = np.roll(image, -5, axis)
    moved[(slice(None),) * axis + (slice(-5, None),)] = 128
    np.testing.assert_array_equal(got, moved)


def test_every_operation_takes_one_channel(rng):
    image = tf.constant(rng.integers(0, 256, (9, 8, 1)), tf.float32)
    for operation in policies.OPERATIONS.values():
        assert operation(image, tf.constant(1.0)).shape == (9, 8, 1)


def test_randaugment_applies_what_the_draws_choose(pictures):
    image = pictures[0][np.newaxis].astype(np.float32)
    names = list(policies.OPERATIONS)
    apply = tf.function(lambda draws: policies.randaugment(image, draws, 2, 5.0))

    def row(name, chance, side):
        return [(names.index(name) + 0.5) / len(names), chance, side]

    nothing = apply(tf.constant([row("invert", 0.5, 0.0) + row("rotate", 0.9, 0.0)]))
    np.testing.assert_array_equal(nothing, image)
    # Half of the way from 1 to 1.9, downwards; then 55 added below 128.
    got = apply(tf.constant([row("color", 0.1, 0.2) + row("solarize_add", 0.4, 0.9)]))
    expected = operations.color(tf.constant(image[0]), tf.constant(0.55))
    expected = operations.solarize_add(expected, tf.constant(55.0))
    np.testing.assert_array_equal(got[0], expected)


def test_randaugments_strength_varies_as_its_draws_do(pictures):
    image = pictures[0][np.newaxis].astype(np.float32)
    assert policies.randaugment_draws(2, 0.5) == policies.randaugment_draws(2) + 2
    index = list(policies.OPERATIONS).index("solarize_add")
    first = [(index + 0.5) / len(policies.OPERATIONS), 0.1, 0.9]
    apply = tf.function(lambda draws: policies.randaugment(image, draws, 1, 5.0, 2.0))
    # The quantiles of a normal distribution: -2 deviations, none, 1, and beyond 10.
    for draw, strength in ((0.02275, 1.0), (0.5, 5.0), (0.841345, 7.0), (1.0, 10.0)):
        got = apply(tf.constant([[*first, draw]]))
        expected = operations.solarize_add(image[0], tf.constant(11.0 * strength))
        np.testing.assert_allclose(got[0], expected, atol=1.01)  # They are rounded.


@pytest.mark.parametrize("policy", sorted(policies.AUTOAUGMENT))
def test_autoaugment_applies_the_pair_that_is_drawn(pictures, policy, rng):
    image = pictures[0][np.newaxis].astype(np.float32)
    pairs = policies.AUTOAUGMENT[policy]
    assert len(pairs) == 25
    apply = tf.function(lambda draws: policies.autoaugment(image, draws, policy))
    for index in (1, 14, 24):
        # The first is applied, and the second unless it always is.
        got = apply(tf.constant([[(index + 0.5) / 25, 0.0, 0.999, 0.9, 0.9]]))[0]
        expected = tf.constant(image[0])
        for number, (name, chance, level) in enumerate(pairs[index]):
            if number == 0 or chance == 1.0:
                known = policies.PUBLISHED[name]
                argument = known.start + (known.end - known.start) * level / 9
                expected = policies.OPERATIONS[name](expected, tf.constant(argument))
        # One operation's rounding may be magnified by the next.
        np.testing.assert_allclose(got, expected, atol=3)
    two = np.repeat(image, 2, axis=0)
    made = policies.autoaugment(two, draws(rng, 2, 5), policy)
    assert made.shape == two.shape


def test_flip_is_exact(rng):
    images = rng.normal(size=(4, 5, 6, 3)).astype(np.float32)
    flipped = motion.random_flip(images, tf.constant([[0.1], [0.49], [0.5], [0.9]]))
    np.testing.assert_array_equal(flipped[:2], images[:2, :, ::-1])
    np.testing.assert_array_equal(flipped[2:], images[2:])


def test_pad_and_crop_is_a_crop_of_the_padded_image(rng):
    images = rng.normal(size=(500, 6, 6, 2)).astype(np.float32)
    moved = motion.pad_and_crop(tf.constant(images), draws(rng, 500, 2), 2).numpy()
    found = set()
    for image, one in zip(images, moved, strict=True):
        padded = np.pad(image, [[2, 2], [2, 2], [0, 0]])
        places = [
            (y, x)
            for y in range(5)
            for x in range(5)
            if np.array_equal(padded[y : y + 6, x : x + 6], one)
        ]
        assert len(places) == 1
        found.add(places[0])
    assert len(found) == 25


def reference_crop(height, width, least, aspect, draw):
    """torchvision's RandomResizedCrop.get_params, with given random numbers."""
    for i in range(10):
        area = height * width * (least + (1 - least) * draw[i])
        ratio = np.exp(np.log(aspect) * (2 * draw[10 + i] - 1))
        w, h = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return [
                int(draw[20] * (height - h + 1)), int(draw[21] * (width - w + 1)), h, w,
            ]  # fmt: skip
    w, h = min(width, round(height * aspect)), min(height, round(width * aspect))
    return [(height - h) // 2, (width - w) // 2, h, w]


@pytest.mark.parametrize(
    ("height", "width", "least"), [(40, 60, 0.08), (90, 30, 0.5), (20, 200, 1.0)]
)
def test_random_area_window_is_torchvisions(rng, height, width, least):
    window = tf.function(geometry.random_area_window(least, 4 / 3))
    for draw in draws(rng, 60, geometry.WINDOW_DRAWS):
        got = window(tf.constant(height), tf.constant(width), tf.zeros([0, 4]), draw)
        assert got.numpy().tolist() == reference_crop(height, width, least, 4 / 3, draw)


def test_distorted_boxes_keep_to_the_box(rng):
    window = tf.function(geometry.distorted_box_window(0.05, 1.33))
    box = tf.constant([[0.5, 0.5, 0.9, 1.0]])
    for draw in draws(rng, 30, geometry.WINDOW_DRAWS):
        sizes = tf.constant(100), tf.constant(140)
        top, left, height, width = window(*sizes, box, draw).numpy()
        tall = min(top + height, 90) - max(top, 50)
        wide = min(left + width, 140) - max(left, 70)
        assert max(tall, 0) * max(wide, 0) >= 0.1 * 40 * 70 - 1
        assert 0.04 <= height * width / 14000 <= 1
        assert 0.7 <= width / height <= 1.4 or height * width == 14000
        np.testing.assert_array_equal(
            window(*sizes, box, draw), [top, left, height, width]
        )


def test_random_side_is_vggs(rng):
    window = geometry.random_side_window(56, 0.875)
    sides = []
    for draw in draws(rng, 100, geometry.WINDOW_DRAWS):
        top, left, height, width = window(100, 140, None, draw).numpy()
        assert height == width and 0 <= top <= 100 - height
        assert 0 <= left <= 140 - width
        sides.append(100 * 56 / height)  # What the shorter side was resized to.
    assert 63 < min(sides) < 70 and 120 < max(sides) < 131


@pytest.mark.parametrize("name", ["vgg", "torch", "inception", "cifar", "shift"])
def test_what_a_recipe_crops_of_itself(name):
    made = Augmentation(get_preprocessing(name), AugmentationOptions(), 56)
    assert (made.window is not None) == (name in ("vgg", "torch", "inception"))


def encoded_picture(height, width, kind="jpeg"):
    rng = np.random.default_rng(4)
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3)).astype(np.uint8))
    image = np.array(small.resize((width, height), Image.BICUBIC))
    encode = tf.io.encode_jpeg if kind == "jpeg" else tf.io.encode_png
    return encode(image)


@pytest.mark.parametrize("kind", ["jpeg", "png"])
@pytest.mark.parametrize("crop", [(10, 20, 40, 50), (0, 0, 96, 128)])
def test_decoding_a_crop_equals_cropping(kind, crop):
    encoded = encoded_picture(96, 128, kind)
    made = geometry.decode_crop(
        encoded, lambda *_: tf.constant(crop), tf.zeros([0, 4]), tf.zeros([22]), 32, 3
    )
    image = decode_image(encoded, 3).numpy()
    top, left, height, width = crop
    crop = image[top : top + height, left : left + width]
    expected = tf.image.resize(crop, [32, 32])
    # The whole is read at half of its resolution first.
    atol = 1e-3 if height < 64 or kind == "png" else 6
    # At the crop's edge a JPEG's colors lack the pixels beyond it.
    np.testing.assert_allclose(made[:-1, :-1], expected[:-1, :-1], atol=atol)


def test_color_jitter_is_torchvisions_where_nothing_is_clipped(rng):
    images = rng.uniform(90, 130, (3, 6, 5, 3)).astype(np.float32)
    numbers = draws(rng, 3, 3)
    got = colors.color_jitter(tf.constant(images), numbers, 0.4).numpy()
    for image, one, (b, c, s) in zip(images, got, 0.6 + 0.8 * numbers, strict=True):
        image = image.astype(np.float64)
        gray = image @ [0.299, 0.587, 0.114]
        image = s * image + (1 - s) * gray[..., np.newaxis]
        image = b * image
        image = c * image + (1 - c) * np.mean(image @ [0.299, 0.587, 0.114])
        np.testing.assert_allclose(one, image, atol=1e-3)
    np.testing.assert_allclose(
        colors.color_jitter(images, numbers, 0.0), images, atol=1e-4
    )
    bright = colors.color_jitter(images * 1.9, numbers * 0 + 1, 1.0).numpy()
    assert bright.max() == 255


@pytest.mark.parametrize("order", [0.2, 0.8])
def test_inception_colors_are_those_of_research_slim(rng, order):
    images = rng.uniform(40, 200, (2, 6, 5, 3)).astype(np.float32)
    numbers = np.array([[0.9, 0.1, order], [0.3, 0.8, order]], np.float32)
    got = colors.inception_colors(tf.constant(images), numbers)
    for image, one, (first, second, _) in zip(images, got, numbers, strict=True):
        image = tf.constant(image / 255)
        delta, factor = (2 * first - 1) * 32 / 255, 0.5 + second
        if order < 0.5:
            image = tf.image.adjust_brightness(image, delta)
        image = tf.image.adjust_saturation(image, factor)
        if order > 0.5:
            image = tf.image.adjust_brightness(image, delta)
        expected = tf.clip_by_value(image, 0, 1) * 255
        np.testing.assert_allclose(one, expected, atol=2e-3)


def test_erased_rectangles(rng):
    images = np.ones((400, 24, 32, 1), np.float32)
    numbers = draws(rng, 400, mixing.ERASING_DRAWS)
    erased = mixing.random_erasing(tf.constant(images), numbers, 0.5).numpy()
    shares = 1 - erased.mean(axis=(1, 2, 3))
    changed = shares > 0
    np.testing.assert_array_equal(changed, numbers[:, 0] < 0.5)
    assert shares[changed].min() > 0.01 and shares.max() < 0.36
    assert abs(shares[changed].mean() - (0.02 + 1 / 3) / 2) < 0.03
    for image in erased[changed][:20, ..., 0]:
        rows, columns = (np.flatnonzero((image == 0).any(axis)) for axis in (1, 0))
        assert (image[np.ix_(rows, columns)] == 0).all()
        assert (image == 0).sum() == len(rows) * len(columns)
        assert 0.2 < len(rows) / len(columns) < 5
    np.testing.assert_array_equal(
        mixing.random_erasing(tf.constant(images), numbers, 0.0), images
    )


@pytest.mark.parametrize("number", [6, 7])
@pytest.mark.parametrize(("mixup", "cutmix"), [(0.8, 0.0), (0.0, 1.0), (0.8, 1.0)])
def test_labels_are_mixed_as_images_are(rng, number, mixup, cutmix):
    # Image i is of the value i everywhere, and of the class i.
    images = np.ones((number, 12, 16, 1)) * np.arange(number)[:, None, None, None]
    labels = np.eye(number, dtype=np.float32)
    for seed in range(10):
        mix = mixing.draw_mix((number + 1) // 2, tf.constant([seed, 0]), mixup, cutmix)
        mixed, soft = mixing.mix_pairs(
            tf.constant(images, tf.float32), tf.constant(labels), mix
        )
        np.testing.assert_allclose(np.sum(soft, axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(
            np.mean(mixed, axis=(1, 2, 3)), soft.numpy() @ np.arange(number), atol=1e-4
        )
        partners = np.arange(number) ^ 1
        for i, row in enumerate(soft.numpy()):
            assert set(np.flatnonzero(row)) <= {i, partners[i]}
        if number % 2:
            np.testing.assert_allclose(mixed[-1], images[-1], rtol=1e-6)
        if not mixup:
            assert all(set(np.unique(i)) <= set(range(number)) for i in mixed.numpy())


def test_shares_are_of_the_beta_distribution():
    mix = mixing.draw_mix(4000, tf.constant([1, 2]), 0.2, 0.0)
    again = mixing.draw_mix(4000, tf.constant([1, 2]), 0.2, 0.0)
    np.testing.assert_array_equal(mix.share, again.share)
    assert not np.any(mix.cut)
    # A beta distribution's variance at alpha, alpha is 1 / (4 (2 alpha + 1)).
    assert abs(np.mean(mix.share) - 0.5) < 0.02
    assert abs(np.var(mix.share) - 1 / (4 * 1.4)) < 0.01
    both = mixing.draw_mix(4000, tf.constant([1, 2]), 0.2, 1.0)
    assert abs(np.mean(both.cut) - 0.5) < 0.03


OFF = AugmentationOptions(
    random_crop_area=0.0,
    random_flip=False,
    pad_and_crop=0,
    color_jitter=0.0,
    random_erasing=0.0,
)


@pytest.mark.parametrize(
    "name", [n for n in data.preprocessing_names() if get_preprocessing(n).rank == 3]
)
def test_with_all_off_training_sees_what_evaluation_sees(name, rng):
    recipe = get_preprocessing(name)
    augmentation = Augmentation(recipe, OFF, 24)
    encoded = encoded_picture(40, 52)
    image = Decoding(3)(encoded)[tf.newaxis]
    expected = recipe.prepare(image, 24, (0, 255))
    numbers = draws(rng, 1, augmentation.draws)
    stored = augmentation.stored(image, numbers, (0, 255))
    np.testing.assert_array_equal(stored, expected)
    made = augmentation.encoded(encoded, tf.zeros([0, 4]), numbers[0], Decoding(3))
    np.testing.assert_array_equal(made, expected[0])
    # And by default it does not, but for the recipe that has nothing of its own.
    own = Augmentation(recipe, AugmentationOptions(), 24)
    changed = own.stored(image, np.full((1, own.draws), 0.2, np.float32), (0, 255))
    assert np.array_equal(changed, expected) == (name in ("plain", "lenet"))


@pytest.mark.parametrize("name", ["inception", "vgg", "torch"])
def test_stored_and_encoded_images_are_cropped_alike(name, rng):
    options = AugmentationOptions(color_jitter=0.0)
    augmentation = Augmentation(get_preprocessing(name), options, 24)
    encoded = encoded_picture(40, 52, "png")
    numbers = draws(rng, 3, augmentation.draws)
    image = np.stack([Decoding(3)(encoded)] * 3)
    stored = augmentation.stored(image, numbers, (0, 255)).numpy()
    for one, row in zip(stored, numbers, strict=True):
        made = augmentation.encoded(encoded, tf.zeros([0, 4]), row, Decoding(3)).numpy()
        inner = np.s_[2:-2, 2:-2]
        scale = 127 if name == "vgg" else 1
        np.testing.assert_allclose(made[inner], one[inner], atol=0.05 * scale)
