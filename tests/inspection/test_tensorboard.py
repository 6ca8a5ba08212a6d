"""Graphs as TensorBoard shows them: boxes are scopes, and wires are what they say.

The test in a browser is slow and needs Chromium; SLIMNETS_SCREENSHOTS names a folder
that keeps what it saw.
"""

import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
import tensorflow as tf
from google.protobuf import text_format

from slimnets.inspection import write_graph
from slimnets.inspection.nodes import read_nodes
from slimnets.inspection.summary import graph_of
from tests.helpers import v1

NETWORKS = ("resnet_v1_50", "resnet_v2_50", "seresnext50_32x4d", "keras_resnet50")
NETWORKS += ("resnet_v2_cifar_20", "bit_r50x1", "resnetblur50", "pointnet_small")
SHAPES = {"pointnet_small": [None, 64, 3]}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def build(name, with_training=True):
    shape = SHAPES.get(name, [None, 64, 64, 3])
    return graph_of(name, 10, shape, with_training=with_training)[1]


def neighbours(graph_def, scope):
    """The nodes outside of a scope that its nodes read, and those that read it."""
    (nodes,) = read_nodes(graph_def)
    inside = {node.name for node in nodes if node.name.startswith(scope + "/")}
    wires = [
        (source, node.name) for node in nodes for source in node.inputs + node.controls
    ]
    return (
        {a for a, b in wires if b in inside and a not in inside},
        {b for a, b in wires if a in inside and b not in inside},
        {a for a, b in wires if a in inside and b not in inside},
    )


def assert_is_wired_well(graph_def, scope):
    reads, readers, read = neighbours(graph_def, scope)
    assert "is_training" in reads and len(reads) == 2, reads
    assert readers and len(read) == 1, read


@pytest.mark.parametrize("name", NETWORKS)
def test_name_scopes_are_variable_scopes_and_nothing_is_stray(name):
    graph = build(name)
    operations = graph.get_operations()
    top = {op.name for op in operations if "/" not in op.name}
    assert top == {"inputs", "is_training"}
    assert {op.name.split("/")[0] for op in operations} == top | {name}
    with graph.as_default():
        variables = v1.global_variables()
    scopes = {variable.op.name.rpartition("/")[0] for variable in variables}
    # Each layer computes in the very scope that has its variables.
    for op in operations:
        if op.type in ("Conv2D", "DepthwiseConv2dNative", "MatMul"):
            reads_variable = "ReadVariableOp" in op.inputs[1].op.type
            assert not reads_variable or op.name.rpartition("/")[0] in scopes, op.name
    named = {op.name.rpartition("/")[0] for op in operations}
    again = re.compile(r"(?:block\d|unit_\d+|conv\d|bottleneck_v\d|BatchNorm)_\d+$")
    assert not [s for s in named if again.search(s) and not re.search(r"/unit_\d+$", s)]


@pytest.mark.parametrize("name", ["resnet_v1_50", "resnet_v2_50", "keras_resnet50"])
def test_a_norm_has_its_input_its_output_and_is_training(name):
    graph = build(name)
    with graph.as_default():
        means = [v for v in v1.global_variables() if "moving_mean" in v.name]
    assert len(means) > 40
    for variable in means:
        assert_is_wired_well(graph.as_graph_def(), variable.op.name.rpartition("/")[0])


def test_a_written_graph_is_read_again(tmp_path):
    write_graph("resnet_v2_cifar_20", tmp_path)
    (nodes,) = read_nodes(tmp_path)
    assert "resnet_v2_cifar_20/block1/unit_1/bottleneck_v2/conv1/Conv2D" in (
        nodes.by_name
    )
    assert "is_training" not in nodes.by_name
    assert nodes.by_name["inputs"].op == "Placeholder"


@contextlib.contextmanager
def tensorboard(logdir):
    """TensorBoard's address, on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", f"--logdir={logdir}"]
    command += ["--host=127.0.0.1", f"--port={port}", "--load_fast=false"]
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for_graph(address)
            yield address
        finally:
            server.terminate()


def wait_for_graph(address, seconds=90):
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError):
            if b"run_graph" in fetch(f"{address}/data/plugin/graphs/info"):
                return
        assert time.monotonic() < end, "TensorBoard did not show a graph in time"
        time.sleep(0.5)


def fetch(address):
    with urllib.request.urlopen(address, timeout=30) as answer:
        return answer.read()


def browse(address, profile, *arguments):
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
    ]
    command += ["--disable-quic", "--disable-sync", "--disable-background-networking"]
    command += ["--disable-component-update", f"--user-data-dir={profile}"]
    command += ["--window-size=1400,1000", "--virtual-time-budget=60000"]
    done = subprocess.run(
        [*command, *arguments, address], capture_output=True, timeout=180, check=True
    )
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_tensorboard_shows_the_graph_in_a_browser(tmp_path):
    write_graph("resnet_v2_50", tmp_path / "logs", with_training=True)
    folder = pathlib.Path(os.environ.get("SLIMNETS_SCREENSHOTS", tmp_path))
    screenshot = folder / "tensorboard.png"
    with tensorboard(tmp_path / "logs") as address:
        page = f"{address}/?darkMode=false#graphs&run=."
        browse(page, tmp_path / "profile", f"--screenshot={screenshot}")
        data = fetch(
            f"{address}/data/plugin/graphs/graph?run=.&conceptual=false"
            "&limit_attr_size=1024&large_attrs_key=_too_large_attrs"
        )
    pixels = tf.io.decode_png(screenshot.read_bytes()).numpy()
    # The page's orange bar, and boxes below it.
    assert pixels.shape[:2] == (1000, 1400) and pixels[20, 500, 0] > 200
    assert (
        len({tuple(p) for p in pixels[150:, 350:].reshape(-1, pixels.shape[-1])}) > 50
    )
    graph_def = text_format.Parse(data.decode(), v1.GraphDef())
    scopes = {node.name.split("/")[0] for node in graph_def.node}
    assert scopes == {"inputs", "is_training", "resnet_v2_50"}
    unit = "resnet_v2_50/block2/unit_1/bottleneck_v2"
    for scope in (f"{unit}/preact", f"{unit}/conv1/BatchNorm", "resnet_v2_50/postnorm"):
        assert_is_wired_well(graph_def, scope)
