"""Every config that needs data on disk takes a step, in a shrunken form."""

import pathlib
import re

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets.cli import main
from tests import scenes

CONFIGS = sorted((pathlib.Path(__file__).parents[2] / "configs").glob("*.flags"))
ON_DISK = [path for path in CONFIGS if "--dataset_dir" in path.read_text()]
OF_HEADS = [path for path in ON_DISK if "Command: slimnets train-" in path.read_text()]
SMALL = "blocks"
# What a config's own length and network become.
LENGTHS = {"number_of_epochs": 0.01, "max_number_of_steps": 1}


@pytest.fixture
def photos(tmp_path, rng):
    """Two classes of ten pictures."""
    for name in ("one", "two"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(10):
            pixels = rng.integers(0, 256, [20, 24, 3]).astype(np.uint8)
            path = tmp_path / "photos" / name / f"{index}.png"
            path.write_bytes(tf.io.encode_png(pixels).numpy())
    return tmp_path / "photos"


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=() if path.stem.endswith("_a3") else pytest.mark.slow)
        for path in ON_DISK
        if path not in OF_HEADS
    ],
    ids=lambda path: path.stem,
)
def test_a_config_takes_a_step(path, photos, tmp_path, capsys):
    text = path.read_text()
    changes = {"model_name": SMALL, "dataset_name": "folder", "dataset_dir": photos,
               "train_dir": tmp_path / "run", "train_image_size": 16, "batch_size": 4,
               "save_interval_steps": 1}  # fmt: skip
    changes |= {name: value for name, value in LENGTHS.items() if f"--{name}=" in text}
    if "--eval_image_size" in text:
        changes["eval_image_size"] = 24
    if "--recalibrate_batches" in text:
        changes["recalibrate_batches"] = 1
    if "--rule=" in text:  # Of the scopes of the config's own network.
        del changes["model_name"]
    if "--checkpoint_path" in text:
        model = slimnets.Model(SMALL, num_classes=5)
        model.build([None, 16, 16, 3])
        changes["checkpoint_path"] = model.save(tmp_path / "start")
        changes["checkpoint_exclude_scopes"] = f"{SMALL}/logits"
        changes["learning_rate_scales"] = f"{SMALL}/logits=10"
    flags = [f"--{name}={value}" for name, value in changes.items()]
    assert main.main(["train", f"--flagfile={path}", *flags]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert re.match(r"accuracy [\d.]+ % \(\d of 2 validation examples\)", last)


@pytest.mark.slow
@pytest.mark.parametrize("path", OF_HEADS, ids=lambda path: path.stem)
def test_a_config_of_a_head_takes_a_step(path, tmp_path, capsys):
    pytest.importorskip("PIL")
    pytest.importorskip("pycocotools")
    text = path.read_text()
    command = re.search(r"Command: slimnets (\S+)", text)[1]
    is_coco = "--dataset_name=coco" in text
    write = scenes.write_coco if is_coco else scenes.write_voc
    changes = {"dataset_dir": write(tmp_path / "set", {"train": 2, "val": 1}),
               "train_dir": tmp_path / "run", "train_image_size": 64, "batch_size": 2,
               "max_number_of_steps": 1}  # fmt: skip
    flags = [f"--{name}={value}" for name, value in changes.items()]
    assert main.main([command, f"--flagfile={path}", *flags]) == 0
    assert "(1 test images)" in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_header_tells_source_command_duration_and_result(path):
    header = path.read_text().partition("\n\n")[0]
    assert all(line.startswith("#") for line in header.splitlines())
    assert re.search(r"^# Source: .+", header, re.M)
    command = re.search(r"^# Command: slimnets (\S+) --flagfile=(\S+)", header, re.M)
    assert command[2] == f"configs/{path.name}"
    assert re.search(r"^# Duration: .+", header, re.M)
    # A result is either measured, of so many seeds, or said to be none.
    assert re.search(r"^# Result[:,]", header, re.M)


@pytest.mark.parametrize("path", ON_DISK, ids=lambda path: path.stem)
def test_a_config_names_a_network_that_there_is(path):
    name = re.search(r"--model_name=(\S+)", path.read_text())[1]
    assert name in slimnets.list_networks()
