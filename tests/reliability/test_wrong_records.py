"""Examples that are whole but wrong are left out, each by its file and index."""

import numpy as np
import pytest

from slimnets import data
from slimnets.data.bad_records import BadRecords, TooManyBadRecords, explained_errors
from slimnets.data.tfrecords import record_spans
from tests.reliability.kinds_of_records import (
    SHARD,
    WRONG,
    as_records,
    example,
    write_records,
)

GOOD = 4
OPTIONS = {"batch_size": 4, "image_size": 8, "split": "train"}


def dataset(directory):
    """All that may be wrong, and four good examples behind it."""
    wrong = [example(**change) for change in WRONG]
    write_records(str(directory), [*wrong, *[example()] * GOOD])
    return data.get_dataset("records", dataset_dir=str(directory))


# Boxes matter to recipes that look at them; their number always does where an example
# is looked at in place of another.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("preprocessing", "usable"), [("inception", GOOD), ("plain", GOOD + 2)]
)
def test_training_and_evaluation_go_on_without_them(preprocessing, usable, tmp_path):
    records = dataset(tmp_path)
    options = {**OPTIONS, "preprocessing": preprocessing}
    number = GOOD + len(WRONG)
    bad = BadRecords(number - usable)
    with explained_errors():
        batches = data.training_batches(records, seed=1, bad_records=bad, **options)
        for images, labels in batches.take(number // 4 + 2):
            assert np.isfinite(images).all() and set(labels.numpy()) == {1}
    assert len(bad.found) == number - usable
    assert all(name.startswith(str(tmp_path / SHARD)) for name in bad.found)
    with (
        pytest.raises(TooManyBadRecords, match=f"{SHARD}:"),
        explained_errors(),
    ):
        few = BadRecords(2)
        batches = data.training_batches(records, seed=1, bad_records=few, **options)
        list(batches.take(number // 4 + 2))


@pytest.mark.parametrize("place", [0, 3, 7, 8, 11])
def test_a_damaged_length_is_noticed(place, tmp_path):
    write_records(str(tmp_path), [example()] * 3)
    path = tmp_path / SHARD
    spans = record_spans(str(path))
    content = bytearray(path.read_bytes())
    content[spans[1, 0] - 12 + place] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{SHARD} is damaged .* of record 1"):
        record_spans(str(path))
    # As a disk leaves behind that was switched off.
    path.write_bytes(bytes(1_000_000))
    with pytest.raises(ValueError, match="of record 0"):
        record_spans(str(path))


@pytest.mark.parametrize("length", [0, 1, 255, 256, 65_537, 2**24 + 1])
def test_checksums_are_those_of_tensorflow(length, tmp_path):
    path = tmp_path / "x.tfrecord"
    path.write_bytes(as_records([b"a" * length]))
    assert record_spans(str(path)).tolist() == [[12, length]]
