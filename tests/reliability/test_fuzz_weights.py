"""Damaged files of weights are read or refused: no crash, no hang, no full memory."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import pytest

from tests.reliability.fuzz_weights import KINDS

ROOT = pathlib.Path(__file__).parents[2]


def fuzz(kind, seed, count, directory):
    """Runs tests.reliability.fuzz_weights; prints and returns what it counts."""
    if "pth" in kind and importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "tests.reliability.fuzz_weights", kind, seed, count],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=3000,
    )
    assert done.returncode == 0, f"{kind}, seed {seed}: {done.stderr[-3000:]}"
    counts = json.loads(done.stdout)
    print(f"{kind}: {counts}")
    return counts


def check(counts, number):
    assert counts["read"] + counts["refused"] == number
    # The damage is neither all harmless nor all noticed at once.
    assert counts["refused"] > 0


# In a process of their own each, so few kinds in the fast suite.
@pytest.mark.parametrize("kind", ["safetensors", "npz", "h5", "index"])
def test_damaged_weights_are_read_or_refused(kind, tmp_path):
    check(fuzz(kind, "1", "60", tmp_path), 60)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_damaged_weights_are_read_or_refused(kind, tmp_path):
    check(fuzz(kind, "2026", "1500", tmp_path), 1500)
