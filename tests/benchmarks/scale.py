"""Work by a Ray cluster beside one process's, over many images: same results, what it
costs, and what becomes of it when a node and the driver are killed.

    python -m tests.benchmarks.scale IMAGES CHECKPOINT WORK_DIRECTORY

prints a line of JSON for each step. Seconds of processor are of all processes that a
command starts, Ray's own too: on a machine with other work they say more than seconds.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import uuid

from tests.sharding.nodes import Cluster, kill_node

_MARK = "SLIMNETS_BENCHMARK"
_TICKS = os.sysconf("SC_CLK_TCK")
_SHARDS = 20


class Command:
    """A command of slimnets, and what its processes have used."""

    def __init__(self, name, *flags):
        mark = uuid.uuid4().hex
        self._mark = f"{_MARK}={mark}".encode()
        self._used, self._began = {}, time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "slimnets", name, *map(str, flags)],
            env={**os.environ, _MARK: mark},
            stdout=subprocess.DEVNULL,
        )

    def wait(self, is_so=lambda: False):
        """Until that is so, or it has ended; the processor's seconds so far."""
        while self.process.poll() is None and not is_so():
            self._look()
            time.sleep(0.2)
        return round(sum(self._used.values()), 1)

    @property
    def seconds(self):
        return round(time.monotonic() - self._began, 1)

    def _look(self):
        for folder in sorted(pathlib.Path("/proc").glob("[0-9]*"), key=_by_number):
            with contextlib.suppress(OSError):
                numbers = folder.joinpath("stat").read_text().rpartition(")")[2].split()
                # Ray writes names of processes over their environment.
                known = numbers[1] in self._used or folder.name in self._used
                if known or self._mark in folder.joinpath("environ").read_bytes():
                    self._used[folder.name] = sum(map(int, numbers[11:13])) / _TICKS


def _by_number(folder):
    return int(folder.name)


def digest_of(path):
    path = pathlib.Path(path)
    files = sorted(path.glob("features-*")) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return len(files), digest.hexdigest()


def main(images, checkpoint, work):
    work = pathlib.Path(work)
    work.mkdir(exist_ok=True)
    number = sum(1 for _ in pathlib.Path(images).rglob("*.png"))
    common = [f"--input={images}", f"--checkpoint_path={checkpoint}"]
    features = [*common, f"--shard_size={-(-number // _SHARDS)}"]

    def report(step, command, output, **more):
        used = command.wait()
        files, digest = digest_of(output)
        print(
            json.dumps({"step": step, "code": command.process.returncode,
                        "seconds": command.seconds, "processor_seconds": used,
                        "files": files, "sha256": digest[:16], **more}),
            flush=True,
        )  # fmt: skip

    def run(step, name, output, *flags):
        command = Command(name, *flags, f"--output={output}")
        report(step, command, output)

    run("features, one process", "features", work / "one", *features)
    ray = "--engine=ray"
    run("features, Ray here", "features", work / "here", *features, ray)
    with Cluster() as cluster:
        joined = [ray, f"--engine_address={cluster.address}"]
        there = work / "there"
        flags = [*features, *joined, f"--output={there}"]

        def done():
            return len(list(there.glob("features-*")))

        command = Command("features", *flags)
        command.wait(lambda: done() >= _SHARDS // 4)
        kill_node(cluster)
        command.wait(lambda: done() >= _SHARDS // 2)
        command.process.send_signal(signal.SIGKILL)
        command.wait()
        before = done()
        command = Command("features", *flags)
        report("features, node and driver killed", command, there, before=before)
        rows = work / "there.csv"
        run("predict, three nodes", "predict", rows, *common, *joined)
    run("predict, one process", "predict", work / "one.csv", *common)


if __name__ == "__main__":
    main(*sys.argv[1:])
