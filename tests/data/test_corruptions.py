"""Corruptions: each stronger than the one before, and the same for the same image."""

import numpy as np
import pytest
import tensorflow as tf

from slimnets.data import corruptions
from slimnets.data.corruptions import CORRUPTIONS, STRENGTHS, Corruption


@pytest.fixture(scope="module")
def photo():
    """Smooth hills of color, and pieces with edges, `[1, 64, 64, 3]`."""
    y, x = np.mgrid[:64, :64] / 64
    hills = [np.sin(7 * x + 3 * y), np.cos(5 * y * x), np.sin(9 * x * x - 4 * y)]
    image = 110 + 70 * np.stack(hills, axis=-1)
    rng = np.random.default_rng(0)
    for top, left in rng.integers(0, 56, [40, 2]):
        height, width = rng.integers(3, 12, 2)
        image[top : top + height, left : left + width] = rng.integers(0, 256, 3)
    return image.astype(np.uint8)[np.newaxis]


def corrupted(name, strength, images):
    return Corruption(name, strength)(tf.constant(images)).numpy()


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_stronger_one_is_farther_from_the_image(name, photo):
    found = [corrupted(name, strength, photo) for strength in STRENGTHS]
    errors = [np.mean((image - photo.astype(float)) ** 2) for image in found]
    assert errors[0] > 0 and errors == sorted(set(errors)), errors
    # In [0, 255] by its type, and none of it wraps around.
    assert all((x.dtype, x.shape) == (np.uint8, photo.shape) for x in found)
    gray = corrupted(name, 3, photo[..., :1].astype(np.float32))
    assert gray.dtype == np.float32 and gray.shape == (1, 64, 64, 1)
    assert gray.min() >= 0 and gray.max() <= 255 and np.all(gray == np.rint(gray))


def test_it_follows_from_the_image_alone(photo):
    other = photo[:, :, ::-1]
    for name in ("gaussian_noise", "motion_blur", "fog"):
        both = corrupted(name, 3, np.concatenate([other, photo]))
        alone = corrupted(name, 3, photo)
        np.testing.assert_array_equal(both[1], alone[0])
    noise = [corrupted("gaussian_noise", 1, x).astype(int) - x for x in (photo, other)]
    assert np.mean(noise[0] != noise[1]) > 0.5


def test_they_are_what_numpy_gives(photo):
    image = photo[0].astype(float)
    mean = image.mean(axis=(0, 1))
    expected = np.rint(mean + 0.3 * (image - mean))
    np.testing.assert_allclose(corrupted("contrast", 2, photo)[0], expected, atol=1)
    blocks = image.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    expected = np.rint(blocks.repeat(2, axis=0).repeat(2, axis=1))
    np.testing.assert_allclose(corrupted("pixelate", 2, photo)[0], expected, atol=1)
    gray = corrupted("brightness", 5, photo[..., :1])[0]
    expected = np.minimum(image[..., :1] + 127.5, 255)
    np.testing.assert_allclose(gray, expected, atol=1)
    # 6 of 224 pixels are 12/7 of 64; weights of two directions are a product.
    weights = np.exp(-(np.arange(-6.0, 7.0) ** 2) / (2 * (12 / 7) ** 2))
    weights /= weights.sum()
    padded = np.pad(image[..., 0], 6, "symmetric")
    rows = np.apply_along_axis(np.convolve, 0, padded, weights, "valid")
    expected = np.apply_along_axis(np.convolve, 1, rows, weights, "valid")
    found = corrupted("gaussian_blur", 5, photo)[0, ..., 0]
    np.testing.assert_allclose(found, expected, atol=1)


def test_noise_is_as_strong_as_it_says():
    gray = np.full([1, 200, 200, 1], 128, np.uint8)
    found = corrupted("gaussian_noise", 1, gray) / 255.0
    assert np.std(found) == pytest.approx(0.08, rel=0.03)
    found = corrupted("shot_noise", 1, gray) / 255.0
    assert np.std(found) == pytest.approx(np.sqrt(128 / 255 / 60), rel=0.03)
    found = corrupted("impulse_noise", 5, gray)
    assert np.mean(found == 0) == pytest.approx(0.135, abs=0.01)
    assert np.mean(found == 255) == pytest.approx(0.135, abs=0.01)


def test_names_are_checked(photo):
    assert corruptions.corruption_names("all") == list(CORRUPTIONS)
    assert corruptions.corruption_names("fog, contrast") == ["fog", "contrast"]
    with pytest.raises(ValueError, match=r"no corruption 'rain' .* gaussian_noise, "):
        corruptions.corruption_names("fog,rain")
    with pytest.raises(ValueError, match="each from 1 to 5"):
        Corruption("fog", 6)
    with pytest.raises(ValueError, match=r"1 or 3 channels; .* \(1, 64, 64, 2\)"):
        corrupted("fog", 1, photo[..., :2])
