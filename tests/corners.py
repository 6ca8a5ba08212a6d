"""The fast tests on other Pythons and TensorFlows, each in an environment of its own.

    python -m tests.corners python3.10=2.16 python3.13=2.21

installs the last commit with that TensorFlow for that Python, in a folder of its own,
runs the tests, and prints a line of the table in BUILD.md for each. What pytest said is
in corner-PYTHON-TENSORFLOW.log in the working directory. Returns 1 if a corner failed.
"""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parents[1]

SCRIPT = """
set -e
mkdir checkout
git -C {root} archive HEAD | tar -x -C checkout
{python} -m venv environment
cd checkout
../environment/bin/pip install --quiet -e '.[test]' 'tensorflow=={tensorflow}.*'
../environment/bin/python -c 'import sys, tensorflow, keras, numpy
packages = (m.__version__ for m in (tensorflow, keras, numpy))
print(sys.version.split()[0], *packages)'
../environment/bin/pytest -q -n auto
"""


def run(python: str, tensorflow: str) -> bool:
    """Runs the tests on one corner, prints its line, returns whether they passed."""
    name = f"corner-{pathlib.Path(python).name}-{tensorflow}.log"
    log = pathlib.Path(name).absolute()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, log.open("w") as output:
        script = SCRIPT.format(root=ROOT, python=python, tensorflow=tensorflow)
        code = subprocess.run(
            ["bash", "-c", script], cwd=folder, stdout=output, stderr=output
        ).returncode
    lines = log.read_text().splitlines() or [""]
    versions = [
        line for line in lines if line.startswith("3.") and line.count(" ") == 3
    ]
    cells = versions[0].split() if versions else [python, tensorflow, "", ""]
    # TensorFlow may have the last word, when its process ends.
    tests = [line for line in lines if re.match(r"\d.* in [\d.]+s", line)]
    minutes = (time.monotonic() - start) / 60
    cells += [(tests or lines)[-1], f"{minutes:.0f} min"]
    print("|", " | ".join(cells), "|", flush=True)
    return code == 0


def main(corners: list[str]) -> int:
    if not corners or not all("=" in corner for corner in corners):
        print(__doc__, file=sys.stderr)
        return 2
    print("| Python | TensorFlow | Keras | NumPy | tests | whole |")
    print("|---|---|---|---|---|---|", flush=True)
    return 0 if all([run(*corner.split("=")) for corner in corners]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
