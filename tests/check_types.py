"""Checks the type hints, of which tests/untyped.json says how far they are.

    python -m tests.check_types [--write]

mypy may find no more faults in a file than are noted there, and in a file that is not
noted none. With --write the numbers that have fallen are noted; none ever rises.
"""

import collections
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]
BASELINE = pathlib.Path(__file__).with_name("untyped.json")
_ERROR = re.compile(r"(slimnets/[^:]+):\d+: error: .*")


def faults() -> dict[str, list[str]]:
    """What mypy finds, by file."""
    command = [sys.executable, "-m", "mypy", "slimnets"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode > 1:
        raise RuntimeError(done.stdout + done.stderr)
    found = collections.defaultdict(list)
    for match in map(_ERROR.fullmatch, done.stdout.splitlines()):
        if match:
            found[match[1]].append(match[0])
    return found


def main(arguments: list[str]) -> int:
    known = json.loads(BASELINE.read_text()) if BASELINE.exists() else None
    found = {path: lines for path, lines in sorted(faults().items())}
    numbers = {path: len(lines) for path, lines in found.items()}
    if known is not None:
        risen = [path for path in numbers if numbers[path] > known.get(path, 0)]
        for path in risen:
            print(*found[path], sep="\n")
            print(f"{path}: {numbers[path]} faults, {known.get(path, 0)} are noted.")
        if risen:
            return 1
    if "--write" in arguments:
        BASELINE.write_text(json.dumps(numbers, indent=1) + "\n")
    print(f"{sum(numbers.values())} faults in {len(numbers)} files, as noted or fewer")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
