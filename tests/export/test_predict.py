"""`slimnets predict` with exported networks gives the rows of their checkpoint."""

import csv
import io
import json
import re

import numpy as np
import pytest

import slimnets
from slimnets.data import digits
from slimnets.export import FORMATS, export_checkpoint
from tests.export.networks import randomize
from tests.export.test_formats import onnx_needed, skip_without_stablehlo
from tests.helpers import write_png

FAST = ("frozen_graph", "saved_model")
SLOW = [
    pytest.param(name, marks=[pytest.mark.slow, *([onnx_needed] * (name == "onnx"))])
    for name in FORMATS
    if name not in FAST
]
NAMES = [f"digit {index}" for index in range(10)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Digits as pictures and a small network's checkpoint."""
    folder = tmp_path_factory.mktemp("predict")
    images, _ = digits.load("test")
    for index, image in enumerate(images[:5]):
        write_png(folder / "images" / f"{index}.png", image * 15)
    options = {"depth_multiplier": 0.25}
    model = slimnets.Model("resnet_v1_cifar_20", num_classes=10, seed=0, **options)
    model.build([None, 16, 16, 1])
    randomize(model)
    metadata = {
        "image_size": 16,
        "input_channels": 1,
        "label_names": NAMES,
        "preprocessing_name": "plain",
    }
    model.save(folder / "model", metadata=metadata)
    return folder


def export(folder, directory, name, **options):
    path = directory / f"exported{FORMATS[name].ending}"
    if name == "stablehlo":
        options.setdefault("batch_size", 2)
    with skip_without_stablehlo():
        export_checkpoint(folder / "model", path, format=name, **options)
    return path


def rows(call, folder, *flags):
    code, output, error = call("predict", f"--input={folder / 'images'}", *flags)
    assert code == 0, error
    return output


@pytest.mark.parametrize("name", [*FAST, *SLOW])
def test_every_format_gives_the_rows_of_the_checkpoint(name, call, folder, tmp_path):
    path = export(folder, tmp_path, name)
    weights, exported = (
        f"--checkpoint_path={folder / 'model'}",
        f"--exported_path={path}",
    )
    tables = [
        list(csv.DictReader(io.StringIO(rows(call, folder, flag, "--top=3"))))
        for flag in (weights, exported)
    ]
    assert len(tables[0]) == 5 and tables[0][0]["label"] in NAMES
    for wanted, found in zip(*tables, strict=True):
        assert wanted.keys() == found.keys()
        for key in wanted:
            if key.startswith("probability"):
                np.testing.assert_allclose(
                    float(found[key]), float(wanted[key]), rtol=2e-4, atol=1e-5
                )
            else:
                assert found[key] == wanted[key]
    line = rows(call, folder, exported, "--format=jsonl").splitlines()[0]
    assert json.loads(line)["predictions"][0]["label"] == tables[0][0]["label"]


def test_a_fixed_batch_is_filled_up(call, folder, tmp_path):
    path = export(folder, tmp_path, "frozen_graph", batch_size=3)
    free = rows(call, folder, f"--checkpoint_path={folder / 'model'}")
    fixed = rows(call, folder, f"--exported_path={path}")
    labels = [[line.split(",")[1] for line in t.splitlines()] for t in (free, fixed)]
    assert labels[0] == labels[1] and len(labels[0]) == 6


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--batch_size=4"], "--batch_size=4, but .* takes 3 images"),
        (["--model_name=lenet"], "--model_name=lenet is of no effect"),
        (["--eval_image_size=8"], "eval_image_size=8 is of no effect"),
        (["--checkpoint_path=x"], "one of --checkpoint_path and --exported_path"),
    ],
)
def test_flags_that_do_not_fit_are_refused(flags, message, call, folder, tmp_path):
    path = export(folder, tmp_path, "frozen_graph", batch_size=3)
    code, _, error = call(
        "predict", f"--input={folder / 'images'}", f"--exported_path={path}", *flags
    )
    assert code == 2
    assert re.search(message, error)


def test_an_export_without_metadata_is_explained(call, folder, tmp_path):
    path = export(folder, tmp_path, "frozen_graph")
    (tmp_path / "exported.pb.json").unlink()
    code, _, error = call(
        "predict", f"--input={folder / 'images'}", f"--exported_path={path}"
    )
    assert code == 2 and "exported.pb has no metadata beside it" in error
