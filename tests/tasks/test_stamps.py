"""The configs of stamps reach what they promise, on scenes of Debian's drawings."""

import json
import pathlib
import shutil
import subprocess

import pytest

from slimnets.cli import main
from tests import stamps

CONFIGS = pathlib.Path(__file__).parents[2] / "configs"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """FOLDER/coco and FOLDER/voc; nothing of them stays."""
    pytest.importorskip("PIL")
    pytest.importorskip("pycocotools")
    if not shutil.which("apt-get"):
        pytest.skip("apt-get is Debian's")
    path = tmp_path_factory.mktemp("stamps")
    try:
        stamps.write(path)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"{stamps.PACKAGE} cannot be had: {error}")
    return path


@pytest.mark.parametrize(
    ("name", "command", "dataset", "measure", "least"),
    [
        ("retinanet", "train-detector", "coco", "AP50", 0.9),
        ("ssd", "train-detector", "coco", "AP50", 0.9),
        ("deeplab", "train-segmenter", "voc", "mean_iou", 0.85),
    ],
)
def test_a_head_learns_drawings(
    folder, tmp_path, name, command, dataset, measure, least
):
    run = tmp_path / "run"
    flags = [
        f"--flagfile={CONFIGS / f'stamps_{name}.flags'}",
        f"--dataset_dir={folder / dataset}",
        f"--train_dir={run}",
    ]
    assert main.main([command, *flags]) == 0
    summary = json.loads((run / "summary.json").read_text())
    print(f"{name}: {summary['evaluation']}, {summary['seconds']:.0f} s")
    assert summary["evaluation"][measure] >= least
