"""Writes a run with the TensorFlow that is installed, or reads one of another.

    python -m tests.reliability.version_checkpoint write|read DIRECTORY

`write` trains a few steps and leaves the logits of some images beside the run; `read`
loads the last checkpoint, compares the logits, and goes on with a copy of the run.
Prints what was done as JSON; of `read` the largest difference of a logit, in the unit
of the largest logit.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from slimnets import Model
from slimnets.training import TrainingConfig, train

NETWORK, STEPS = "resnet_v2_cifar_20", 6


def config(train_dir: pathlib.Path, steps: int) -> TrainingConfig:
    return TrainingConfig(
        model_name=NETWORK, train_dir=str(train_dir), max_number_of_steps=steps,
        batch_size=16, optimizer="adam", learning_rate=0.001, train_image_size=8,
        learning_rate_decay_type="fixed", moving_average_decay=0.9,
    )  # fmt: skip


def logits(model: Model) -> np.ndarray:
    images = np.random.default_rng(0).uniform(-1, 1, [8, 8, 8, 1])
    return model(tf.constant(images, tf.float32)).numpy()


def write(directory: pathlib.Path) -> dict[str, object]:
    run = directory / "run"
    train(config(run, STEPS), show=False)
    model = Model(NETWORK, num_classes=10)
    model.build([None, 8, 8, 1])
    model.load(run)
    np.save(directory / "logits.npy", logits(model))
    return {"tensorflow": tf.__version__, "steps": STEPS}


def read(directory: pathlib.Path) -> dict[str, object]:
    model = Model(NETWORK, num_classes=10)
    model.build([None, 8, 8, 1])
    model.load(directory / "run")
    expected = np.load(directory / "logits.npy")
    difference = np.abs(logits(model) - expected).max() / np.abs(expected).max()
    with tempfile.TemporaryDirectory() as copy:
        run = pathlib.Path(copy) / "run"
        shutil.copytree(directory / "run", run)
        first_step = train(config(run, STEPS + 2), show=False).first_step
    assert first_step == STEPS
    return {"tensorflow": tf.__version__, "difference": float(difference)}


if __name__ == "__main__":
    work = {"write": write, "read": read}[sys.argv[1]]
    print(json.dumps(work(pathlib.Path(sys.argv[2]))))
