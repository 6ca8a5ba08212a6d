"""Starts and ends the processes of one run, on this machine."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import time

from slimnets.training.cluster import CLUSTER
from tests.training.runs import saved_step

ROOT = pathlib.Path(__file__).parents[2]
# Far more than a run takes; on a machine with much other work minutes are not enough.
SECONDS_TO_HANG = 1200


def free_ports(number):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [server.getsockname()[1] for server in held]
    for server in held:
        server.close()
    return ports


def addresses(number):
    """As --workers takes them."""
    return ",".join(f"127.0.0.1:{port}" for port in free_ports(number))


def start_worker(settings, workers, index):
    """Starts one of the processes of a run that take their steps together."""
    flags = {"strategy": "multi_worker", "workers": workers, "task_index": index}
    return start_process({**settings, **flags})


def parameter_server_flags(settings, workers=2, parameter_servers=1):
    """Flags of each process of a run with parameter servers, by its role and index."""
    common = {
        **settings, "strategy": "parameter_server", "chief": addresses(1),
        "workers": addresses(workers),
        "parameter_servers": addresses(parameter_servers),
    }  # fmt: skip
    flags = {("chief", 0): {**common, "task_type": "chief"}}
    for kind, number in (("ps", parameter_servers), ("worker", workers)):
        for index in range(number):
            given = {**common, "task_type": kind, "task_index": index}
            flags[kind, index] = given
    return flags


def start_process(flags):
    """Starts one process, of the command with these flags."""
    environment = {k: v for k, v in os.environ.items() if k != CLUSTER}
    environment |= {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen(
        [sys.executable, ROOT / "tests" / "training" / "worker.py", json.dumps(flags)],
        env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def start_workers(settings, number):
    """Starts all processes of a run."""
    workers = addresses(number)
    return [start_worker(settings, workers, index) for index in range(number)]


def finish(processes, timeout=SECONDS_TO_HANG):
    """Waits for all; what each printed, of those that did not end too."""
    deadline = time.monotonic() + timeout
    results, late = [], []
    for process in processes:
        try:
            left = max(deadline - time.monotonic(), 0.1)
            results.append(process.communicate(timeout=left))
        except subprocess.TimeoutExpired:
            process.kill()
            results.append(process.communicate())
            late.append(process.args[-1])
    assert not late, (f"not ended in {timeout} s: {late}", results)
    return results


def wait_for_checkpoint(train_dir, processes, after=0, timeout=SECONDS_TO_HANG):
    """Until the run has taken steps after a step, and saved them."""
    deadline = time.monotonic() + timeout
    while saved_step(train_dir) <= after:
        if time.monotonic() > deadline or processes[0].poll() is not None:
            for process in processes:
                process.kill()
            raise AssertionError(finish(processes))
        time.sleep(0.2)
