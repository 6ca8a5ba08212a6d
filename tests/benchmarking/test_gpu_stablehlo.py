"""The benchmark for a GPU, small and on a processor: it only times what is right."""

import importlib.util
import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("jax", "torch", "timm"))),
    reason="needs JAX, torch and timm",
)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_five_networks_run_by_jax_give_what_torch_gives(precision):
    program = [sys.executable, "-m", "tests.benchmarks.gpu_stablehlo"]
    small = ["--batch_size=2", "--image_size=64", f"--precision={precision}"]
    done = subprocess.run(
        [*program, *small, "--turns=1"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    _, headings, *rows = done.stdout.splitlines()
    assert headings.split()[:2] == ["JAX,", "images/s"] and len(rows) == 5
    assert all(float(number) > 0 for row in rows for number in row.split()[1:4])
