"""--import: networks, datasets, losses and measures of a user's own module."""

import os
import sys

import pytest

from slimnets import factory
from slimnets.cli import imports
from slimnets.data import datasets
from slimnets.training import losses, measures

MODULE = """
import numpy as np
import tensorflow as tf
from slimnets import layers, register_network
from slimnets.data import Dataset, register_dataset
from slimnets.training import register_loss, register_metric

@register_network(name="own_net")
def own_net(inputs, num_classes=None, is_training=False):
    net = layers.flatten(inputs)
    return layers.fully_connected(net, num_classes, activation_fn=None, scope="logits")

def load(split):
    return np.eye(4, dtype=np.float32).reshape(4, 2, 2, 1), np.arange(4)

register_dataset(Dataset("own_data", (2, 2, 1), (0, 1), tuple("abcd"),
                         {"train": 4, "test": 4}, "plain", load))
register_loss("own_loss", lambda labels, logits, label_smoothing=0.0: tf.reduce_sum(
    (logits - tf.one_hot(labels, 4)) ** 2, axis=-1))
register_metric("second", lambda labels, logits: tf.equal(
    tf.math.top_k(logits, 2).indices[:, 1], tf.cast(labels, tf.int32)))
"""


@pytest.fixture
def forgotten(monkeypatch):
    """What the tests register goes again."""
    monkeypatch.setattr(imports, "IMPORTED", [])
    yield
    registries = factory._NETWORKS, datasets._DATASETS, losses.LOSSES, measures.METRICS
    for registry in registries:
        for name in ("own_net", "own_data", "own_loss", "second", "once"):
            registry.pop(name, None)


def test_what_a_module_registers_is_there_by_its_name(
    call, forgotten, monkeypatch, tmp_path
):
    (tmp_path / "mine.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    code, out, error = call(
        "train", "--import=mine", "--model_name=own_net", "--loss=own_loss",
        "--dataset_name=own_data", "--train_dir=run", "--batch_size=4",
        "--train_image_size=2", "--max_number_of_steps=100", "--learning_rate=0.2",
        "--weight_decay=0",
    )  # fmt: skip
    assert code == 0, error
    assert out.startswith("accuracy 100.00 % (4 of 4 test examples)")
    code, out, _ = call("evaluate", "--import", "mine", "--checkpoint_path=run")
    assert code == 0 and "second 0.0000" in out
    _, out, _ = call("list", "own", "--import=mine")
    assert out.splitlines()[-1].split() == ["custom", "own_net"]


def test_what_cannot_be_imported_is_said(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    code, _, error = call("list", "--import=not_there")
    assert code == 2 and "--import=not_there: ModuleNotFoundError" in error
    code, _, error = call("list", "--import=mine.py")
    assert code == 2 and "give the name of a module" in error
    assert "--import=MODULES" in call("train", "--help")[1]
    assert os.getcwd() in sys.path


def test_a_name_is_registered_once(forgotten):
    measures.register_metric("once", None)
    for register, name in (
        (losses.register_loss, "softmax"),
        (measures.register_metric, "once"),
    ):
        with pytest.raises(ValueError, match="already registered"):
            register(name, None)
