"""One subject in a process of its own: makes it, then times steps when it is told to.

    python -m slimnets.benchmarking.worker SUBJECT WORK DIRECTORY

WORK is a Work as JSON, DIRECTORY holds the exported network. A line of JSON goes to
standard output when all is ready; then for each line of standard input, a number of
steps, one with the seconds of each step, the processors' seconds of a mean one, and
the share of the processors that the process had of what it could have used.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import resource
import sys
import time
from typing import Any

from slimnets.benchmarking.workload import Work

_IN_BYTES = sys.platform == "darwin"


def peak_memory() -> float:
    """The most memory that this process has had so far, in MB."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / 2**20 if _IN_BYTES else used / 2**10


def waited() -> float:
    """Seconds for which threads of this process were ready, but other work ran.

    Zero where the system does not tell, as Linux does.
    """
    nanoseconds = 0
    for thread in pathlib.Path("/proc/self/task").glob("*/schedstat"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            nanoseconds += int(thread.read_text().split()[1])
    return nanoseconds / 1e9


def main(name: str, text: str, directory: str) -> None:
    # What libraries print is not for the other end.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(values: dict[str, Any]) -> None:
        print(json.dumps(values), file=answers, flush=True)

    from slimnets.benchmarking import peers
    from slimnets.listing import one_line

    try:
        started = time.perf_counter()
        step = peers.step_of(name, Work(**json.loads(text)), directory)
        built = time.perf_counter()
        step()
        first = time.perf_counter()
        step()
    except peers.NotAvailable as error:
        answer({"error": str(error)})
        return
    except Exception as error:
        answer({"error": one_line(f"{type(error).__name__}: {error}", 300)})
        return
    answer({"build_seconds": built - started, "first_call_seconds": first - built})
    for line in sys.stdin:
        seconds, used, before = [], time.process_time(), waited()
        for _ in range(int(line)):
            started = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - started)
        used, lost = time.process_time() - used, max(waited() - before, 0.0)
        answer(
            {
                "seconds": seconds,
                "cpu_seconds": used / len(seconds),
                "share": used / (used + lost) if used else 1.0,
                "peak_memory_mb": peak_memory(),
            }
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
