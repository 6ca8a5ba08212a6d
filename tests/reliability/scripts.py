"""Runs the scripts of this folder in processes of their own."""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def run_script(name, *arguments, before=()):
    """Runs `python -m tests.reliability.NAME`; prints and returns what it counts."""
    given = list(map(str, arguments))
    done = subprocess.run(
        [*before, sys.executable, "-m", f"tests.reliability.{name}", *given],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=7200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    counts = json.loads(done.stdout.splitlines()[-1])
    print(f"{name} {' '.join(given)}: {counts}")
    return counts
