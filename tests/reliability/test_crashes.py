"""Runs that are killed, stopped, or cannot write: what is left, and that they go on."""

import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from slimnets.checkpoints import read_checkpoint
from slimnets.training import TrainingConfig, TrainingInterrupted, train
from slimnets.training.run import Run
from slimnets.training.task import Classification
from slimnets.training.train_dir import held
from tests.reliability.scripts import ENVIRONMENT, ROOT, run_script
from tests.training.runs import assert_identical, final, tiny

NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")
# Holds a directory, as another run would, until it is killed.
HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
file.write("process 1 on another")
file.flush()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    from slimnets import factory

    info = factory.NetworkInfo("tiny", tiny, default_image_size=8)
    monkeypatch.setitem(factory._NETWORKS, "tiny", info)
    return TrainingConfig(
        model_name="tiny", train_dir=str(tmp_path / "run"), max_number_of_steps=4,
        batch_size=50, save_interval_steps=2, log_every_n_steps=1,
        learning_rate_decay_type="fixed",
    )  # fmt: skip


def test_a_run_that_is_killed_ends_as_an_undisturbed_one(tmp_path):
    counts = run_script("crash_training", 1, 1, 0, tmp_path)
    assert counts["kills"] == 1


@pytest.mark.slow
def test_a_run_that_is_killed_often_ends_as_an_undisturbed_one(tmp_path):
    counts = run_script("crash_training", 2026, 50, 5, tmp_path)
    assert counts["kills"] == 50 and counts["terms"] == 5
    assert counts["inside_saves"] >= 5


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "tries"), [("full", 32), ("read_only", 6)])
def test_a_disk_that_breaks_leaves_a_whole_checkpoint(kind, tries, tmp_path):
    probe = [*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)]
    try:
        subprocess.run(probe, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    counts = run_script("crash_disk", kind, tries, tmp_path, before=NAMESPACE)
    assert sum(counts.values()) == tries
    assert counts["save step"] and counts["write the logs"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_logs_that_cannot_be_written_end_the_run_with_its_checkpoints(config):
    os.makedirs(config.train_dir)
    part = pathlib.Path(config.train_dir) / "log.csv.part"
    part.symlink_to("/dev/full")
    said = r"Cannot write the logs in .*run \(.*No space left.*the last checkpoint"
    with pytest.raises(OSError, match=said):
        train(config, show=False)
    part.unlink()
    assert train(config, show=False).first_step == 0
    assert read_checkpoint(config.train_dir)["global_step"] == 4


def test_what_a_killed_process_left_does_no_harm(config):
    run = pathlib.Path(config.train_dir)
    for directory in (run / ".saving-1", run / "best" / ".saving-2"):
        directory.mkdir(parents=True)
        (directory / "draft.index").write_text("half")
    (run / "model.ckpt-2.data-00000-of-00001").write_text("half")
    (run / "log.csv").write_text("step,loss\n0,1.5\n1")
    train(config, show=False)
    assert not list(run.glob("**/.saving-*"))
    table = (run / "log.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in table] == ["step", "0", "1", "2", "3", "4"]
    assert read_checkpoint(run / "model.ckpt-2")["global_step"] == 2


# Signals where nothing, or more than a step, is under way.


def test_a_signal_while_a_run_is_built_ends_it_at_once(config, monkeypatch):
    monkeypatch.setattr(
        Run, "load_initial", lambda self: signal.raise_signal(signal.SIGTERM)
    )
    with pytest.raises(TrainingInterrupted, match="before the first step") as caught:
        train(config, show=False)
    assert caught.value.exit_code == 0
    assert not os.path.exists(os.path.join(config.train_dir, "checkpoint"))


def test_a_signal_breaks_an_evaluation_off(config, monkeypatch, tmp_path):
    """With averages in the place of the weights, which must not be saved."""
    changes = {"eval_interval_steps": 2, "moving_average_decay": 0.5}
    run = dataclasses.replace(config, **changes)
    whole = dataclasses.replace(run, train_dir=str(tmp_path / "whole"))
    train(whole, show=False)
    with monkeypatch.context() as patch:
        patch.setattr(
            Classification,
            "evaluate",
            lambda *args: signal.raise_signal(signal.SIGTERM) or pytest.fail("goes on"),
        )
        with pytest.raises(TrainingInterrupted, match="stopped at step 2 of 4, saved"):
            train(run, show=False)
    assert train(run, show=False).first_step == 2
    assert_identical(final(run), final(whole))


# One process in a directory.


def test_a_second_run_in_a_directory_is_refused(config):
    with held(config.train_dir):
        said = rf"Another run trains in .*run: process {os.getpid()} on .* since"
        with pytest.raises(BlockingIOError, match=said):
            train(config, show=False)
    assert train(config, show=False).first_step == 0


def test_a_directory_is_free_once_its_process_is_killed(tmp_path):
    lock = tmp_path / ".lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, lock],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        holder.stdout.readline()
        with (
            pytest.raises(BlockingIOError, match="process 1 on another"),
            held(str(tmp_path)),
        ):
            pass
        holder.kill()
    with held(str(tmp_path)):
        assert f"process {os.getpid()} " in lock.read_text()


@pytest.mark.slow
def test_a_second_command_in_a_directory_is_refused(tmp_path):
    command = [
        sys.executable, "-m", "slimnets", "train", "--model_name=lenet",
        "--train_image_size=16", f"--train_dir={tmp_path}", "--save_interval_steps=10",
        "--max_number_of_steps=100000",
    ]  # fmt: skip
    started = {"cwd": ROOT, "env": ENVIRONMENT, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **started) as first:
        deadline = time.monotonic() + 240
        while not (tmp_path / "checkpoint").exists():
            assert first.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        second = subprocess.run(command, **started, timeout=240)
        assert second.returncode == 1
        assert f"Another run trains in train_dir={tmp_path}" in second.stderr
        assert f"process {first.pid} on " in second.stderr
        first.send_signal(signal.SIGTERM)
        _, said = first.communicate(timeout=30)
    assert first.returncode == 0 and "stopped at step" in said
