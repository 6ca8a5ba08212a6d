"""Windows over large photos, and boundaries, beside what is plain to see."""

import itertools

import numpy as np
import pytest

from slimnets.data import get_preprocessing
from slimnets.tasks.boundaries import boundary_f
from slimnets.tasks.finding import Finder
from slimnets.tasks.windows import _spans, with_windows

SIZE = 32
# Pixels of an object that is not too small to be seen.
LEAST = 40
RECIPE = get_preprocessing("plain").letterboxed()


@pytest.mark.parametrize(("length", "overlap"), [(32, 0.5), (33, 0.25), (100, 0.25),
                                                 (257, 0.0), (90, 0.9)])  # fmt: skip
def test_windows_cover_an_axis_once(length, overlap):
    spans = _spans(length, SIZE, overlap)
    owners = np.zeros(length, int)
    for span in spans:
        assert span.seen.stop - span.seen.start == SIZE and span.seen.start >= 0
        assert span.seen.start <= span.own.start < span.own.stop <= span.seen.stop
        owners[span.own] += 1
    assert (owners == 1).all()
    for one, other in itertools.pairwise(spans):
        assert one.seen.stop - other.seen.start >= overlap * SIZE
        # What is beside a window's own part is seen by half of the overlap.
        beyond = one.seen.stop - one.own.stop, other.own.start - other.seen.start
        assert abs(beyond[0] - beyond[1]) <= 1


def test_masks_of_windows_are_those_of_every_pixel(rng):
    """A head that tells bright pixels from dark ones is the same in any window."""

    def find(images):
        return {"mask": (images[..., 0] > 0).astype(np.int32)}

    photo = rng.integers(0, 256, (75, 140, 3), dtype=np.uint8)
    finder = with_windows(Finder(find, RECIPE, SIZE), SIZE, 0.3)
    assert finder.photos_at_once(8) == 1
    (found,) = finder([finder.prepare(photo)], 4)
    np.testing.assert_array_equal(found["mask"], photo[..., 0] > 127)


def objects_in(images):
    """A head that finds the squares in images, those that it sees in part too."""
    boxes = np.zeros([len(images), 20, 4], np.float32)
    scores, classes = np.zeros([2, len(images), 20], np.float32)
    number = np.zeros(len(images), np.int32)
    for i, image in enumerate(images):
        for value in np.unique(image[image > 0]):
            place, (rows, columns) = number[i], np.nonzero(image[..., 0] == value)
            if len(rows) < LEAST:
                continue
            low, high = (rows.min(), columns.min()), (rows.max(), columns.max())
            boxes[i, place] = [*low, high[0] + 1, high[1] + 1]
            # What is seen whole, and large, is surer.
            scores[i, place] = len(rows) / 2000
            number[i] += 1
    return {"boxes": boxes, "scores": scores, "classes": classes, "number": number}


def test_boxes_of_windows_are_found_once():
    photo = np.zeros((96, 128, 3), np.uint8)
    wanted = {200: (3, 5, 11, 14), 210: (20, 27, 30, 37), 220: (60, 100, 68, 108),
              230: (88, 120, 96, 128)}  # fmt: skip
    for value, (top, left, bottom, right) in wanted.items():
        photo[top:bottom, left:right] = value
    finder = with_windows(Finder(objects_in, RECIPE, SIZE), SIZE, 0.5)
    (found,) = finder([photo], 3)
    order = np.lexsort(found["boxes"].T[::-1])
    np.testing.assert_array_equal(found["boxes"][order], sorted(wanted.values()))
    assert (np.diff(found["scores"]) <= 0).all()


def test_a_photo_that_is_small_is_seen_whole():
    whole = Finder(objects_in, RECIPE, SIZE)
    photo = np.zeros((32, 32, 3), np.uint8)
    photo[4:9, 20:32] = 200
    (wanted,) = whole([whole.prepare(photo)])
    (found,) = with_windows(whole, SIZE, 0.5)([photo])
    np.testing.assert_array_equal(found["boxes"], wanted["boxes"])
    assert with_windows(whole, None, None) is whole
    for given, message in (
        ((None, 0.5), "of no effect without window_size"),
        ((0, None), "window_size=0"),
        ((9, 1.0), r"\[0, 1\)"),
    ):
        with pytest.raises(ValueError, match=message):
            with_windows(whole, *given)


def test_boundaries():
    truth = np.zeros((60, 80), int)
    truth[20:40, 20:40] = 1
    assert boundary_f(truth, truth, 3)[:2].tolist() == [1, 1]
    assert np.isnan(boundary_f(truth, truth, 3)[2])
    # A hundredth of the diagonal is 1 pixel: by so much a square may be wrong.
    near, far = np.zeros_like(truth), np.zeros_like(truth)
    near[21:41, 21:41] = 1
    far[24:44, 20:40] = 1
    np.testing.assert_allclose(boundary_f(truth, near, 2), 1, atol=0.03)
    # Of the square's four sides two are met, but for their corners.
    np.testing.assert_allclose(boundary_f(truth, far, 2), 0.45, atol=0.05)
    np.testing.assert_array_equal(boundary_f(truth, 0 * truth, 2), 0)
    # What is ignored is filled from both sides, and what is left of it is no boundary.
    void = truth.copy()
    void[18:22, 18:42] = -1
    assert boundary_f(void, truth, 2).min() == 1
    void[:, 45:] = -1
    found = truth.copy()
    found[:, 50:] = 2
    np.testing.assert_array_equal(boundary_f(void, found, 3), [1, 1, np.nan])
