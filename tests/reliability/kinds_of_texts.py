"""Damaged flagfiles, labels, metadata and arrays."""

import json
import os
import pathlib

import numpy as np
import tensorflow as tf

from slimnets.cli.command import UsageError
from tests.reliability.fuzzing import Kind

FLAGS = b"""# What a config looks like.
--model_name=resnet_v2_cifar_20
--dataset_name=digits
--batch_size=32
--learning_rate=0.1
--nodeterministic
--flagfile=other.flags
"""


def _write_flags(path: str) -> None:
    pathlib.Path("other.flags").write_text("--seed=1\n")
    pathlib.Path(path).write_bytes(FLAGS)


def _read_flags(path: str) -> None:
    from slimnets.cli import main

    # A file that is right would start the training.
    main._find_work(["train", f"--flagfile={path}"])


def _write_npz(path: str) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (20, 6, 6), dtype=np.uint8)
    names = np.array(["a", "b", "c"])
    np.savez_compressed(
        path, images=images, labels=np.arange(20) % 3, label_names=names
    )


def _read_npz(path: str) -> None:
    from slimnets.data.datasets import get_dataset

    dataset = get_dataset("npz", dataset_dir=path)
    for split in dataset.splits:
        images, labels = dataset.load(split)
        assert images.ndim == 4 and len(images) == len(labels)


def _write_labels(path: str) -> None:
    pathlib.Path(path).write_text("0:background\n1:b\u00fccher\n2:c\n")


def _read_labels(path: str) -> None:
    from slimnets.data.labels import read_labels

    assert all(isinstance(name, str) for name in read_labels(path))


def _write_checkpoint(path: str) -> None:
    from slimnets.checkpoints import save_weights

    metadata = {
        "model_name": "resnet_v2_50", "num_classes": 3, "network_options": {"a": [1]},
        "label_names": ["a", "b", "c"], "image_size": 8, "step": 7,
    }  # fmt: skip
    save_weights(path, {"w": np.zeros(3, np.float32)}, metadata=metadata)


def _read_metadata(path: str) -> None:
    from slimnets.checkpoints import read_checkpoint
    from slimnets.data.labels import labels_of

    json.dumps(read_checkpoint(path).metadata)
    labels_of(path)


def _write_train_dir(path: str) -> None:
    os.makedirs(path)
    prefix = os.path.join(path, "model.ckpt-7")
    _write_checkpoint(prefix)
    tf.compat.v1.train.update_checkpoint_state(path, prefix)


KINDS = {
    "flagfile": Kind(_write_flags, "x.flags", _read_flags, refusals=(UsageError,)),
    "npz_dataset": Kind(_write_npz, "x.npz", _read_npz),
    "labels": Kind(_write_labels, "labels.txt", _read_labels),
    "metadata": Kind(
        _write_checkpoint, "x.ckpt", _read_metadata, damaged="x.ckpt.json"
    ),
    "train_dir": Kind(
        _write_train_dir, "run", _read_metadata, damaged="run/checkpoint"
    ),
}
