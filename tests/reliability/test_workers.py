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
    parameter_server_flags,
    start_process,
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


@pytest.mark.parametrize(
    "roles",
    [
        lambda: {"strategy": "multi_worker", "task_index": 1, "workers": addresses(2)},
        pytest.param(
            lambda: parameter_server_flags({})["chief", 0], marks=pytest.mark.slow
        ),
    ],
    ids=["multi_worker", "parameter_server"],
)
def test_a_worker_does_not_wait_for_ever_for_the_others(roles, tmp_path):
    given = {**roles(), "train_dir": tmp_path}
    alone = subprocess.run(
        [sys.executable, "-c", LONELY, *(f"--{k}={v}" for k, v in given.items())],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert alone.returncode == 1
    assert "slimnets: waits for all workers, 5 s at most" in alone.stderr
    assert "Timeout (0:00:05)!" in alone.stderr
    assert train_command.SECONDS_TO_START == 600


# Parameter servers, whose chief is all that evaluates and writes.


def start_with_parameter_server(train_dir, **changes):
    """The flags and the processes of a run by role: a chief, a ps, two workers."""
    settings = flags(train_dir, max_number_of_steps=6000, **changes)
    given = parameter_server_flags(settings)
    processes = {role: start_process(given[role]) for role in given}
    wait_for_checkpoint(train_dir, [processes["chief", 0]])
    return given, processes


def kill(processes, *role):
    """Ends one process at once, and leaves the others."""
    lost = processes.pop(role)
    lost.kill()
    lost.communicate()


def check_ended(train_dir, processes, first_step):
    """All have ended well, and the run has, from a step on, taken all of its own."""
    results = finish(list(processes.values()))
    assert {process.returncode for process in processes.values()} == {0}, results
    summary = json.loads((train_dir / "summary.json").read_text())
    assert summary["steps"] == 6000
    assert summary["first_step"] == first_step
    assert summary["evaluation"]["test_accuracy"] > 0.5


@pytest.mark.slow
def test_a_killed_worker_is_taken_back_while_the_run_goes_on(tmp_path):
    given, processes = start_with_parameter_server(tmp_path)
    kill(processes, "worker", 1)
    wait_for_checkpoint(tmp_path, [processes["chief", 0]], after=saved_step(tmp_path))
    processes["worker", 1] = start_process(given["worker", 1])
    check_ended(tmp_path, processes, first_step=0)


@pytest.mark.slow
def test_a_worker_that_stays_away_does_not_hold_up_the_run(tmp_path):
    _, processes = start_with_parameter_server(tmp_path)
    kill(processes, "worker", 0)
    check_ended(tmp_path, processes, first_step=0)


@pytest.mark.slow
def test_a_lost_parameter_server_ends_the_chief_and_the_run_goes_on(tmp_path):
    """The workers stay, and serve the chief that is started again."""
    given, processes = start_with_parameter_server(tmp_path)
    kill(processes, "ps", 0)
    chief = processes.pop(("chief", 0))
    ((_, said),) = finish([chief], SECONDS_TO_NOTICE)
    assert chief.returncode == 1
    assert "slimnets: A parameter server is lost (" in said
    saved = saved_step(tmp_path)
    assert 0 < saved < 6000
    for role in (("ps", 0), ("chief", 0)):
        processes[role] = start_process(given[role])
    check_ended(tmp_path, processes, saved)


@pytest.mark.slow
def test_a_killed_chief_finds_the_others_again(tmp_path):
    given, processes = start_with_parameter_server(tmp_path)
    kill(processes, "chief", 0)
    saved = saved_step(tmp_path)
    processes["chief", 0] = start_process(given["chief", 0])
    check_ended(tmp_path, processes, saved)
