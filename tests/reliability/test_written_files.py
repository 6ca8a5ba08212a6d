"""Commands write nothing outside of the folders that they are given.

But for what `import tensorflow` writes: Keras's settings in ~/.keras, and the list of
fonts of matplotlib where that is installed.
"""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

ROOT = pathlib.Path(__file__).parents[2]
SECONDS = 1500

# All in one process, so that TensorFlow is imported once.
RUN = """
import json, sys
from slimnets.cli.main import main
for command in json.load(sys.stdin):
    code = main(command)
    print("exit", code, command, file=sys.stderr)
    if code not in (0, 1):
        sys.exit(code)
"""
TRAIN = [
    "train", "--model_name=resnet_v2_cifar_20", "--dataset_name=digits",
    "--max_number_of_steps=2", "--batch_size=4", "--train_image_size=8",
    "--train_dir=out/run",
]  # fmt: skip
COMMANDS = [
    ["list"],
    ["summary", "lenet"],
    ["make-records", "--dataset_dir=in/images", "--output=out/records",
     "--num_shards=1"],
    TRAIN,
    ["evaluate", "--checkpoint_path=out/run", "--dataset_name=digits"],
    ["predict", "--input=in/images/a", "--checkpoint_path=out/run",
     "--output=out/rows.csv"],
    ["features", "--input=in/images/a", "--checkpoint_path=out/run",
     "--output=out/features"],
    ["convert", "--checkpoint_path=out/run", "--output=out/copy.ckpt"],
    ["export", "--checkpoint_path=out/run", "--output=out/exported",
     "--format=saved_model"],
    ["lint", "out/exported"],
    ["diff", "out/run", "out/copy.ckpt"],
]  # fmt: skip


def snapshot(folder):
    """What is below a folder, and since when."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_mtime_ns, path.lstat().st_size)
        for path in sorted(folder.rglob("*"))
    }


def run(folder, code, text=""):
    """Runs Python code that has a home, and a place for temporary files, of its own."""
    return subprocess.run(
        [sys.executable, "-B", "-c", code],
        input=text,
        cwd=folder / "here",
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "temporary"),
        },
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


@pytest.mark.slow
def test_commands_write_below_what_they_are_given(tmp_path):
    for name in (
        "here/in/images/a",
        "here/in/images/b",
        "here/out",
        "home",
        "temporary",
    ):
        (tmp_path / name).mkdir(parents=True)
    for i in range(12):
        data = tf.io.encode_png(np.full([8, 8, 1], i, np.uint8)).numpy()
        (tmp_path / f"here/in/images/{'ab'[i % 2]}/{i}.png").write_bytes(data)
    # TensorFlow imports Keras, which writes its settings where there are none.
    run(tmp_path, "import tensorflow")
    before = snapshot(tmp_path)
    done = run(tmp_path, RUN, json.dumps(COMMANDS))
    assert done.returncode == 0, done.stderr[-3000:]
    after = snapshot(tmp_path)
    changed = {
        name for name in {*before, *after} if before.get(name) != after.get(name)
    }
    outside = {name for name in changed if not name.startswith("here/out")}
    # Their own times change where something lay in them for a while.
    outside -= {"here", "temporary"}
    print(f"{len(COMMANDS)} commands, {len(changed)} files written, outside: {outside}")
    assert not outside
