"""Kills training runs at random moments, and has them go on.

    python -m tests.reliability.crash_training SEED KILLS TERMS DIRECTORY

A run is killed by SIGKILL and started again KILLS times: while it builds, at random
steps, and inside of saves. TERMS times it is stopped by SIGTERM. Then it runs to its
end and is compared with a run that nothing disturbed: every tensor of the last and of
the best checkpoint bit by bit, and every number of the log. What happened is printed as
JSON; what should not happen raises.

Each run is a process of its own, forked from one that has imported what all need and
computed nothing, which saves seconds for each.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import pathlib
import random
import re
import signal
import sys
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorboard.plugins.hparams.api  # noqa: F401

import slimnets.training.loop  # noqa: F401
from slimnets.checkpoints import read_checkpoint
from slimnets.cli import main as command
from slimnets.factory import register_network
from tests.training.runs import assert_identical, dropping, saved_step

SAVE_INTERVAL = 10
# How long a run that SIGTERM asks to end may take for that.
SECONDS_TO_STOP = 30
# A run that shows nothing for so long hangs.
SECONDS_TO_HANG = 300
KINDS = ("save", "step", "save", "step", "start")


def arguments(train_dir: pathlib.Path, steps: int) -> list[str]:
    """A run with everything that has a state: noise, averages, schedule, optimizer."""
    return [
        "train", f"--train_dir={train_dir}", f"--max_number_of_steps={steps}",
        "--model_name=dropping", "--batch_size=32", "--optimizer=adam",
        "--learning_rate=0.003", "--learning_rate_decay_type=cosine",
        "--warmup_steps=20", "--moving_average_decay=0.98", "--mixup_alpha=0.2",
        "--accumulation_steps=2", f"--save_interval_steps={SAVE_INTERVAL}",
        "--eval_interval_steps=15", "--keep_best", "--log_every_n_steps=1",
        "--seed=3", "--deterministic",
    ]  # fmt: skip


class Training:
    """A process that trains, and what its directory held before it."""

    def __init__(self, train_dir: pathlib.Path, steps: int):
        self.train_dir = train_dir
        self.code: int | None = None
        self._before = unfinished(train_dir), _modified(train_dir / "log.csv")
        self._pid = os.fork()
        if not self._pid:
            # Nothing that the parent would do at its end is done by the child.
            os._exit(_train(train_dir, steps))

    def send(self, signum: int) -> None:
        if not self._ended():
            os.kill(self._pid, signum)

    def wait(
        self, until: Callable[[], bool] = lambda: False, seconds: float | None = None
    ) -> None:
        """Waits for something, for the process's end, or for so long."""
        deadline = time.monotonic() + (seconds or SECONDS_TO_HANG)
        while not (self._ended() or until()):
            if time.monotonic() > deadline:
                if seconds:
                    return
                self.send(signal.SIGKILL)
                raise TimeoutError(f"{SECONDS_TO_HANG} s with nothing: {self.output}")
            time.sleep(0.0005)

    @property
    def output(self) -> str:
        return pathlib.Path(f"{self.train_dir}.txt").read_text()[-3000:]

    @property
    def in_save(self) -> bool:
        """Whether the process has files that are no checkpoint yet."""
        return bool(unfinished(self.train_dir) - self._before[0])

    def has_logged(self, step: int) -> bool:
        """Whether the process has come so far."""
        log = self.train_dir / "log.csv"
        return _modified(log) > self._before[1] and logged_step(self.train_dir) >= step

    def _ended(self) -> bool:
        if self.code is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None


def _train(train_dir: pathlib.Path, steps: int) -> int:
    screen = os.open(f"{train_dir}.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(screen, 1)
    os.dup2(screen, 2)
    register_network(dropping)
    return command.main(arguments(train_dir, steps))


def _modified(path: pathlib.Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mtime_ns
    return 0


def logged_step(train_dir: pathlib.Path) -> int:
    """The last step that the log tells of."""
    with contextlib.suppress(FileNotFoundError):
        *_, last = (train_dir / "log.csv").read_text().splitlines()
        return int(last.split(",")[0]) if last[0].isdigit() else 0
    return 0


def unfinished(train_dir: pathlib.Path) -> set[tuple[str, int]]:
    """The files, with their times, that a save was writing."""
    last = saved_step(train_dir)
    paths = list(train_dir.glob(".saving-*")) + list(train_dir.glob("best/.saving-*"))
    for path in train_dir.glob("model.ckpt-*"):
        if int(re.match(r"model\.ckpt-(\d+)", path.name)[1]) > last:
            paths.append(path)
    return {(path.name, _modified(path)) for path in paths}


def disturb(kind: str, training: Training, rng: random.Random) -> None:
    """Waits for a moment of a kind, and sends the signal then."""
    if kind == "start":
        training.wait(seconds=rng.uniform(0.0, 2.0))
    elif kind == "save":
        training.wait(lambda: training.in_save)
        time.sleep(rng.uniform(0.0, 0.002))
    else:
        ahead = rng.randint(1, 2 * SAVE_INTERVAL - 1)
        step = saved_step(training.train_dir) + ahead
        training.wait(lambda: training.has_logged(step))
    training.send(signal.SIGTERM if kind == "term" else signal.SIGKILL)


def rows(train_dir: pathlib.Path) -> list[dict[str, str]]:
    """The log, without what depends on the time."""
    with open(train_dir / "log.csv", encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    for row in found:
        del row["images_per_second"]
    return found


def run(seed: int, kills: int, terms: int, directory: pathlib.Path) -> dict[str, float]:
    """Returns how often the run was disturbed, and what it cost; see the module."""
    rng = random.Random(seed)
    kinds = [KINDS[number % len(KINDS)] for number in range(kills)] + ["term"] * terms
    rng.shuffle(kinds)
    steps = 12 * len(kinds) + 4 * SAVE_INTERVAL
    whole, parts = directory / "whole", directory / "parts"
    undisturbed = Training(whole, steps)
    undisturbed.wait()
    assert undisturbed.code == 0, undisturbed.output
    counts = {"steps": steps, "kills": 0, "inside_saves": 0, "terms": 0}
    repeated, seconds = 0, 0.0
    for number, kind in enumerate(kinds):
        training = Training(parts, steps)
        disturb(kind, training, rng)
        sent = time.monotonic()
        training.wait()
        what = f"{number}, {kind}: exit code {training.code}: {training.output}"
        if kind == "term":
            seconds = max(seconds, time.monotonic() - sent)
            assert training.code == 0 and "stopped at step" in training.output, what
            assert logged_step(parts) == saved_step(parts), what
            counts["terms"] += 1
        else:
            assert training.code == -signal.SIGKILL, what
            counts["kills"] += 1
            counts["inside_saves"] += training.in_save
            repeated = max(repeated, logged_step(parts) - saved_step(parts))
    last = Training(parts, steps)
    last.wait()
    assert last.code == 0, last.output
    assert seconds < SECONDS_TO_STOP and repeated <= SAVE_INTERVAL, (seconds, repeated)
    for one, other in ((whole, parts), (whole / "best", parts / "best")):
        assert_identical(dict(read_checkpoint(one)), dict(read_checkpoint(other)))
    assert rows(whole) == rows(parts)
    assert not list(parts.glob("**/.saving-*"))
    return {
        **counts,
        "most_steps_repeated": repeated,
        "seconds_to_stop": round(seconds, 2),
    }


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:4]]
    print(json.dumps(run(*numbers, pathlib.Path(sys.argv[4]))))
