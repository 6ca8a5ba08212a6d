"""The tests, and the exchange of checkpoints, on several versions of TensorFlow.

    python -m tests.reliability.versions [--only-checkpoints] [--environments=DIR]
        [VERSION | VERSION=PYTHON ...]

For each version (2.16, 2.18 and 2.21 by default) it makes a virtual environment in
DIR, or takes the interpreter PYTHON that has one, and runs the fast tests with it. Then
every version trains a few steps, and every other one loads what it left, compares
logits and goes on with the run. The exit code is 0 if all of it holds. An environment
is made with the interpreter that runs this: TensorFlow 2.16 and 2.18 exist for Python
up to 3.12.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import venv

from tests.reliability.scripts import ENVIRONMENT, ROOT

VERSIONS = ("2.16", "2.18", "2.21")
# Of a logit, in the unit of the largest: what the order of a sum may change.
TOLERANCE = 1e-5


def make_environment(version: str, directory: pathlib.Path) -> str:
    """Returns the interpreter of an environment with this TensorFlow."""
    python = directory / "bin" / "python"
    if not python.exists():
        venv.create(directory, with_pip=True)
    with tempfile.TemporaryDirectory() as copy:
        # Building leaves files beside setup.py, so not in the checkout.
        source = pathlib.Path(copy) / "slimnets"
        ignored = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "runs")
        shutil.copytree(ROOT, source, ignore=ignored)
        run(python, "-m", "pip", "install", "--quiet", f"{source}[test]",
            f"tensorflow=={version}.*")  # fmt: skip
        run(python, "-m", "pip", "uninstall", "--quiet", "--yes", "slimnets")
    return str(python)


def run(*command: object) -> str:
    """Runs a command in the checkout, whose slimnets it imports; returns its output."""
    return subprocess.run(
        list(map(str, command)), cwd=ROOT, env=ENVIRONMENT, check=True, text=True,
        stdout=subprocess.PIPE,
    ).stdout  # fmt: skip


def exchange(pythons: dict[str, str], directory: pathlib.Path) -> bool:
    """Whether each version reads what each other wrote; prints the differences."""
    script = ("-m", "tests.reliability.version_checkpoint")
    for version, python in pythons.items():
        written = directory / version
        written.mkdir()
        print(f"{version} writes: {run(python, *script, 'write', written).strip()}")
    agree = True
    for version, python in pythons.items():
        for other in pythons:
            found = run(python, *script, "read", directory / other)
            difference = json.loads(found.splitlines()[-1])["difference"]
            agree &= difference <= TOLERANCE
            print(f"{version} reads {other}'s: logits differ by {difference:.1e}")
    return agree


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only-checkpoints", action="store_true")
    parser.add_argument("--environments", type=pathlib.Path)
    parser.add_argument("versions", nargs="*", default=VERSIONS)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(temporary)
        environments = given.environments or directory / "environments"
        pythons = {}
        for argument in given.versions:
            version, _, python = argument.partition("=")
            if not python:
                python = make_environment(version, environments / version)
            pythons[version] = python
        holds = True
        for version, python in pythons.items():
            if given.only_checkpoints:
                break
            tests = subprocess.run([python, "-m", "pytest", "-q", "tests"], cwd=ROOT)
            holds &= tests.returncode == 0
            print(f"{version}: the tests end with {tests.returncode}")
        holds &= exchange(pythons, directory)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
