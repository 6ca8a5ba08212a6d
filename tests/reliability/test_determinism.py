"""A seed gives the same weights wherever they are made.

That two whole runs of the same settings are bit-identical is shown in
tests/training/test_training.py, and with --deterministic, after interruptions too, in
test_crashes.py.
"""

import json
import subprocess
import sys
import threading

import numpy as np
import pytest
import tensorflow as tf

from slimnets import Model
from slimnets.checkpoints import read_checkpoint
from slimnets.cli import main
from slimnets.factory import get_network_fn
from tests.helpers import run_graph
from tests.reliability.scripts import ENVIRONMENT

NETWORK, SEED, SIZE = "resnet_v2_cifar_20", 7, 8
# Prints a hash of the weights that a run begins with under so many replicas.
REPLICAS = """
import hashlib, json, sys
import tensorflow as tf
from slimnets import Model
cpu = tf.config.list_physical_devices("CPU")[0]
count, network, seed, size = json.loads(sys.argv[1])
devices = [tf.config.LogicalDeviceConfiguration()] * count
tf.config.set_logical_device_configuration(cpu, devices)
strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(count)])
with strategy.scope():
    model = Model(network, num_classes=10, seed=seed)
    model.build([None, size, size, 1])
for replica in range(count):
    digest = hashlib.sha256()
    for name, variable in sorted(model.variables_by_name.items()):
        value = strategy.experimental_local_results(variable)[replica]
        digest.update(name.encode() + value.numpy().tobytes())
    print(digest.hexdigest())
"""


def built(network=NETWORK, size=SIZE):
    """The weights by name of a Model."""
    model = Model(network, num_classes=10, seed=SEED)
    model.build([None, size, size, 1])
    return {name: value.numpy() for name, value in model.variables_by_name.items()}


def in_graph_code():
    def build():
        network = get_network_fn(NETWORK, 10, is_training=True)
        network(tf.zeros([2, SIZE, SIZE, 1]))
        return {v.op.name: v for v in tf.compat.v1.model_variables()}

    return run_graph(build, seed=SEED)


def in_threads():
    """As two threads build it at the same time."""
    found = []
    threads = [threading.Thread(target=lambda: found.append(built())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, second = found
    assert_same(first, second)
    return first


def under_two_replicas(mirrored):
    with mirrored.scope():
        return built()


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def test_a_seed_gives_the_same_weights_everywhere(mirrored):
    expected = built()
    assert_same(in_graph_code(), expected)
    assert_same(in_threads(), expected)
    assert_same(under_two_replicas(mirrored), expected)


def test_the_seed_flag_gives_the_weights_of_a_model(tmp_path):
    code = main.main([
        "train", "--model_name=lenet", f"--seed={SEED}", f"--train_dir={tmp_path}",
        "--train_image_size=16", "--batch_size=8", "--max_number_of_steps=1",
    ])  # fmt: skip
    assert code == 0
    begun = read_checkpoint(tmp_path / "model.ckpt-0")
    for name, value in built("lenet", 16).items():
        np.testing.assert_array_equal(begun[name], value, err_msg=name)


@pytest.mark.slow
def test_any_number_of_replicas_begins_with_the_same_weights():
    digests = []
    for replicas in (1, 2, 3):
        settings = json.dumps([replicas, NETWORK, SEED, SIZE])
        done = subprocess.run(
            [sys.executable, "-c", REPLICAS, settings],
            env=ENVIRONMENT,
            capture_output=True, text=True, check=True, timeout=600,
        )  # fmt: skip
        digests += done.stdout.split()
    assert len(digests) == 6 and len(set(digests)) == 1
