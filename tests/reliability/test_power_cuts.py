"""What the disk has of a run at every moment, if only what was flushed is there."""

import os
import pathlib

import pytest
import tensorflow as tf

from slimnets.files import move_into_place
from slimnets.training.run_files import BEST, STATE
from slimnets.training.train_dir import TrainDir

SUFFIXES = (".data-00000-of-00001", ".json", ".index")


class Disk:
    """Follows renames and flushes, and checks what a power cut would leave.

    Attributes:
        names: paths that the disk surely has, to their files' inodes.
        states: how many times the file that names the checkpoints was replaced.
    """

    def __init__(self, monkeypatch):
        self.names: dict[str, int] = {}
        self.states = 0
        self._flushed: set[int] = set()
        self._renamed: dict[str, int] = {}
        self._own = {name: getattr(os, name) for name in ("fsync", "replace", "remove")}
        for name in self._own:
            monkeypatch.setattr(os, name, getattr(self, name))

    def fsync(self, descriptor):
        self._own["fsync"](descriptor)
        inode = os.fstat(descriptor).st_ino
        self._flushed.add(inode)
        for path in list(self._renamed):
            if os.stat(os.path.dirname(path)).st_ino == inode:
                self.names[path] = self._renamed.pop(path)

    def replace(self, source, path):
        source, path = os.fspath(source), os.fspath(path)
        inode = os.stat(source).st_ino
        assert inode in self._flushed, f"{path} is named before the disk has it"
        if os.path.basename(path) == STATE:
            self.states += 1
            self.check_whole(source, os.path.dirname(path))
        self._own["replace"](source, path)
        self._renamed[path] = inode

    def remove(self, path):
        state = os.path.join(os.path.dirname(path), STATE)
        if os.path.exists(state):
            assert state not in self._renamed, (
                "the disk may still have the state before"
            )
            name = os.path.basename(path).rpartition(".")[0]
            assert f'"{name}"' not in pathlib.Path(state).read_text()
        self._own["remove"](path)
        self.names.pop(path, None)

    def check_whole(self, state, directory):
        """Whether the disk has all that a state file names."""
        lines = pathlib.Path(state).read_text().splitlines()
        named = {line.split('"')[1] for line in lines}
        assert named
        for name in named:
            for suffix in SUFFIXES:
                assert os.path.join(directory, name + suffix) in self.names


def test_a_checkpoint_is_on_the_disk_before_the_state_names_it(tmp_path, monkeypatch):
    disk = Disk(monkeypatch)
    variables = {"weights": tf.Variable(tf.ones([3]))}
    run = TrainDir(str(tmp_path), variables, lambda step: {"step": step}, keep=2)
    for step in range(4):
        run.save(step)
        run.save_best(step, variables, float(step))
    assert disk.states == 8
    left = {os.path.relpath(path, tmp_path) for path in disk.names}
    wanted = {f"model.ckpt-{step}{suffix}" for step in (2, 3) for suffix in SUFFIXES}
    wanted |= {f"{BEST}/model.ckpt-3{suffix}" for suffix in SUFFIXES}
    assert left == wanted | {STATE, f"{BEST}/{STATE}"}


def test_a_disk_that_fails_to_flush_is_told(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    variables = {"weights": tf.Variable(tf.ones([3]))}
    run = TrainDir(str(tmp_path), variables, lambda step: {}, keep=2)
    run.save(1)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left.*checkpoint is model\.ckpt-1"):
        run.save(2)
    assert run.restore() == 1


def test_a_file_system_that_cannot_flush_is_written_all_the_same(tmp_path, monkeypatch):
    def unable(descriptor):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "fsync", unable)
    draft = tmp_path / "draft"
    draft.write_text("whole")
    move_into_place(str(draft), str(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "whole"
