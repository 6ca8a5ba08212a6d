"""Summaries: tables that say what is built, totals that papers say."""

import csv
import io
import json
import math
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets.inspection import count_multiply_adds, layers_of
from tests.helpers import v1

CLOUDS = {"clouds": [[1, 100, 39], [1, 50, 39]], "auxiliary": [1, 46]}


def test_multi_cloud_reads_like_the_reference_table():
    """Parameters layer by layer as Keras printed them; see REFERENCES."""
    summary = slimnets.summarize("multi_cloud", num_classes=101, input_shape=CLOUDS)
    rows = {layer.name.removeprefix("multi_cloud/"): layer for layer in summary.layers}
    convs = (2560, 4160, 20540, 100172)
    norms = (256, 256, 1264, 1264)
    depths = (64, 64, 316, 316)
    for cloud, points in ((1, 100), (2, 50)):
        before = f"clouds_{cloud}"
        for unit in range(1, 5):
            scope = f"cloud_{cloud}/block1/unit_{unit}"
            for part, counts in (("conv", convs), ("norm", norms)):
                layer = rows[f"{scope}/{part}"]
                assert layer.parameters == counts[unit - 1]
                assert layer.shape == (1, points, depths[unit - 1])
                assert [n.removeprefix("multi_cloud/") for n in layer.inputs] == [
                    before
                ]
                before = f"{scope}/{part}"
        assert rows[f"cloud_{cloud}/global_pool"].shape == (1, 316)
    # No parameters, but connections.
    dropped = {f"head/dropout_{i}": (f"multi_cloud/head/fc_{i}",) for i in (1, 2)}
    assert {name: rows[name].inputs for name in dropped} == dropped
    assert {rows[name].kind for name in dropped} == {"Dropout"}
    assert rows["logits"].inputs == ("multi_cloud/head/dropout_2",)
    wanted = {
        "auxiliary/fc_1": 18048,
        "auxiliary/fc_2": 147840,
        "head/fc_1": 390528,
        "head/fc_2": 147840,
        "logits": 38885,
    }
    assert {name: rows[name].parameters for name in wanted} == wanted
    assert rows["concat"].shape == (1, 1016) and len(rows["concat"].inputs) == 3
    assert summary.parameters == 1_004_085


def test_totals_equal_the_references():
    summary = slimnets.summarize("resnet_v2_50", num_classes=1001)
    assert (summary.trainable, summary.parameters) == (25_570_409, 25_615_849)
    summary = slimnets.summarize("resnet50")
    assert summary.multiply_adds == 4_089_184_256
    assert summary.layers[-1].kind == "Softmax"
    logits = next(layer for layer in summary.layers if layer.name.endswith("logits"))
    assert logits.shape == (1, 1, 1, 1000) and logits.inputs == ("resnet50/pool5",)


def test_folding_keeps_the_totals(resnet):
    summary = resnet
    for depth, blocks in ((1, 4), (2, 16)):
        folded = summary.folded(depth)
        assert folded.parameters == summary.parameters
        assert folded.multiply_adds == summary.multiply_adds
        assert sum("block" in layer.name for layer in folded.layers) == blocks
    with pytest.raises(ValueError, match="depth=0"):
        summary.folded(0)


