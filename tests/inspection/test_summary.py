"""Summaries: tables that say what is built, totals that papers say."""

import csv
import io
import json
import math

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets.inspection import layers_of
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


def test_folding_keeps_the_totals():
    summary = slimnets.summarize("resnet_v2_50")
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
    from slimnets.nets.rows import network_of

    size = 401
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
    assert len(markdown) == len(rows) + 1 and all(x[0] == "|" for x in markdown)
    with pytest.raises(ValueError, match="text, markdown, csv, json"):
        summary.formatted("html")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_table_fits_the_terminal(width):
    text = slimnets.summarize("resnet_v2_50").text(width)
    assert max(map(len, text.splitlines())) <= width


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


def test_a_global_mean_sees_the_whole_input():
    layers = slimnets.summarize("resnet18").layers
    pool = next(layer for layer in layers if layer.kind == "GlobalMean")
    assert pool.receptive_field == math.inf
