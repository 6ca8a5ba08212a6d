"""The README's "Your photos in five minutes", as printed, on photos made here.

The download and the server are stood in for: by an archive in the cache with random
weights, and by tests/export/serving.py.
"""

import pathlib
import re
import shlex
import subprocess
import sys
import tarfile

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets import weights
from tests.export.serving import serving

ROOT = pathlib.Path(__file__).parents[1]
SECTION = (ROOT / "README.md").read_text().split("## Your photos in five minutes")[1]
BLOCK = re.search(r"(?:^    .*\n)+", SECTION, re.MULTILINE)[0]
LINES = [line.strip() for line in BLOCK.replace("\\\n", " ").splitlines()]


def make_photos(folder, rng):
    """Thirty photos each of what is mostly red and what is mostly blue."""
    for label, channel in (("red", 0), ("blue", 2)):
        (folder / "photos" / label).mkdir(parents=True)
        for n in range(30):
            noise = rng.integers(0, 120, [120 + n, 160, 3])
            noise[..., channel] += 120
            encoded = tf.io.encode_jpeg(noise.astype(np.uint8)).numpy()
            (folder / "photos" / label / f"{n}.jpg").write_bytes(encoded)
    (folder / "photo.jpg").write_bytes(encoded)


def put_weights(network, folder, monkeypatch):
    """Puts random weights where those of TF-Slim would be fetched to."""
    model = slimnets.Model(network, num_classes=1001, seed=0)
    model.build([None, 224, 224, 3])
    slimnets.save_weights(folder / "own" / "x.ckpt", model.variables_by_name)
    monkeypatch.setenv("SLIMNETS_CACHE", str(folder / "cache"))
    monkeypatch.setenv("SLIMNETS_OFFLINE", "1")
    archive = weights.cached_path(weights.find_weights("tf-slim", network))
    pathlib.Path(archive).parent.mkdir(parents=True)
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder / "own", "own")


def test_the_block_has_every_part():
    commands = [" ".join(line.split()[:2]) for line in LINES]
    assert [c for c in commands if c.startswith("slimnets")] == [
        "slimnets check-data", "slimnets train", "slimnets evaluate",
        "slimnets predict", "slimnets export",
    ]  # fmt: skip
    assert [c.split()[0] for c in commands if not c.startswith("slimnets")] == [
        "docker", "python",
    ]  # fmt: skip


@pytest.mark.slow
def test_the_block_runs_as_printed(call, tmp_path, rng, monkeypatch):
    make_photos(tmp_path, rng)
    monkeypatch.chdir(tmp_path)
    put_weights("mobilenet_v2_035", tmp_path, monkeypatch)
    said = {}
    for line in LINES:
        program, *arguments = shlex.split(line)
        if program == "slimnets":
            code, out, error = call(*arguments)
            assert code == 0, error
            said[arguments[0]] = out, error
    assert "260 of 262 variables from" in said["train"][1]
    assert "new: Conv2d_1c_1x1" in said["train"][1]
    assert "of 6 validation examples" in said["evaluate"][0]
    assert said["evaluate"][0].splitlines()[-1].endswith("runs/photos/evaluation")
    header, row = said["predict"][0].splitlines()
    assert header == "image,label,probability" and row.split(",")[1] in ("red", "blue")
    url = re.search(r"http://\S+", LINES[-1])[0]
    name = re.search(r"MODEL_NAME=(\S+)", LINES[-2])[1]
    assert url.endswith(f"/{name}")
    with serving(tmp_path / "served" / "photos" / "1", name) as there:
        _, client, *arguments = shlex.split(LINES[-1].replace(url, there))
        done = subprocess.run(
            [sys.executable, ROOT / client, *arguments], capture_output=True, text=True
        )
    assert done.returncode == 0 and row.split(",")[1] in done.stdout
