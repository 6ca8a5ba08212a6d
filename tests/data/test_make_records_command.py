"""`slimnets make-records`, from the command line."""

import numpy as np
import pytest

from slimnets.cli.main import main
from tests.helpers import write_png


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "images"
    for name in ("a", "b"):
        for index in range(5):
            image = np.full((6, 7, 3), 20 * index, np.uint8)
            write_png(root / name / f"{index}.png", image)
    return root


def test_the_last_line_counts(folder, tmp_path, capsys):
    output = tmp_path / "out"
    flags = [f"--dataset_dir={folder}", f"--output={output}", "--num_shards=2"]
    assert main(["make-records", *flags]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("10 train images in 2 files, 0 left out, ")
    assert out.endswith(f"files in {output}\n") and "image 10 of 10" in err
    assert len(list(output.glob("train-*-of-00002.tfrecord"))) == 2


def test_errors_are_one_line(folder, tmp_path, capsys):
    (folder / "a" / "0.png").write_bytes(b"")
    output = f"--output={tmp_path / 'out'}"
    for flags, message in (
        ([output], "make-records needs --dataset_dir"),
        (
            [output, f"--dataset_dir={tmp_path / 'nowhere'}"],
            "No such file or directory",
        ),
        ([output, f"--dataset_dir={folder}", "--num_shards=11"], "allowed is 1 to 10"),
        ([output, f"--dataset_dir={folder}", "--num_shards=1"], "max_bad_records=0"),
    ):
        assert main(["make-records", *flags]) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert message in lines[-1] and lines[-1].startswith("slimnets: ")
    assert f"{folder}/a/0.png" in lines[-2]  # All that are bad are named.
