"""Damaged files of weights are read or refused: no crash, no hang, no full memory."""

import importlib.util

import pytest

from tests.reliability.fuzz_weights import KINDS
from tests.reliability.fuzzing import fuzz


def test_damaged_weights_are_read_or_refused(tmp_path):
    fuzz("fuzz_weights", "safetensors,npz,h5,index", 1, 60, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_damaged_weights_are_read_or_refused(kind, tmp_path):
    if "pth" in kind and importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed")
    fuzz("fuzz_weights", kind, 2026, 1500, tmp_path)
