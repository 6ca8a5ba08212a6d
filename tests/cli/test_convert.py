"""`slimnets convert`."""

import functools
import json

import pytest

import slimnets
from slimnets.checkpoints import read_checkpoint
from slimnets.checkpoints.base import read_metadata
from slimnets.data import labels
from tests.checkpoints.test_checkpoints import assert_equal
from tests.helpers import GOLDEN


@pytest.fixture
def call(call):
    return functools.partial(call, "convert")


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    model = slimnets.Model("resnet18", num_classes=5, depth_multiplier=0.125)
    model.build([None, 32, 32, 3])
    prefix = model.save(tmp_path_factory.mktemp("convert") / "slim")
    labels.write_labels(f"{prefix}.labels.txt", list("abcde"))
    return prefix


def test_there_and_back_with_metadata_and_labels(call, tmp_path, prefix):
    there, back = tmp_path / "x.safetensors", tmp_path / "back"
    code, out, err = call(f"--checkpoint_path={prefix}", f"--output={there}")
    assert code == 0 and err == f"slimnets: {prefix}, without averages\n"
    assert " loaded.\n" in out and out.endswith(f"written to {there}\n")
    assert "fc.bias" in read_checkpoint(there)
    assert labels.labels_of(there) == tuple("abcde")
    metadata = json.loads((tmp_path / "x.safetensors.json").read_text())
    assert metadata["model_name"] == "resnet18" and metadata["num_classes"] == 5
    assert metadata["converted_from"] == "slim"
    code, _, _ = call(f"--checkpoint_path={there}", f"--output={back}")
    assert code == 0
    assert_equal(dict(read_checkpoint(back)), dict(read_checkpoint(prefix)))
    assert labels.labels_of(back) == tuple("abcde")
    # Weights without names of classes take the place of those with names.
    slimnets.save_weights(
        tmp_path / "nameless", dict(read_checkpoint(prefix)), read_metadata(prefix)
    )
    code, _, _ = call(f"--checkpoint_path={tmp_path}/nameless", f"--output={back}")
    assert code == 0 and not (tmp_path / "back.labels.txt").exists()


def test_wrong_usage_is_one_line(call, tmp_path, prefix):
    fixture = GOLDEN / "torch" / "resnext.safetensors"
    for arguments, message in (
        ((), "convert needs --checkpoint_path"),
        ((f"--checkpoint_path={prefix}",), "convert needs --output"),
        ((f"--checkpoint_path={prefix}", "--output=x.pth"), "what is written"),
        ((f"--checkpoint_path={prefix}", "--output=x.weights.h5"), "no counterpart"),
        ((f"--checkpoint_path={fixture}", f"--output={tmp_path}/x"), "--model_name"),
        (
            (
                f"--checkpoint_path={fixture}",
                f"--output={tmp_path}/x",
                "--model_name=resnet50",
            ),
            "Cannot convert",
        ),
        ((f"--checkpoint_path={tmp_path}/no", "--output=x"), "no checkpoint"),
    ):
        code, _, err = call(*arguments)
        assert code == 2 and err.count("\n") == 1 and message in err
    assert not list(tmp_path.iterdir())
