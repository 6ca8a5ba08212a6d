"""Processes of one run, of which one is lost."""

import json
import subprocess
import sys
import time

import pytest

from slimnets.cli import train_command
from tests.reliability.scripts import ENVIRONMENT
from tests.training.cluster import (
    addresses,
    finish,
    start_worker,
    wait_for_checkpoint,
)
from tests.training.runs import saved_step

# How long a worker may take to notice that another is lost, and to end.
SECONDS_TO_NOTICE = 120
LONELY = """
import sys
from slimnets.cli import main, train_command
train_command.SECONDS_TO_START = 5
sys.exit(main.main(["train", "--model_name=lenet", *sys.argv[1:]]))
"""


def flags(train_dir, **changes):
    return {
        "model_name": "plain", "train_dir": str(train_dir), "batch_size": 48,
        "learning_rate": 0.05, "max_number_of_steps": 800, "log_every_n_steps": 100,
        "save_interval_steps": 100, **changes,
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("lost", [1, 0])
def test_workers_go_on_after_one_of_three_is_killed(lost, tmp_path):
    """Worker 0 is the chief, which writes; the lost one is started again at once."""
    given, workers = flags(tmp_path), addresses(3)
    processes = [start_worker(given, workers, index) for index in range(3)]
    wait_for_checkpoint(tmp_path, processes)
    lost_one = processes.pop(lost)
    lost_one.kill()
    lost_one.communicate()
    again = [start_worker(given, workers, lost)]
    killed = time.monotonic()
    results = finish(processes, SECONDS_TO_NOTICE)
    seconds = time.monotonic() - killed
    saved = saved_step(tmp_path)
    assert 0 < saved < 800
    # TensorFlow cannot take one back: the others end, and say what to do.
    for process, (_, said) in zip(processes, results, strict=True):
        assert process.returncode == 1
        assert "slimnets: Another worker is lost (" in said
        assert f"goes on from the last checkpoint in {tmp_path}" in said
    others = [index for index in range(3) if index != lost]
    again += [start_worker(given, workers, index) for index in others]
    results = finish(again)
    assert [process.returncode for process in again] == [0, 0, 0], results
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["first_step"], summary["steps"]) == (saved, 800)
    print(
        f"worker {lost} of 3 killed: the others ended in {seconds:.0f} s; all went on "
        f"from step {saved}"
    )


def test_a_worker_does_not_wait_for_ever_for_the_others(tmp_path):
    alone = subprocess.run(
        [sys.executable, "-c", LONELY, "--strategy=multi_worker", "--task_index=1",
         f"--workers={addresses(2)}", f"--train_dir={tmp_path}"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
    )  # fmt: skip
    assert alone.returncode == 1
    assert "slimnets: waits for all workers, 5 s at most" in alone.stderr
    assert "Timeout (0:00:05)!" in alone.stderr
    assert train_command.SECONDS_TO_START == 600
