"""Work by Ray's workers is one process's, whatever becomes of them.

A cluster of three nodes on this machine, each of which has its own processes. The same
laws over 20,000 images are in tests/benchmarks/scale.py.
"""

import hashlib
import os
import pathlib
import re
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.helpers import save_cifar_network, write_png
from tests.sharding.nodes import Cluster, kill_node

pytest.importorskip("ray")

pytestmark = pytest.mark.slow
NUMBER, SIZE, SHARD = 239, 16, 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("images")
    for number in range(NUMBER):
        picture = rng.integers(0, 256, (*rng.integers(12, 20, 2), 3), np.uint8)
        write_png(folder / f"class{number % 3}" / f"{number:04d}.png", picture)
    (folder / "class1" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n no picture")
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    names = ["class0", "class1", "class2"]
    folder = tmp_path_factory.mktemp("run")
    return save_cifar_network(folder, SIZE, len(names), label_names=names)


@pytest.fixture(scope="module")
def cluster():
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PYTHONPATH", "RAY_memory_monitor_refresh_ms"):
            patch.setenv(name, os.environ.get(name, "0"))
        with Cluster() as cluster:
            yield cluster


def start(command, cluster=None, **given):
    options = [f"--{name}={value}" for name, value in given.items()]
    if cluster:
        options += ["--engine=ray", f"--engine_address={cluster.address}"]
    return begin(command, *options)


def begin(command, *options):
    return subprocess.Popen(
        [sys.executable, "-m", "slimnets", command, *options],
        env={**os.environ}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(process):
    out, errors = process.communicate(timeout=900)
    assert process.returncode == 0, errors
    return out, errors


def wait_until(is_so, process):
    deadline = time.monotonic() + 600
    while not is_so():
        assert process.poll() is None and time.monotonic() < deadline, finish(process)
        time.sleep(0.01)


def digests(directory):
    return {
        path.name: hashlib.sha256(_but_for_seconds(path.read_bytes())).hexdigest()
        for path in pathlib.Path(directory).iterdir()
    }


def _but_for_seconds(content):
    return re.sub(rb'"seconds": [0-9.]+', b"", content)


SHARDED = ("--shard_size=20",)
# Command -> its flags, and whether it has an output.
COMMANDS = {
    "predict": ("--checkpoint_path=RUN", "--input=IMAGES", "--top=2", "--batch_size=5",
                "--output=OUT/rows.csv", "--max_bad_records=1", *SHARDED),
    "evaluate": ("--checkpoint_path=RUN", "--dataset_name=folder", "--output=OUT",
                 "--dataset_dir=IMAGES", "--batch_size=5", "--max_bad_records=1",
                 "--dataset_split_name=all", *SHARDED),
    "make-records": ("--dataset_dir=IMAGES", "--output=OUT", "--num_shards=12",
                     "--max_bad_records=1"),
    "check-data": ("--dataset_name=folder", "--dataset_dir=IMAGES", *SHARDED),
}  # fmt: skip


@pytest.fixture
def features(folder, checkpoint, tmp_path):
    return {
        "input": folder, "checkpoint_path": checkpoint, "output": tmp_path / "rays",
        "batch_size": 4, "shard_size": SHARD, "max_bad_records": 1,
    }  # fmt: skip


def shards(output):
    return len(list(output.glob("features-*.npz"))) if output.is_dir() else 0


def test_features_survive_a_node_and_a_driver(features, cluster, tmp_path):
    finish(start("features", **{**features, "output": tmp_path / "one"}))
    rays, number = features["output"], (NUMBER + 1) // SHARD
    process = start("features", cluster, **features)
    wait_until(lambda: shards(rays) >= 3, process)
    kill_node(cluster)
    wait_until(lambda: shards(rays) >= number // 2, process)
    process.kill()
    process.communicate()
    there = shards(rays)
    assert there < number
    cluster.add_node()
    out, _ = finish(start("features", cluster, **features))
    written = int(out.split(" of 240 images, ")[1].split()[0])
    # Workers that were busy when the driver was killed may have finished theirs.
    assert number - there - 3 <= written <= number - there
    assert digests(rays) == digests(tmp_path / "one")


def manifest_lines(*folders):
    found = [path for folder in folders for path in folder.glob("*manifest")]
    return sum(path.read_bytes().count(b"\n") for path in found)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_killed_driver_goes_on_to_what_one_process_gives(
    command, folder, checkpoint, cluster, tmp_path, monkeypatch
):
    here = tmp_path / "here"
    monkeypatch.chdir(tmp_path)
    here.mkdir()

    def flags(out, *others):
        (tmp_path / out).mkdir(exist_ok=True)
        places = {"RUN": checkpoint, "IMAGES": folder, "OUT": tmp_path / out}
        for given in COMMANDS[command]:
            for name, place in places.items():
                given = given.replace(name, str(place))
            yield given
        yield from others

    engine = ("--engine=ray", f"--engine_address={cluster.address}")
    one = [flag for flag in flags("one") if flag not in SHARDED]
    expected, told = finish(begin(command, *one))
    process = begin(command, *flags("rays", *engine))
    wait_until(lambda: manifest_lines(tmp_path, tmp_path / "rays") >= 4, process)
    process.kill()
    process.communicate()
    noted = manifest_lines(tmp_path, tmp_path / "rays") - 1
    out, errors = finish(begin(command, *flags("rays", *engine)))
    assert re.search(rf"goes on: {noted} of 1[23] shards", errors)
    assert digests(tmp_path / "rays") == digests(tmp_path / "one")
    assert not manifest_lines(tmp_path, tmp_path / "rays")

    def said(text):
        lines = text.replace(str(tmp_path / "rays"), str(tmp_path / "one"))
        return [
            re.sub(r"\d+ s\b", "", line) for line in lines.splitlines()
            if "image " not in line and "goes on" not in line
        ]  # fmt: skip

    assert said(out) == said(expected)
    left_out = [line for line in said(told) if "left out" in line]
    assert left_out == [line for line in said(errors) if "left out" in line]
    assert "bad.png" in told + expected or "1 left out" in expected
