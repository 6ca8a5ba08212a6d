"""What every test shares; it runs before any test module imports TensorFlow."""

import os

# Without this, TensorFlow's C++ log drowns the report of a failing test.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow's choice depends on the processor; so the kernels are the same on all x86.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import keras
import numpy as np
import pytest
import tensorflow as tf


def pytest_configure(config):
    """Two logical CPUs, for MirroredStrategy; possible only before the first op."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, two)


@pytest.fixture(autouse=True)
def seeded(monkeypatch):
    """Seeds what nobody seeds, graphs of their own too: no test passes by luck."""
    keras.utils.set_random_seed(0)
    make_graph = tf.Graph.__init__

    def make_seeded_graph(graph, *args, **kwargs):
        make_graph(graph, *args, **kwargs)
        graph.seed = 0

    monkeypatch.setattr(tf.Graph, "__init__", make_seeded_graph)


@pytest.fixture(scope="session")
def mirrored():
    """A MirroredStrategy over the two logical CPUs.

    One for all tests: two in a process would number their collectives alike, and wait
    for each other's tensors.
    """
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def call(capfd):
    """Runs the command in this process: exit code, standard output and error."""
    from slimnets.cli import main

    def run(*arguments):
        code = main.main(list(map(str, arguments)))
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return run
