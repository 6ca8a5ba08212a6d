"""Graphs as TensorBoard shows them: boxes are scopes, and wires are what they say.

The test in a browser is slow and needs Chromium and websocket-client, which is in no
extra; SLIMNETS_SCREENSHOTS names a folder that keeps what it saw.
"""

import contextlib
import os
import pathlib
import re
import subprocess
import sys
import time

import pytest
import tensorflow as tf
from google.protobuf import text_format

from slimnets.inspection import write_graph
from slimnets.inspection.graphs import graph_of
from slimnets.inspection.nodes import read_nodes
from tests.browser import CHROMIUM, browser, fetch, free_port, wait_for
from tests.helpers import of_each_kind, v1

NETWORKS = ("resnet_v1_50", "resnet_v2_50", "seresnext50_32x4d", "keras_resnet50")
NETWORKS += ("resnet_v2_cifar_20", "bit_r50x1", "resnetblur50", "pointnet_small")
SHAPES = {"pointnet_small": [None, 64, 3]}


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


@pytest.mark.parametrize(
    "name",
    of_each_kind(NETWORKS, ("resnet_v2_50", "resnet_v2_cifar_20", "pointnet_small")),
)
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


@pytest.mark.parametrize("name", ["resnet_v1_cifar_20", "resnet_v2_cifar_20"])
def test_a_norm_has_its_input_its_output_and_is_training(name):
    graph = build(name)
    with graph.as_default():
        means = [v for v in v1.global_variables() if "moving_mean" in v.name]
    assert len(means) > 15
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
    port = free_port()
    command = [sys.executable, "-m", "tensorboard.main", f"--logdir={logdir}"]
    command += ["--host=127.0.0.1", f"--port={port}", "--load_fast=false"]
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            info = f"{address}/data/plugin/graphs/info"
            wait_for(lambda: fetch(info).count(b"run_graph") == 2, "TensorBoard")
            yield address
        finally:
            server.terminate()


# Names of the boxes that the page draws, which lie in shadow trees; the second clicks
# on the button that opens one.
_WALK = """(() => {
  const found = [];
  const walk = root => root.querySelectorAll('*').forEach(element => {
    if (element.tagName == 'g' && element.classList.contains('node'))
      found.push(element);
    if (element.shadowRoot) walk(element.shadowRoot);
  });
  walk(document);
  return %s;
})()"""
DRAWN = _WALK % "found.map(e => e.getAttribute('data-name'))"
OPEN = (
    _WALK
    % """found.filter(e => e.getAttribute('data-name') == '%s').forEach(
    e => e.querySelector('.buttoncontainer').dispatchEvent(
      new MouseEvent('click', {bubbles: true})))"""
)


def opened(page, scope):
    """Opens the boxes of a scope one by one, and returns what is drawn then."""
    parts = scope.split("/")
    for end in range(1, len(parts) + 1):
        path = "/".join(parts[:end])
        wait_for(lambda path=path: path in page.evaluate(DRAWN), path)
        page.evaluate(OPEN % path)
        wait_for(
            lambda path=path: any(
                name.startswith(path + "/") for name in page.evaluate(DRAWN)
            ),
            f"what is in {path}",
        )
    time.sleep(2)  # It moves while it opens.
    return set(page.evaluate(DRAWN))


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_tensorboard_shows_the_graph_in_a_browser(tmp_path):
    pytest.importorskip("websocket")
    write_graph("resnet_v2_50", tmp_path / "logs/plain")
    write_graph("resnet_v2_50", tmp_path / "logs/training", with_training=True)
    folder = pathlib.Path(os.environ.get("SLIMNETS_SCREENSHOTS", tmp_path))
    unit = "resnet_v2_50/block1/unit_1/bottleneck_v2"
    with tensorboard(tmp_path / "logs") as address:
        page_address = f"{address}/?darkMode=false#graphs&run=plain"
        with browser(tmp_path / "profile", page_address) as page:
            drawn = opened(page, unit)
            content = page.screenshot()
        data = fetch(
            f"{address}/data/plugin/graphs/graph?run=training&conceptual=false"
            "&limit_attr_size=1024&large_attrs_key=_too_large_attrs"
        )
    (folder / "tensorboard.png").write_bytes(content)
    pixels = tf.io.decode_png(content).numpy()
    colours = {tuple(p) for p in pixels[150:, 350:].reshape(-1, pixels.shape[-1])}
    assert len(colours) > 50
    # Blocks, units and layers are boxes, and there are no others.
    boxes = {f"{unit}/{name}" for name in ("preact", "shortcut", "conv1", "conv2")}
    boxes |= {f"{unit}/conv3", "resnet_v2_50/block1/unit_3", "resnet_v2_50/postnorm"}
    boxes |= {f"resnet_v2_50/block{i}" for i in (1, 2, 3, 4)}
    assert boxes <= drawn, boxes - drawn
    # Names with ~~ are where TensorBoard leads lines through a box.
    top = {name for name in drawn if "/" not in name and "~~" not in name}
    assert top == {"inputs", "resnet_v2_50"}
    graph_def = text_format.Parse(data.decode(), v1.GraphDef())
    scopes = {node.name.split("/")[0] for node in graph_def.node}
    assert scopes == {"inputs", "is_training", "resnet_v2_50"}
    unit = "resnet_v2_50/block2/unit_1/bottleneck_v2"
    for scope in (f"{unit}/preact", f"{unit}/conv1/BatchNorm", "resnet_v2_50/postnorm"):
        assert_is_wired_well(graph_def, scope)
