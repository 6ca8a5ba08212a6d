"""Fills the disk of a training run, or makes its directory read-only, while it trains.

    python -m tests.reliability.crash_disk full|read_only TRIES DIRECTORY

DIRECTORY becomes a small file system, which needs the right to mount: root's, or that
of `unshare --user --map-root-user --mount`. In each try a run goes on from a checkpoint
and meets a disk with room for a page more than in the try before, or none, or a
directory that has become read-only. It must say so, and leave a checkpoint that can be
read as a whole, from which it ends as an undisturbed one. Printed as JSON: how often
what could not be written.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from slimnets.factory import register_network
from slimnets.training import TrainingConfig, train
from slimnets.training.run import Run
from tests.training.runs import assert_identical, final, tiny

MEGABYTES = 4
PAGE = 4096
# The methods of a Run before which the disk breaks: when steps begin, and at a save.
MOMENTS = ("batches", "save")


def config(train_dir: pathlib.Path) -> TrainingConfig:
    return TrainingConfig(
        model_name="tiny", train_dir=str(train_dir), max_number_of_steps=30,
        batch_size=32, save_interval_steps=10, log_every_n_steps=5,
        eval_interval_steps=10, keep_best=True,
    )  # fmt: skip


def fill(train_dir: pathlib.Path, pages: int) -> None:
    """Leaves room for so many pages."""
    filler = train_dir.parent / "filler"
    with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(PAGE)) == PAGE:
            pass
    os.truncate(filler, max(filler.stat().st_size - pages * PAGE, 0))


def make_read_only(train_dir: pathlib.Path, pages: int) -> None:
    """Lets nothing be written there any more, but to files that are open."""
    _call("mount", "--bind", train_dir, train_dir)
    _call("mount", "-o", "remount,bind,ro", train_dir)


def mend(train_dir: pathlib.Path) -> None:
    """Undoes what has been done to the disk."""
    (train_dir.parent / "filler").unlink(missing_ok=True)
    # Where it is not mounted, that fails; os.path.ismount does not know bind mounts.
    subprocess.run(["umount", train_dir], capture_output=True)


BREAKS = {"full": fill, "read_only": make_read_only}


def _call(*command: object) -> None:
    subprocess.run(list(map(str, command)), check=True)


@contextlib.contextmanager
def breaking(moment: str, breaks: Callable[[], None]) -> Iterator[None]:
    """Has something happen once, when a method of the run is called."""
    method = getattr(Run, moment)
    done: list[bool] = []

    def broken(self: Run, *args: object) -> object:
        if not done:
            done.append(True)
            breaks()
        return method(self, *args)

    with mock.patch.object(Run, moment, broken):
        yield


def run(kind: str, tries: int, directory: pathlib.Path) -> dict[str, int]:
    """Returns how often what could not be written; see the module."""
    _call("mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", directory)
    try:
        return _break(kind, tries, directory)
    finally:
        mend(directory / "run")
        _call("umount", "--lazy", directory)


def _break(kind: str, tries: int, directory: pathlib.Path) -> dict[str, int]:
    register_network(tiny)
    whole, broken = directory / "whole", directory / "run"
    with (
        mock.patch("slimnets.training.run.Run.evaluate", side_effect=KeyboardInterrupt),
        contextlib.suppress(KeyboardInterrupt),
    ):
        train(config(broken), show=False)
    shutil.copytree(broken, directory / "begun")
    train(config(whole), show=False)
    counts: Counter[str] = Counter()
    for number in range(tries):
        shutil.rmtree(broken)
        shutil.copytree(directory / "begun", broken)
        moment = MOMENTS[number % 2]
        pages = number // 2
        try:
            with breaking(moment, lambda n=pages: BREAKS[kind](broken, n)):
                train(config(broken), show=False)
            counts["finished"] += 1
        except OSError as error:
            what = re.match(
                r"Cannot (save step|save the best|write the logs)", str(error)
            )
            assert what and str(broken) in str(error), error
            counts[what[1]] += 1
        finally:
            mend(broken)
        assert final(config(broken))["global_step"] in (10, 20, 30)
    train(config(broken), show=False)
    assert_identical(final(config(broken)), final(config(whole)))
    return dict(counts)


if __name__ == "__main__":
    arguments = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])
    print(json.dumps(run(*arguments)))