@pytest.mark.parametrize("name", ["resnet_v2_50", "resnet18", "resnet_v1_cifar_20"])
def test_strides_and_receptive_fields_are_the_gradients(name, rng):
    """With positive weights the input pixels that matter are a square.

    Of several images, since a max pool passes the gradient to one pixel alone.
    """
    row = slimnets.network_info(name).network.row.thin()
    from slimnets.rows.builder import network_of

    size = 65 if "cifar" in name else 201
    with tf.Graph().as_default() as graph:
        images = v1.placeholder(tf.float64, [8, size, size, 1], name="images")
        ones = v1.ones_initializer()
        with slimnets.arg_scope([slimnets.layers.conv2d], weights_initializer=ones):
            _, end_points = network_of(row)(
                images, is_training=False, depth_multiplier=0.01, min_base_depth=1,
                activation_fn=tf.identity,
            )  # fmt: skip
        layers = {layer.name: layer for layer in layers_of(graph)}
        block = end_points["block2"]
        middle = block.shape[1] // 2
        gradient = tf.gradients(block[:, middle, middle, 0], images)[0]
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            values = session.run(gradient, {images: rng.random([8, size, size, 1])})
    rows = np.flatnonzero(np.abs(values).sum(axis=(0, 2, 3)))
    last = [n for n in layers if n.startswith(f"{name}/block2/unit_2")][-1]
    assert -(-size // layers[last].stride) == block.shape[1]
    assert layers[last].receptive_field == rows[-1] - rows[0] + 1


def test_formats_say_the_same():
    summary = slimnets.summarize("resnet_v1_cifar_20", num_classes=10)
    loaded = json.loads(summary.formatted("json"))
    assert loaded["parameters"] == summary.parameters
    assert [row["name"] for row in loaded["layers"]] == [x.name for x in summary.layers]
    rows = list(csv.reader(io.StringIO(summary.formatted("csv"))))
    assert len(rows) == len(summary.layers) + 1
    assert sum(int(row[3].replace(",", "")) for row in rows[1:]) == summary.parameters
    markdown = summary.formatted("markdown").splitlines()
    # Below the headings a line of dashes, and a row of totals at the end.
    assert len(markdown) == len(rows) + 2 and all(x[0] == "|" for x in markdown)
    assert f"| {summary.parameters:,} |" in markdown[-1]
    with pytest.raises(ValueError, match="text, markdown, csv, json"):
        summary.formatted("html")


@pytest.fixture(scope="module")
def resnet():
    return slimnets.summarize("resnet_v2_50")


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_a_table_fits_the_terminal(resnet, width):
    lines = resnet.text(width).splitlines()
    assert max(map(len, lines)) <= width
    assert resnet.folded(2).text(width).splitlines()[-2] == lines[-2]
    assert len(lines) >= 2 + len(resnet.layers) + 3


def test_a_narrow_table_leaves_out_what_says_least(resnet):
    lines = resnet.text(80).splitlines()
    shown = " ".join(lines[0].split())
    assert shown == "layer kind output shape parameters MACs stride field"
    assert lines[5] == "block1/unit_1/bottleneck_v2"
    assert " ".join(lines[8].split()) == "conv1 Conv 1x56x56x64 4,096 12.8 M 4 11"
    assert resnet.text(100).splitlines()[8].split()[-1] == "preact"
    clouds = slimnets.summarize("multi_cloud", num_classes=101, input_shape=CLOUDS)
    lines = clouds.text(80).splitlines()
    assert lines[0].endswith("connected to") and "stride" not in lines[0]
    joined = next(i for i, line in enumerate(lines) if line.startswith("concat"))
    inputs = [line.split()[-1] for line in lines[joined : joined + 3]]
    assert inputs == ["…/global_pool", "…/global_pool", "…xiliary/fc_2"]


def test_models_graphs_and_functions_have_summaries():
    model = slimnets.Model("resnet18", num_classes=10)
    assert slimnets.summarize(model).parameters == 11_191_242

    def own(images, num_classes, is_training):
        return slimnets.layers.conv2d(images, num_classes, 3)

    summary = slimnets.summarize(own, num_classes=4, input_shape=[None, None, None, 3])
    assert summary.multiply_adds is None and "unknown" in str(summary)
    assert [layer.kind for layer in summary.layers] == ["Input", "Conv"]
    with pytest.raises(ValueError, match="input_shape"):
        slimnets.summarize(own)


def test_a_global_mean_sees_the_whole_input_and_what_it_gates_does_not():
    def own(images, num_classes, is_training):
        net = slimnets.layers.conv2d(images, 8, 3, scope="conv")
        return slimnets.layers.squeeze_excite(net, scope="gate")

    layers = slimnets.summarize(own, input_shape=[1, 8, 8, 3]).layers
    fields = {layer.kind: layer.receptive_field for layer in layers}
    assert fields["GlobalMean"] == math.inf and fields["Multiply"] == 3


def test_group_norms_and_layers_with_branches_have_their_parameters():
    with tf.Graph().as_default() as graph:
        images = v1.placeholder(tf.float32, [1, 8, 8, 32], name="images")
        training = v1.placeholder(tf.bool, [], name="is_training")
        net = slimnets.layers.group_norm(images, scope="group")
        net = slimnets.layers.batch_norm(net, is_training=training, scope="batch")
        slimnets.layers.dropout(net, is_training=training, scope="drop")
    rows = {layer.name: layer for layer in layers_of(graph)}
    shown = [(n, rows[n].kind, rows[n].trainable, rows[n].inputs) for n in rows]
    assert shown == [
        ("images", "Input", 0, ()),
        ("is_training", "Input", 0, ()),
        ("group", "Norm", 64, ("images",)),
        ("batch", "BatchNorm", 32, ("group",)),
        ("drop", "Dropout", 0, ("batch",)),
    ]
    assert rows["batch"].non_trainable == 64
    assert all(rows[n].shape == (1, 8, 8, 32) for n in ("group", "batch", "drop"))


def test_gradients_are_no_layers():
    with tf.Graph().as_default() as graph:
        images = v1.placeholder(tf.float32, [2, 4], name="images")
        net = slimnets.layers.fully_connected(images, 3, scope="fc")
        before = layers_of(graph), count_multiply_adds(graph)
        v1.train.MomentumOptimizer(0.1, 0.9).minimize(tf.reduce_mean(net))
    assert (layers_of(graph), count_multiply_adds(graph)) == before
    assert [layer.kind for layer in before[0]] == ["Input", "Dense"]


OLD_GRAPH = """
import tensorflow as tf, slimnets
v1 = tf.compat.v1
v1.disable_v2_behavior()
with tf.Graph().as_default() as graph:
    images = v1.placeholder(tf.float32, [1, 8, 8, 3], name="images")
    training = v1.placeholder_with_default(False, [], name="is_training")
    with slimnets.arg_scope([slimnets.layers.batch_norm], is_training=training):
        slimnets.build("resnet_v1_cifar_20", images, num_classes=10, is_training=None)
found, known = slimnets.summarize(graph), slimnets.summarize(
    "resnet_v1_cifar_20", num_classes=10, input_shape=[1, 8, 8, 3])
def shown(summary):
    return [(x.name, x.kind, x.shape, x.parameters, x.multiply_adds, x.stride,
             x.receptive_field) for x in summary.layers if x.kind != "Input"]
assert shown(found) == shown(known), (shown(found)[:5], shown(known)[:5])
assert not slimnets.lint_graph(graph)
print("equal")
"""


def test_graphs_of_tensorflow_1_read_the_same():
    """Its control flow (switches and merges) and its shapes; a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", OLD_GRAPH], capture_output=True, text=True
    )
    assert done.stdout == "equal\n", done.stderr[-2000:]
