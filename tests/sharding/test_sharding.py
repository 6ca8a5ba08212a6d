"""Shards are worked on once each, and a run that was stopped goes on where it was."""

import functools
import pathlib
import sys

import numpy as np
import pytest

from slimnets.files import drafted, remove_drafts
from slimnets.sharding import Manifest, ManifestOptions, cut, finished, in_order
from slimnets.tasks.config import PredictionConfig

SHARDS = cut(range(23), 5)


def squares(done, items):
    """A worker's work, which notes what it was asked."""
    done.append(items[0])
    if len(done) == 3:
        raise KeyboardInterrupt
    values = np.square(np.array(items, np.float32)) / 3
    return {"values": values, "bad": [f"{i} is bad" for i in items if i == 11]}


@pytest.fixture
def run(tmp_path):
    def make(done, work=None, limit=None):
        options = ManifestOptions(manifest=str(tmp_path / "manifest"))
        open_work = functools.partial(functools.partial, squares, done)
        return in_order(
            "squares", SHARDS, open_work, options, work or {}, "", limit, show=False
        )

    return make


def test_shards_have_every_item_once():
    assert [i for shard in SHARDS for i in shard.items] == list(range(23))
    assert [shard.size for shard in SHARDS] == [5, 5, 5, 5, 3]
    assert SHARDS[-1].title == "images 20 to 22"


def test_each_shard_asked_for_is_worked_on_once():
    found = finished(SHARDS, [0, 2, 4], lambda: sum, ManifestOptions())
    assert list(found) == [(0, 10), (2, 60), (4, 63)]


def test_a_stopped_run_goes_on_where_it_was(run, tmp_path):
    first, second = [], [None] * 3
    with pytest.raises(KeyboardInterrupt):
        list(run(first))
    assert first == [0, 5, 10]
    with open(tmp_path / "manifest", "ab") as file:
        file.write(b'{"shard": 3, "result": {"val')  # As a power cut leaves it.
    results = list(run(second))
    assert second[3:] == [10, 15, 20]
    values = np.concatenate([result["values"] for result in results])
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, np.square(np.arange(23, dtype="f")) / 3)
    assert not (tmp_path / "manifest").exists()


def test_a_manifest_is_of_one_work_and_one_process(run, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        list(run([], {"seed": 1}))
    with pytest.raises(ValueError, match=r"seed=1 there, 2 here.*another manifest"):
        list(run([], {"seed": 2}))
    manifest = Manifest(
        str(tmp_path / "manifest"), {"shards": 5, "first": 5, "seed": 1}
    )
    assert len(manifest) == 2 and 1 in manifest and 2 not in manifest
    manifest.add(1, "another result of the same shard")
    assert manifest[1]["bad"] == []
    with pytest.raises(OSError, match="Another process"):
        list(run([], {"seed": 1}))
    manifest.close()


@pytest.mark.parametrize(
    "content", [b"notes", b"notes\nof mine\n", b"\xff\x00\n", b"[1]\n"]
)
def test_a_file_that_is_no_manifest_stays_as_it_is(tmp_path, content):
    path = tmp_path / "notes"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"no manifest.*choose another manifest"):
        Manifest(str(path), {"seed": 1})
    assert path.read_bytes() == content


def test_a_manifest_that_was_cut_in_its_first_line_begins_anew(tmp_path):
    path = tmp_path / "manifest"
    Manifest(str(path), {"seed": 1}).close()
    whole = path.read_bytes()
    path.write_bytes(whole[:5])
    Manifest(str(path), {"seed": 1}).close()
    assert path.read_bytes() == whole


def test_bad_images_are_counted_over_all_shards(run):
    done = [None] * 3
    assert [len(result["bad"]) for result in run(done, limit=1)] == [0, 0, 1, 0, 0]
    with pytest.raises(ValueError, match=r"1 bad images.*max_bad_records=0.*11 is bad"):
        list(run([None] * 3, limit=0))


def test_settings_of_no_effect_and_a_missing_ray_are_errors(monkeypatch):
    given = {"input": "x", "checkpoint_path": "y"}
    for name, value in (("engine_address", "head:1"), ("manifest", "file")):
        with pytest.raises(ValueError, match=f"{name}='.*' is of no effect without"):
            PredictionConfig(**given, **{name: value})
    with pytest.raises(ValueError, match="engine='spark' is not one of one, ray"):
        PredictionConfig(**given, engine="spark")
    options = ManifestOptions(engine="ray")
    with pytest.raises(ValueError, match=r"engine='ray' is for one.*x is of another"):
        options.check_task("another", "one", "x")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"ray, which is not .*slimnets\[ray\]"):
        list(finished(SHARDS, [0], lambda: sum, options))


def test_a_file_is_whole_or_not_there(tmp_path):
    path = str(tmp_path / "file.npz")
    with pytest.raises(KeyError), drafted(path) as draft:
        pathlib.Path(draft).write_text("half")
        raise KeyError
    assert not list(tmp_path.iterdir())
    with drafted(path) as first, drafted(path) as second:
        pathlib.Path(first).write_text("one")
        pathlib.Path(second).write_text("two")
    assert pathlib.Path(path).read_text() == "one"
    left = tmp_path / f".file.npz.{'a' * 32}.part"
    for other in (left, tmp_path / ".file.npz.part", tmp_path / "x.part"):
        other.touch()
    remove_drafts(str(tmp_path), {"file.npz"})
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        ".file.npz.part",
        "file.npz",
        "x.part",
    ]
