"""Damaged inputs of any kind are read or refused: no crash, no hang, no full memory."""

import pytest

from tests.reliability.fuzz_inputs import KINDS
from tests.reliability.fuzzing import fuzz

# A step of training and an evaluation for each file.
_FEWER = {"batches": 15}


def test_damaged_inputs_are_read_or_refused(tmp_path):
    fuzz("fuzz_inputs", ",".join(k for k in KINDS if k not in _FEWER), 1, 15, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_damaged_inputs_are_read_or_refused(kind, tmp_path):
    fuzz("fuzz_inputs", kind, 2026, _FEWER.get(kind, 1000), tmp_path)
